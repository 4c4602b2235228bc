"""With a database that takes nothing any more pages open and say so; what would be saved is refused and kept."""

import errno
import html
import logging
import random
import re
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from django.db import OperationalError, connection
from django.urls import path
from django.utils import timezone

from console.urls.pages import handler400, handler403, handler404, handler500, urlpatterns  # noqa: F401
from console.web.middleware import read_typed
from jobs import shortages
from jobs.errors import NoRoom
from tests.console.test_no_500 import ROUTES, address, things  # noqa: F401  # a fixture
from tests.support import factories
from tests.support.answers import status_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault("F20"), pytest.mark.threat("T12")]
HTMX = {"HX-Request": "true"}
READ_ONLY = re.compile(r"is read-only\. Nothing can be saved until it is writable\.")
SIGN_OUT = {"sign-out"}
NO_DISK_HAS = 2**62


def raises(error):
    def view(request):
        raise error

    return view


urlpatterns = [
    path("full/", raises(OSError(errno.ENOSPC, "No space left on device"))),
    path("memory/", raises(MemoryError())),
    path("descriptors/", raises(OSError(errno.EMFILE, "Too many open files"))),
    path("room/", raises(NoRoom("The disk is nearly full. Make room."))),
    path("bug/", raises(OperationalError("no such column: x"))),
    *urlpatterns,
]


@pytest.fixture(autouse=True)
def _nothing_seen():
    shortages.seen.forget()
    yield
    shortages.seen.forget()


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    client.raise_request_exception = False
    return client


@pytest.fixture
def read_only():
    """From when it is called until the test ends: the database refuses to write, as on a disk that it cannot use."""
    is_sqlite = connection.vendor == "sqlite"

    def begin():
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA query_only=ON" if is_sqlite else "SET default_transaction_read_only=on")

    yield begin
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA query_only=OFF" if is_sqlite else "SET default_transaction_read_only=off")


def text_of(response):
    return html.unescape(response.content.decode())


def test_every_page_that_only_reads_opens(visitor, things, read_only, monkeypatch):  # noqa: F811
    """Also an hour later, when what pages show is old and would be asked for again."""
    chance, clock = random.Random(0), timezone.now
    urls = {name: address(chance, name, things) for name in ROUTES}
    before = {name: status_of(visitor.get(url)) for name, url in urls.items() if name not in SIGN_OUT}
    read_only()
    monkeypatch.setattr(timezone, "now", lambda: clock() + timedelta(hours=1))
    after = {name: status_of(visitor.get(urls[name])) for name in before}
    assert after == before


def test_a_form_that_is_kept_while_it_is_filled_in_cannot_be_opened(visitor, read_only):
    """Its page would keep nothing of what is typed."""
    read_only()
    assert visitor.get("/tuning/new/").status_code == 503


def test_the_pages_say_what_is_wrong_until_it_is_over(visitor, settings):
    assert "Nothing can be saved" not in text_of(visitor.get("/tuning/"))
    enough, settings.DISK_LEAST_BYTES = settings.DISK_LEAST_BYTES, NO_DISK_HAS
    sentence = "The disk of the data directory is full. Nothing can be saved until there is free space."
    assert (
        sentence in text_of(visitor.get("/tuning/")),
        sentence in text_of(visitor.get("/tuning/", headers=HTMX)),
    ) == (
        True,
        False,
    )
    settings.DISK_LEAST_BYTES = enough
    assert "Nothing can be saved" not in text_of(visitor.get("/tuning/"))


def test_what_was_typed_comes_back_to_be_sent_again(visitor, read_only):
    endpoint = factories.ready_endpoint()
    read_only()
    words = '\n<b>Ahoy</b> & "so on"\n</textarea>'
    sent = {"text": words, "endpoint": str(endpoint.pk), "key": str(uuid4())}
    response = visitor.post("/studio/chat/", sent | {"csrfmiddlewaretoken": "x"})
    page = response.content.decode()
    assert (response.status_code, response["Retry-After"], bool(READ_ONLY.search(page))) == (503, "10", True)
    fields = dict(re.findall(r'<textarea name="([^"]+)" hidden>\n(.*?)</textarea>', page, re.S))
    kept = {name: html.unescape(value) for name, value in fields.items()}
    assert kept == sent
    assert '<form method="post" action="/studio/chat/"' in page


def test_a_password_is_not_shown_again(rf):
    given = {"old_password": "a", "new_password1": "b", "csrfmiddlewaretoken": "c", "name": "d"}
    assert read_typed(rf.post("/", given)) == [("name", "d")]
    assert read_typed(rf.get("/", given)) == []


def test_htmx_gets_the_sentence_for_the_banner_and_the_form_stays(visitor, read_only):
    endpoint = factories.ready_endpoint()
    read_only()
    sent = {"text": "Ahoy", "endpoint": str(endpoint.pk), "key": str(uuid4())}
    response = visitor.post("/studio/chat/", sent, headers=HTMX)
    headers = [response.headers.get(name) for name in ("HX-Retarget", "HX-Reswap", "Retry-After")]
    assert (response.status_code, headers) == (503, ["#banner", "innerHTML", "10"])
    assert (bool(READ_ONLY.search(text_of(response))), "<html" in text_of(response)) == (True, False)


def test_nobody_can_sign_in_and_is_told_why(client, read_only):
    factories.owner().set_password("hunter2-hunter2")
    client.raise_request_exception = False
    assert client.get("/accounts/sign-in/").status_code == 200
    user = factories.user(username="captain")
    user.set_password("hunter2-hunter2")
    user.save()
    read_only()
    response = client.post("/accounts/sign-in/", {"username": "captain", "password": "hunter2-hunter2"})
    assert (response.status_code, bool(READ_ONLY.search(text_of(response)))) == (503, True)


@pytest.mark.urls(__name__)
@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("/full/", "The disk of the data directory is full."),
        ("/memory/", "This machine is out of memory. Try again in a moment."),
        ("/descriptors/", "The console has reached the limit of open files and connections."),
        ("/room/", "The disk is nearly full. Make room."),
    ],
)
def test_whatever_runs_out_is_a_503_with_a_sentence(visitor, url, sentence):
    response = visitor.get(url)
    assert (response.status_code, sentence in text_of(response), "Retry-After" in response) == (503, True, True)


@pytest.mark.urls(__name__)
def test_a_bug_of_the_database_is_still_a_failure(visitor):
    assert visitor.get("/bug/").status_code == 500


@pytest.mark.urls(__name__)
@pytest.mark.parametrize(("met", "notes"), [("/full/", 1), ("/room/", 2)])
def test_the_answer_says_a_sentence_once(visitor, settings, met, notes):
    """What every page says at its top is left out where it is what the answer is about."""
    settings.DISK_LEAST_BYTES = NO_DISK_HAS
    assert visitor.get(met).content.decode().count('class="note bad"') == notes


@pytest.mark.urls(__name__)
def test_the_log_says_it_once_and_without_a_traceback(visitor, caplog):
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            visitor.get("/full/")
    told = [(each.name, each.getMessage(), each.exc_info) for each in caplog.records if each.levelno >= logging.WARNING]
    assert told == [
        ("console.web.middleware", "GET /full/ was refused: disk full. This is said once a minute", None),
    ]


def test_without_a_database_the_answer_needs_no_shell(visitor):
    """As when PostgreSQL is gone: not even whose session it is can be read."""

    def refuse(*_):
        raise OperationalError("connection refused") from psycopg.OperationalError("connection refused")

    with connection.execute_wrapper(refuse):
        response = visitor.get("/tuning/")
    assert (response.status_code, "The database does not answer." in text_of(response)) == (503, True)


def test_the_state_names_the_disk(visitor, settings):
    settings.DISK_LEAST_BYTES = NO_DISK_HAS
    sentence = "The disk of the data directory is full. Nothing can be saved until there is free space."
    ready = visitor.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]["disk"]) == (503, sentence)
    cards = text_of(visitor.get("/settings/", headers=HTMX))
    assert ('id="status-parts"' in cards, sentence in cards) == (True, True)

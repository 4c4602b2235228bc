"""Every address × everybody × every thing × every method: the owner gets in, others learn and change nothing, and
nobody gets in without signing in. The addresses are those of the URLconf: one that has no entry here fails a test.
"""

import re
import uuid
from dataclasses import dataclass, field

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.signing import BadSignature
from django.urls import reverse
from django.utils import timezone

from console.web.streams import chat_ticket, subscription
from jobs.models import DatasetWork, Delivery, RowEdit, SharedFolder
from jobs.services.chat import shared_links
from tests.support import factories
from tests.support.answers import status_of
from tests.support.routes import patterns
from tests.support.share import one_of
from tests.support.stored import path_of as stored_path_of
from tests.support.tables import read_tables

pytestmark = [pytest.mark.django_db, pytest.mark.threat("T1")]
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Route:
    """What the id names, the methods there are, and the rest of the address. `is_of_administrators`: of all of them."""

    thing: str = ""
    methods: tuple[str, ...] = ("GET", "HEAD")
    rest: dict[str, str | int] = field(default_factory=dict)
    is_of_administrators: bool = False


POST = ("POST",)
ALL = ("GET", "HEAD", "POST")
FAMILY: dict[str, str | int] = {"publisher": "google", "slug": "gemma3"}
FOUND = {"groups": [[[1, 100], [2, 100]]], "rows": 2, "extra": 1, "is_cut": False}
NOBODY = "0b1f0e6c-8f3f-4b8e-9c3d-2f6f6f9d9a11"
# Without an id: each shows or changes what is the visitor's own, or everybody's.
PLAIN = {
    "dashboard": Route(),
    "dashboard-section": Route(rest={"section": "jobs"}),
    "model-garden": Route(),
    "model-garden-refresh": Route(methods=POST),
    "model-garden-dismiss": Route(methods=POST),
    "model-deploy-weights": Route(methods=ALL),
    "model-preflight": Route(methods=ALL),
    "model-import": Route(methods=ALL),
    "model-remove": Route(methods=ALL, rest=FAMILY),
    "model-detail": Route(rest=FAMILY),
    "model-deploy": Route(methods=ALL, rest=FAMILY),
    "model-try": Route(methods=ALL, rest=FAMILY),
    "tuning-list": Route(),
    "tuning-view": Route(methods=POST),
    "tuning-export": Route(),
    "tuning-cancel-many": Route(methods=ALL),
    "tuning-remove": Route(methods=ALL),
    "tuning-queue-pause": Route(methods=POST, is_of_administrators=True),
    "tuning-queue-resume": Route(methods=POST, is_of_administrators=True),
    "tuning-compare": Route(),
    "tuning-compare-metrics": Route(),
    "tuning-new": Route(methods=("GET",)),
    "tuning-import": Route(methods=ALL),
    "tuning-drafts": Route(),
    "endpoint-list": Route(),
    "found-list": Route(is_of_administrators=True),
    "found-look": Route(methods=POST, is_of_administrators=True),
    "tuned-models": Route(),
    "storage-browse": Route(),
    "storage-choose": Route(),
    "dataset-list": Route(),
    "dataset-upload": Route(methods=POST),
    "dataset-sample": Route(methods=POST),
    "dataset-image": Route(rest={"file": "x.png"}),
    "dataset-import-begin": Route(methods=POST),
    "chat": Route(methods=ALL),
    "chat-picture-add": Route(methods=POST),
    "chat-list": Route(),
    "chat-delete-many": Route(methods=ALL),
    "chat-dataset-many": Route(methods=ALL),
    "chat-export-many": Route(),
    "chat-links": Route(),
    "compare": Route(methods=ALL),
    "compare-base": Route(methods=POST),
    "notifications": Route(),
    "notifications-latest": Route(),
    "notifications-read": Route(methods=POST),
    "settings": Route(),
    "settings-check": Route(methods=POST),
    "settings-preflight": Route(methods=ALL),
    "settings-connection": Route(),
    "settings-defaults": Route(methods=ALL),
    "settings-appearance": Route(methods=ALL),
    "settings-keys": Route(methods=ALL),
    "settings-security": Route(),
    "settings-password-confirm": Route(methods=POST),
    "session-end-others": Route(methods=POST),
    "confirm": Route(methods=ALL, rest={"pending_id": NOBODY}),
    "settings-spending": Route(methods=ALL),
    "settings-audit": Route(),
    "settings-audit-export": Route(rest={"form": "csv"}),
    "settings-password": Route(methods=POST),
    "settings-notifications": Route(methods=ALL),
    "settings-webhook-secret": Route(methods=POST),
    "settings-email-confirm": Route(methods=ALL, rest={"token": "x"}),
    "settings-notifications-test": Route(methods=POST),
    "settings-storage": Route(methods=ALL, is_of_administrators=True),
    "settings-about": Route(),
    "settings-picture": Route(rest={"name": "a.png"}),
    "settings-document": Route(rest={"slug": "operations"}),
    "search": Route(),
}
# Open to whoever comes: the way in and out, what a link's token opens, and what a supervisor asks.
PUBLIC = {
    "sign-in": Route(methods=ALL),
    "sign-in-link": Route(methods=ALL, rest={"token": "x"}),
    "sign-out": Route(methods=POST),
    "preferences": Route(methods=POST),
    "leave": Route(),
    "shared": Route(rest={"token": "x"}),
    "shared-picture": Route(rest={"token": "x", "picture": NOBODY}),
    "healthz": Route(),
    "readyz": Route(),
    "readyz-of": Route(rest={"kind": "worker"}),
    # Where there is a token, which stands in for signing in.
    "metrics": Route(),
}
ROUTES = {
    "tuning-job": Route("job"),
    "tuning-row": Route("job"),
    "tuning-status": Route("job"),
    "tuning-job-dataset": Route("job"),
    "tuning-job-logs": Route("job"),
    "tuning-job-details": Route("job"),
    "tuning-metrics": Route("job"),
    "tuning-metrics-csv": Route("job"),
    "tuning-events": Route("job"),
    "tuning-log": Route("job"),
    "tuning-sweep": Route("sweep"),
    "tuning-sweep-metrics": Route("sweep"),
    "tuning-sweep-cancel": Route("sweep", POST),
    "tuning-cancel": Route("job", POST),
    "tuning-decide": Route("job", POST),
    "tuning-deploy": Route("job", POST),
    "tuning-clone": Route("job", POST),
    "tuning-continue": Route("job", POST),
    "tuning-retry": Route("job", POST),
    "tuning-fix": Route("job", POST),
    "tuning-job-file": Route("job"),
    "tuning-job-yaml": Route("job"),
    "tuning-draft-yaml": Route("draft"),
    "tuning-take": Route("job", ALL),
    "takeaway-file": Route("takeaway", rest={"number": 0}),
    "takeaway-archive": Route("takeaway"),
    "takeaway-sums": Route("takeaway"),
    "tuning-draft-file": Route("draft"),
    "tuning-output-check": Route("draft", ALL),
    "tuning-preflight": Route("draft", ALL),
    "tuning-move": Route("job", POST),
    "tuning-default-checkpoint": Route("job", POST),
    "tuning-start": Route("draft", ALL),
    "tuning-discard": Route("draft", POST),
    "tuning-draft": Route("draft", ALL, {"step": "name"}),
    "tuning-draft-keep": Route("draft", POST, {"step": "name"}),
    "endpoint-detail": Route("endpoint"),
    "endpoint-row": Route("endpoint"),
    "endpoint-metrics": Route("endpoint"),
    "endpoint-log": Route("endpoint"),
    "endpoint-status": Route("endpoint"),
    "endpoint-undeploy": Route("endpoint", ALL),
    "endpoint-delete": Route("endpoint", ALL),
    "endpoint-detach": Route("endpoint", ALL),
    "found-detail": Route("found", is_of_administrators=True),
    "found-attach": Route("found", POST, is_of_administrators=True),
    "endpoint-replicas": Route("endpoint", ALL),
    "endpoint-lease": Route("endpoint", ALL),
    "endpoint-extend": Route("endpoint", POST),
    "endpoint-again": Route("endpoint", POST),
    "endpoint-fix": Route("endpoint", POST),
    "endpoint-traffic": Route("endpoint", ALL),
    "endpoint-model-add": Route("endpoint", ALL),
    "endpoint-model-undeploy": Route("endpoint", ALL, {"deployed": "4711"}),
    "tuned-model": Route("tuned"),
    "model-import-detail": Route("model_import"),
    "model-import-download": Route("model_import", POST),
    "model-import-pause": Route("model_import", POST),
    "model-import-resume": Route("model_import", POST),
    "model-import-cancel": Route("model_import", POST),
    "dataset-import": Route("import"),
    "dataset-import-cancel": Route("import", POST),
    "dataset-import-again": Route("import", POST),
    "dataset-detail": Route("dataset"),
    "dataset-problems": Route("dataset"),
    "dataset-rows": Route("dataset"),
    "dataset-row": Route("dataset", rest={"line": 1}),
    "dataset-versions": Route("dataset"),
    "dataset-download": Route("dataset"),
    "dataset-edit": Route("dataset", POST),
    "dataset-check": Route("dataset", POST),
    "dataset-convert": Route("dataset", POST),
    "dataset-split": Route("dataset", POST),
    "dataset-delete": Route("dataset", POST),
    "dataset-row-new": Route("dataset", ALL),
    "dataset-row-added": Route("edited", ALL, rest={"number": 4711}),
    "dataset-row-edit": Route("dataset", ALL, rest={"line": 1}),
    "dataset-row-delete": Route("dataset", POST, rest={"line": 1}),
    "dataset-edits": Route("dataset"),
    "dataset-edit-undo": Route("edited", POST, rest={"number": 4711}),
    "dataset-edits-discard": Route("edited", POST),
    "dataset-edits-save": Route("edited", POST),
    "dataset-bad-rows": Route("dataset", POST),
    "dataset-duplicates": Route("dataset", ALL),
    "dataset-duplicates-remove": Route("edited", POST),
    "dataset-changes": Route("edited", ALL),
    "dataset-work": Route("edited", rest={"kind": "search"}),
    "session-end": Route("session", POST),
    "notification": Route("notification"),
    "notification-read": Route("notification", POST),
    "notification-delivery-again": Route("delivery", POST),
    "chat-conversation": Route("conversation"),
    "chat-send": Route("conversation", POST),
    "chat-draft": Route("conversation", POST),
    "chat-options": Route("conversation", POST),
    "chat-delete": Route("conversation", POST),
    "chat-turn": Route("answer"),
    "chat-stop": Route("answer", POST),
    "chat-retry": Route("answer", POST),
    "chat-picture": Route("picture"),
    "chat-picture-remove": Route("picture", POST),
    "chat-picture-alt": Route("picture", POST),
    "chat-row": Route("answer", ALL),
    "chat-drop-oldest": Route("answer", POST),
    "chat-send-all": Route("conversation", POST),
    "chat-continue": Route("answer", POST),
    "chat-edit": Route("question", ALL),
    "chat-show": Route("answer", POST),
    "chat-branch": Route("answer", POST),
    "chat-rate": Route("answer", POST),
    "chat-turn-delete": Route("question", ALL),
    "chat-rename": Route("conversation", ALL),
    "chat-pin": Route("conversation", POST),
    "chat-endpoint": Route("conversation", POST),
    "chat-export": Route("conversation", rest={"form": "md"}),
    "chat-share": Route("conversation", ALL),
    "chat-link-revoke": Route("link", POST),
    "chat-waiting": Route("answer"),
    "chat-code": Route("conversation"),
    "chat-preset-save": Route("conversation", POST),
    "chat-preset-use": Route("conversation", POST),
    "chat-preset-delete": Route("conversation", POST),
    "compare-detail": Route("comparison"),
    "compare-export": Route("comparison", rest={"form": "json"}),
    "compare-base-deploy": Route("endpoint", ALL),
    "compare-waiting": Route("comparison"),
    "compare-send": Route("comparison", POST),
    "compare-draft": Route("comparison", POST),
    "compare-stop-all": Route("comparison", POST),
    "compare-blind": Route("comparison", POST),
    "compare-again": Route("comparison", POST),
    "compare-rename": Route("comparison", ALL),
    "compare-delete": Route("comparison", POST),
    "compare-vote": Route("comparison", POST),
    "compare-reveal": Route("comparison", POST),
    "compare-add": Route("comparison", POST),
    "compare-column-endpoint": Route("column", POST),
    "compare-column-options": Route("column", ALL),
    "compare-column-remove": Route("column", POST),
    "compare-column-send-all": Route("column", POST),
    "compare-drop-oldest": Route("compared", POST),
    "compare-answer": Route("compared"),
    "compare-answer-stop": Route("compared", POST),
    "compare-answer-retry": Route("compared", POST),
    "compare-answer-continue": Route("compared", POST),
    "compare-answer-show": Route("compared", POST),
    "compare-answer-branch": Route("compared", POST),
    "compare-answer-row": Route("compared", ALL),
    "settings-storage-remove": Route("shared_folder", ALL, is_of_administrators=True),
}


def answer():
    talk = factories.conversation()
    factories.message(conversation=talk)
    return factories.message(conversation=talk, role="assistant", state="FAILED")


def column():
    return factories.conversation(comparison=factories.comparison())


def compared():
    talk = column()
    factories.message(conversation=talk)
    return factories.message(conversation=talk, role="assistant", content="Arr")


def link():
    talk = answer().conversation
    return shared_links.share(talk)[0]


def added_row(made=None):
    made = made or factories.dataset()
    RowEdit.objects.create(pk=4711, dataset=made, text='{"prompt": "a", "completion": "b"}')
    return made


def search_of(made=None):
    made = made or factories.dataset()
    DatasetWork.objects.create(dataset=made, kind="search", options={"similarity": 0}, result=FOUND, state="READY")
    return made


def second_version():
    made = factories.dataset()
    return factories.dataset(family=made.family, version=2)


def edited():
    """A version that has one before, with a row that was added and a search for duplicates."""
    made = second_version()
    added_row(made)
    return search_of(made)


THINGS = {
    "edited": edited,
    "question": lambda: answer().parent,
    "link": link,
    "comparison": factories.comparison,
    "column": column,
    "compared": compared,
    "job": factories.job,
    "sweep": factories.sweep,
    "tuned": lambda: factories.job(state="SUCCEEDED"),
    "takeaway": factories.takeaway,
    "draft": factories.draft,
    "endpoint": factories.ready_endpoint,
    "found": factories.found_resource,
    "dataset": factories.dataset,
    "import": factories.dataset_import,
    "model_import": factories.model_import,
    "conversation": factories.conversation,
    "answer": answer,
    "picture": factories.picture,
    "session": factories.session,
    "notification": factories.notification,
    "delivery": lambda: Delivery.objects.create(notification=factories.notification(), way="email", state="FAILED"),
    "shared_folder": lambda: SharedFolder.objects.create(uri="gs://team-bucket/base", created_by=factories.owner()),
}


def administrator():
    return factories.user(username="administrator", is_superuser=True)


OTHERS = {"team_mate": factories.team_mate, "stranger": factories.stranger, "administrator": administrator}


def converters():
    return {pattern.name: pattern.pattern.converters for pattern in patterns()}


def address(name, pk=None):
    route = ROUTES.get(name) or PLAIN.get(name) or PUBLIC[name]
    return reverse(name, kwargs=({"pk": pk} if pk else {}) | route.rest)


def kept():
    """All rows of the domain and all accounts: what a refused request must leave as it was."""
    return read_tables([User, *apps.get_app_config("jobs").get_models()])


def each_route(*, always: int = 2):
    return pytest.mark.parametrize("name", one_of(always, sorted(ROUTES)))


def test_every_address_is_listed_here():
    with_id = {name for name, converters in converters().items() if "pk" in converters}
    assert with_id == set(ROUTES)
    assert set(converters()) - with_id == set(PLAIN) | set(PUBLIC)


@each_route()
def test_the_owner_gets_in(client, owner, name):
    url = address(name, THINGS[ROUTES[name].thing]().pk)
    client.force_login(owner)
    statuses = [status_of(client.generic(method, url)) for method in ROUTES[name].methods]
    # The last of several methods may find that an earlier one has removed the thing.
    assert [status for status in statuses[:-1] or statuses if status in {401, 403, 404, 405, 500}] == []


@each_route(always=1)
@pytest.mark.parametrize("who", one_of(len(OTHERS), OTHERS))
def test_somebody_else_learns_and_changes_nothing(client, owner, name, who):
    url, other = address(name, THINGS[ROUTES[name].thing]().pk), OTHERS[who]()
    if other.is_superuser and ROUTES[name].is_of_administrators:
        pytest.skip("What is of one administrator is of all of them.")
    client.force_login(other)
    before = kept()
    refusals = {method: {404} if method in ROUTES[name].methods else {404, 405} for method in METHODS}
    answers = {method: client.generic(method, url).status_code for method in METHODS}
    assert {method: status for method, status in answers.items() if status not in refusals[method]} == {}
    assert kept() == before


@pytest.mark.slow
def test_no_id_of_any_thing_opens_any_address_to_somebody_else(client, owner, monkeypatch):
    """Also where the address is for another kind of thing. It takes long, and once a minute the use of a session is
    noted."""
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    ids = {kind: make().pk for kind, make in THINGS.items()}
    client.force_login(factories.stranger())
    before = kept()
    opened = [
        (name, kind, method)
        for name, route in ROUTES.items()
        for kind, pk in ids.items()
        for method in route.methods[-1:]
        if client.generic(method, address(name, pk)).status_code != 404
    ]
    assert (opened, kept() == before) == ([], True)


def led_to_sign_in(client, url):
    answers = [client.generic(method, url) for method in METHODS]
    return [(one.status_code, one.get("Location")) for one in answers] == [(302, f"{SIGN_IN}{url}")] * len(METHODS)


SIGN_IN = "/accounts/sign-in/?next="


@each_route()
def test_nobody_has_to_sign_in_first(client, owner, name):
    url = address(name, THINGS[ROUTES[name].thing]().pk)
    before = kept()
    assert (led_to_sign_in(client, url), kept() == before) == (True, True)


@each_route()
@pytest.mark.slow
def test_who_has_no_account_any_more_is_nobody(client, owner, name):
    """Even the owner, with a session from before."""
    url = address(name, THINGS[ROUTES[name].thing]().pk)
    client.force_login(owner)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    before = kept()
    assert (led_to_sign_in(client, url), kept() == before) == (True, True)


@pytest.mark.parametrize("name", one_of(3, sorted(PLAIN)))
def test_without_an_id_nobody_has_to_sign_in_first_either(client, owner, name):
    before = kept()
    assert (led_to_sign_in(client, address(name)), kept() == before) == (True, True)
    client.force_login(owner)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    before = kept()
    assert (led_to_sign_in(client, address(name)), kept() == before) == (True, True)


@pytest.mark.parametrize("name", one_of(2, sorted({**PLAIN, **PUBLIC})))
def test_a_method_that_an_address_does_not_have_changes_nothing(client, owner, stranger, name):
    route = PLAIN.get(name) or PUBLIC[name]
    client.force_login(stranger)
    before = kept()
    for method in set(METHODS) - set(route.methods):
        refusals = {404, 405} if route.is_of_administrators else {405}
        assert (method, client.generic(method, address(name)).status_code in refusals) == (method, True)
    assert kept() == before


@pytest.mark.parametrize("name", sorted(name for name, route in PLAIN.items() if route.is_of_administrators))
def test_pages_of_administrators_are_not_there_for_others(client, stranger, name):
    client.force_login(stranger)
    assert {client.generic(method, address(name)).status_code for method in PLAIN[name].methods} == {404}


@each_route()
def test_what_is_not_there_looks_like_what_is_somebody_elses(client, owner, name):
    client.force_login(owner)
    assert client.generic(ROUTES[name].methods[0], address(name, uuid.uuid4())).status_code == 404


@each_route()
def test_a_fragment_is_told_to_sign_in_as_a_whole_page(client, owner, name):
    url = address(name, THINGS[ROUTES[name].thing]().pk)
    response = client.generic(ROUTES[name].methods[0], url, HTTP_HX_REQUEST="true")
    assert (response.status_code, response["HX-Redirect"][:19]) == (286, "/accounts/sign-in/?")


def test_a_ticket_of_a_stream_is_of_no_use_to_somebody_else(client, owner, stranger):
    client.force_login(owner)
    page, session = client.get("/").content.decode(), client.session.session_key
    ticket = re.search(r"/streams/live\?ticket=([^\"&]+)", page)[1]
    answered = answer()
    path, chat = f"/streams/chat/{answered.pk}", chat_ticket(str(answered.pk), owner.pk, session)
    assert subscription("/streams/live", ticket, session).keys == (f"live:user:{owner.pk}".encode(),)
    assert subscription(path, chat, session).user_id == owner.pk

    client.force_login(stranger)
    theirs = client.session.session_key
    for path_of, ticket_of in (("/streams/live", ticket), (path, chat)):
        for key in (theirs, "", session[::-1]):
            with pytest.raises(BadSignature):
                subscription(path_of, ticket_of, key)
    own = re.search(r"/streams/live\?ticket=([^\"&]+)", client.get("/").content.decode())[1]
    assert subscription("/streams/live", own, theirs).keys == (f"live:user:{stranger.pk}".encode(),)


def test_a_link_opens_its_chat_until_it_is_revoked_and_no_other(client, owner, stranger):
    mine, theirs = factories.conversation(title="Of the owner"), factories.conversation(owner=stranger)
    secret = factories.picture(message=factories.message(conversation=mine, content="Secret"))
    factories.message(conversation=theirs, content="Open")
    (revoked, old), (_link, token) = shared_links.share(mine), shared_links.share(theirs)
    opened = client.get(f"/shared/{old}/pictures/{secret.pk}")
    assert opened.content == stored_path_of(secret).read_bytes()
    shared_links.revoke(revoked)
    before = kept()
    closed = [f"/shared/{old}/", f"/shared/{old}/pictures/{secret.pk}", f"/shared/{token}/pictures/{secret.pk}"]
    closed += [f"/shared/{token[:-1]}/", f"/shared/{mine.pk}/", f"/shared/{revoked.pk}/", f"/shared/{token}%00/"]
    assert {url: client.get(url).status_code for url in closed} == dict.fromkeys(closed, 404)
    page = client.get(f"/shared/{token}/").content.decode()
    assert ("Open" in page, "Secret" in page, kept() == before) == (True, False, True)

from datetime import timedelta

import pytest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import strip_tags

from console.views.accounts import reauthentication
from console.web.sessions import row_id
from jobs import live
from jobs.models import SignedInSession
from jobs.services.accounts import accounts

pytestmark = pytest.mark.django_db
BY_HAND = {"HTTP_SEC_FETCH_MODE": "navigate", "HTTP_SEC_FETCH_SITE": "none"}


def sign_in(client, password="correct horse battery", username="owner", **more):
    return client.post("/accounts/sign-in/", {"username": username, "password": password, **more})


def is_signed_in(client):
    return "_auth_user_id" in client.session


def words(response):
    return " ".join(strip_tags(response.content.decode()).split())


def link(user, minutes=15):
    return f"/accounts/link/{accounts.issue_link(user, valid=timedelta(minutes=minutes))}/"


def test_a_password_signs_in(client, owner):
    response = sign_in(client)
    assert (response.status_code, response.url, is_signed_in(client)) == (303, "/", True)


def test_it_goes_on_where_the_person_wanted_to_go(client, owner):
    assert sign_in(client, next="/tuning/").url == "/tuning/"


def test_it_never_leads_to_another_site(client, owner):
    assert sign_in(client, next="https://example.com/").url == "/"


def test_a_page_asks_for_a_sign_in_and_remembers_the_way(client):
    response = client.get("/tuning/")
    assert (response.status_code, response.url) == (302, "/accounts/sign-in/?next=/tuning/")


def test_a_wrong_password_and_an_unknown_name_look_the_same(client, owner):
    wrong, unknown = sign_in(client, "wrong"), sign_in(client, username="nobody")
    assert [wrong.status_code, unknown.status_code] == [422, 422]
    assert wrong.context["form"].errors == unknown.context["form"].errors


def test_what_was_typed_stays_but_not_the_password(client, owner):
    page = sign_in(client, "wrong-password").content.decode()
    assert ('value="owner"' in page, "wrong-password" in page) == (True, False)


def test_after_a_few_failures_the_right_password_has_to_wait(client, owner, limits):
    for _ in range(10):
        sign_in(client, "wrong")
    response = sign_in(client)
    assert (response.status_code, is_signed_in(client)) == (429, False)
    assert ("Wait 1 second, then" in response.content.decode(), response["Retry-After"]) == (True, "1")


def test_failures_on_other_names_count_for_the_network(client, owner, limits):
    for number in range(10):
        sign_in(client, username=f"name{number}")
    assert sign_in(client).status_code == 429


def test_failures_elsewhere_count_for_the_account(client, owner, limits):
    for number in range(10):
        client.post("/accounts/sign-in/", {"username": "OWNER", "password": "no"}, REMOTE_ADDR=f"10.0.{number}.1")
    assert sign_in(client)["Retry-After"] in {"19", "20"}


def test_an_empty_password_is_no_attempt(client, owner, limits):
    assert [sign_in(client, "").status_code for _ in range(12)] == [422] * 12
    assert sign_in(client).status_code == 303


def test_signing_in_is_no_failure(client, owner, limits):
    for _ in range(12):
        assert sign_in(client).status_code == 303
        client.logout()


def test_somebody_signed_in_is_sent_on(client, owner):
    client.force_login(owner)
    assert client.get("/accounts/sign-in/").status_code == 303


def test_signing_out_takes_a_post(client, owner):
    client.force_login(owner)
    assert client.get("/accounts/sign-out/").status_code == 405
    response = client.post("/accounts/sign-out/")
    assert (response.status_code, response.url, is_signed_in(client)) == (303, "/accounts/sign-in/", False)
    assert response["Clear-Site-Data"] == '"storage"'


def test_a_link_opened_by_hand_signs_in(client, owner):
    response = client.get(link(owner), **BY_HAND)
    assert (response.status_code, response.url, is_signed_in(client)) == (303, "/", True)


def test_a_link_works_once(client, owner):
    url = link(owner)
    client.get(url, **BY_HAND)
    client.logout()
    response = client.get(url, **BY_HAND)
    assert (response.status_code, is_signed_in(client)) == (410, False)


def test_opening_the_used_link_again_while_signed_in_goes_on(client, owner):
    url = link(owner)
    client.get(url, **BY_HAND)
    assert client.get(url, **BY_HAND).status_code == 303


def test_a_link_is_too_old_after_its_time(client, owner):
    assert client.get(link(owner, minutes=-1), **BY_HAND).status_code == 410


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"HTTP_SEC_FETCH_MODE": "no-cors", "HTTP_SEC_FETCH_SITE": "none"},
        {**BY_HAND, "HTTP_SEC_PURPOSE": "prefetch"},
        {**BY_HAND, "HTTP_SEC_FETCH_SITE": "cross-site"},
    ],
)
def test_a_preview_gets_a_button_and_burns_nothing(client, owner, headers):
    url = link(owner)
    assert client.head(url, **headers).status_code == 200
    response = client.get(url, **headers)
    assert (response.status_code, is_signed_in(client), "signed in as owner" in response.content.decode()) == (
        200,
        False,
        True,
    )
    assert client.post(url).status_code == 303
    assert is_signed_in(client)


def test_a_link_of_nobody_is_refused(client):
    response = client.post("/accounts/link/made-up/")
    assert (response.status_code, "has expired or was already used" in response.content.decode()) == (410, True)


def test_an_empty_form_says_what_to_write(client, db):
    page = client.post("/accounts/sign-in/", {})
    errors = {name: list(found) for name, found in page.context["form"].errors.items()}
    assert errors == {"username": ["Enter your username."], "password": ["Enter your password."]}


@pytest.fixture
def pages(settings, redis_url, broker):
    """What Redis tells the pages of a session; they read it in console/web/streams.py."""
    settings.REDIS_URL = redis_url
    return lambda session: broker.exists(live.over(live.seal(session)))


def test_signing_out_ends_the_live_pages_of_the_session(client, owner, pages):
    client.force_login(owner)
    session = client.session.session_key
    assert pages(session) == 0
    client.post("/accounts/sign-out/")
    assert pages(session) == 1


def test_another_persons_sign_in_ends_the_live_pages_before(client, owner, team_mate, pages):
    client.force_login(owner)
    session = client.session.session_key
    client.get(link(team_mate), **BY_HAND)
    assert (pages(session), pages(client.session.session_key)) == (1, 0)


def test_without_redis_a_person_can_sign_out(client, owner):
    client.force_login(owner)
    client.post("/accounts/sign-out/")
    assert not is_signed_in(client)


@pytest.mark.parametrize("lost", ["disabled", "deleted", "password"])
def test_an_account_that_changed_elsewhere_has_no_live_pages_and_others_keep_theirs(
    client, owner, team_mate, pages, lost
):
    """By another page, by a command, in the database."""
    sessions = []
    for person in (owner, team_mate):
        client.cookies.clear()
        client.force_login(person)
        sessions.append(client.session.session_key)
    accounts.end_lost_sessions(timezone.now())
    assert [pages(session) for session in sessions] == [0, 0]
    mate = type(owner).objects.filter(pk=team_mate.pk)
    {
        "disabled": lambda: mate.update(is_active=False),
        "deleted": mate.delete,
        "password": lambda: mate.update(password="!"),
    }[lost]()
    accounts.end_lost_sessions(timezone.now())
    assert [pages(session) for session in sessions] == [0, 1]
    assert [row.pk for row in SignedInSession.objects.all()] == [row_id(sessions[0])]


def test_a_link_opened_in_an_open_session_confirms_it_and_gives_it_a_new_key(client, owner, pages):
    client.force_login(owner)
    before = client.session.session_key
    response = client.get(link(owner), **BY_HAND)
    assert (response.status_code, response.url, is_signed_in(client)) == (303, "/", True)
    assert (client.session.session_key != before, pages(before)) == (True, 1)


def test_a_preview_in_an_open_session_asks_first(client, owner):
    client.force_login(owner)
    assert "Continue to confirm that it is you" in client.get(link(owner)).content.decode()


@pytest.fixture
def default_folder(settings):
    settings.DATA_DIR = settings.BASE_DIR / "data"


def test_the_sign_in_page_names_the_command_that_signs_in_another_browser(client, default_folder, db):
    text = words(client.get("/accounts/sign-in/"))
    command = f"{reauthentication.base_command()} in the folder of the console. It prints a new link."
    assert f"No link, or another browser? Run {command}" in text
    assert "--data-dir" not in text


def test_it_says_that_another_data_directory_has_to_be_named_and_not_which(client, settings, db):
    text = words(client.get("/accounts/sign-in/"))
    assert "manage.py sign-in-link --data-dir FOLDER in the folder of the console." in text
    assert "FOLDER is the data directory with which the console was started." in text
    assert str(settings.DATA_DIR) not in text


def test_it_speaks_of_a_printed_link_where_one_was_printed(client, settings, db):
    printed = "The link that the console prints when it starts"
    assert printed not in words(client.get("/accounts/sign-in/"))
    (settings.DATA_DIR / "run").mkdir()
    (settings.DATA_DIR / "run" / "processes.json").write_text("{}")
    assert printed in words(client.get("/accounts/sign-in/"))


def test_in_a_container_the_command_is_that_of_the_documents(settings):
    facts = reauthentication.new_link_facts(reauthentication.IMAGE_PYTHON)
    assert facts["link_command"] in (settings.BASE_DIR / "docs/access.md").read_text()
    assert (
        f"python -m venv --without-pip {reauthentication.IMAGE_PYTHON}"
        in (settings.BASE_DIR / "Dockerfile").read_text()
    )
    text = " ".join(strip_tags(render_to_string("accounts/new_link.html", facts)).split())
    assert text == (
        "No link, or another browser? Run docker compose exec web python manage.py sign-in-link NAME in the folder of "
        "docker-compose.yml, with the name of your account for NAME. It prints a new link."
    )
    own = reauthentication.link_command("crew mate", reauthentication.IMAGE_PYTHON)
    assert own == "docker compose exec web python manage.py sign-in-link 'crew mate'"


def test_a_used_link_names_the_command_as_well(client, default_folder, db):
    assert reauthentication.base_command() in words(client.get("/accounts/link/used/"))

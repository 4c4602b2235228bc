import re
from datetime import datetime, timedelta

import pytest
from django.test import RequestFactory
from django.utils import timezone, translation

from console.context_processors import navigation, project, shell, theme_of
from console.templatetags import console as tags
from tests.support import factories


def current(path):
    return [item.view for section in navigation(path) for item in section.entries if item.current]


@pytest.mark.parametrize(
    ("path", "view"),
    [
        ("/", "dashboard"),
        ("/tuning/jobs/1/", "tuning-list"),
        ("/publishers/google/model-garden/gemma3/", "model-garden"),
        ("/studio/chat/", "chat"),
        ("/studio/compare/", "compare"),
        ("/endpoints/", "endpoint-list"),
    ],
)
def test_the_navigation_marks_where_the_page_is(path, view):
    assert current(path) == [view]


def test_every_entry_has_its_own_key():
    keys = [item.key for section in navigation("/") for item in section.entries]
    assert len(set(keys)) == len(keys)


def test_the_local_project_says_that_it_is_local(settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:9"
    assert project()["title"] == "Local Vertex AI"


def test_a_cloud_project_is_named(settings):
    settings.VERTEX_API_ENDPOINT = ""
    settings.VERTEX_PROJECT = "my-project"
    assert project() == {"title": "my-project", "hint": "my-project · us-central1"}


@pytest.mark.parametrize(("cookie", "theme"), [("dark", "dark"), ("light", "light"), ("system", ""), ('"><b', "")])
def test_only_a_known_theme_is_taken(cookie, theme):
    request = RequestFactory().get("/")
    request.COOKIES["theme"] = cookie
    assert theme_of(request) == theme


def test_a_request_without_user_has_neither_navigation_nor_stream():
    assert {"nav", "live_url"} & set(shell(RequestFactory().get("/"))) == set()


def test_the_sign_in_page_shows_no_navigation(client, db):
    page = client.get("/accounts/sign-in/").content.decode()
    assert (page.count("<h1"), 'id="nav"' in page, "hx-sse" in page.split("<body")[1]) == (1, False, False)


def test_choosing_a_theme_is_remembered_by_the_browser(client, db):
    response = client.post("/preferences/", {"theme": "dark", "next": "/tuning/"})
    assert (response.status_code, response["Location"], response.cookies["theme"].value) == (303, "/tuning/", "dark")


def test_the_theme_of_the_system_forgets_the_choice(client, db):
    client.cookies["theme"] = "dark"
    assert client.post("/preferences/", {"theme": "system"}).cookies["theme"].value == ""


def test_choosing_a_language_changes_the_pages(client, db):
    client.post("/preferences/", {"language": "ko"})
    assert '<html lang="ko"' in client.get("/accounts/sign-in/").content.decode()


@pytest.mark.parametrize("data", [{"theme": "pink"}, {"language": "tlh"}])
def test_an_unknown_choice_is_not_kept(client, db, data):
    assert "pink" not in str(client.post("/preferences/", data).cookies)


@pytest.mark.parametrize(
    ("state", "icon", "look"),
    [("RUNNING", "progress_activity", "run spin"), ("SUCCEEDED", "check_circle", "ok"), ("NEW_ONE", "schedule", "off")],
)
def test_a_state_has_icon_and_word(state, icon, look):
    shown = tags.status(state)
    assert (
        f'<span class="st {look}">' in shown,
        f"#{icon}" in shown,
        state.replace("_", " ").capitalize() in shown,
    ) == (True,) * 3


def test_a_live_element_listens_for_its_topic_and_for_gaps():
    expected = 'hx-trigger="job-7 from:body throttle:500ms, live-refresh from:body throttle:500ms"'
    assert tags.live_trigger("job-", 7) == expected


def test_a_topic_cannot_leave_its_attribute():
    assert '"><' not in tags.live_trigger('x"><script>')


def test_a_time_is_relative_and_keeps_the_exact_one():
    shown = tags.ago(timezone.now() - timedelta(hours=3, minutes=10))
    assert re.search(r'datetime="\S+" title="[^"]+" data-controller="relative-time">3\xa0hours ago<', shown)


def test_no_time_is_a_dash():
    assert "–" in tags.ago(None)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (12.4, "12 s"), (245, "4 min 5 s"), (12_000, "3 h 20 min"), (timedelta(minutes=1), "1 min 0 s")],
)
def test_a_duration_has_two_units_at_most(seconds, text):
    assert tags.duration(seconds) == text


@pytest.mark.parametrize(("number", "text"), [(None, "–"), (900, "900"), (1204, "1.2 K"), (3_000_000, "3.0 M")])
def test_a_large_number_is_shortened(number, text):
    assert tags.compact(number) == text


def test_the_shell_speaks_korean():
    with translation.override("ko"):
        assert tags.ago(datetime.now().astimezone()).endswith(">방금</time>")


@pytest.mark.parametrize("server", ["http://127.0.0.1:9", ""])
def test_money_and_the_hours_of_google_are_told_where_they_are_true(client, owner, settings, server):
    settings.VERTEX_API_ENDPOINT = server
    client.force_login(owner)
    factories.publisher_model()
    checkpoints = [{"checkpoint_id": "1", "epoch": 1, "step": 5}]
    done = factories.job(state="SUCCEEDED", phase="CLOSED", checkpoints=checkpoints)
    running = factories.job(state="RUNNING", phase="BOUND", output_uri="gs://b/2", dataset=done.dataset)
    coming = factories.endpoint(
        state="DEPLOYING",
        phase="BOUND",
        stage="STARTING_MODEL_SERVER",
        stage_times=[["STARTING_MODEL_SERVER", timezone.now().isoformat()]],
    )
    model = "/publishers/google/model-garden/gemma3/?action=deploy"
    said = {
        f"/tuning/jobs/{done.pk}/": "costs money until you undeploy it",
        f"/tuning/jobs/{running.pk}/": "Vertex AI may list checkpoints only after tuning ends",
        f"/endpoints/{coming.pk}/": "a large one up to an hour",
        model: "and costs money, until you undeploy it",
        "/model-garden/?action=deploy-weights": "and costs money, until you undeploy it",
        "/studio/chat/": "This takes a few minutes.",
    }
    found = {path: words in " ".join(client.get(path).content.decode().split()) for path, words in said.items()}
    assert found == dict.fromkeys(said, not server)

"""The tabs of the settings that tell: status, connection, about."""

import json
import os
import re
from datetime import timedelta

import pytest
from django.utils import timezone

from console.presenters.health import documents, status_page
from console.presenters.health.status_words import ENTRIES, Card
from jobs.models import Heartbeat, ProbeResult, ProcessReport, ServiceState
from jobs.services.health.status import Service, count_states, list_services
from tests.support.stores import use

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def page(client, owner):
    client.force_login(owner)
    return lambda path="/settings/", **headers: client.get(path, **headers)


@pytest.fixture
def all_well(settings, broker, redis_url):
    settings.REDIS_URL = redis_url
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": "console:"}
    now = timezone.now()
    for name in ("worker", "beat"):
        Heartbeat.objects.create(name=name, seen_at=now)
    for name in ("storage", "vertex", "clock"):
        ProbeResult.objects.create(name=name, state="ok", latency_ms=12, checked_at=now)
    for kind in ("web", "worker", "chat"):
        ProcessReport.objects.create(kind=kind, host="here", pid=7, version="0.1.0", since=now, seen_at=now)


def words(response):
    return " ".join(response.content.decode().split())


def probed(name, state, seconds_ago=0, **values):
    at = timezone.now() - timedelta(seconds=seconds_ago)
    return ProbeResult.objects.create(name=name, state=state, checked_at=at, **values)


def test_all_systems_work(page, all_well):
    text = words(page())
    assert ("All services working" in text, text.count("Not working"), text.count("Unknown<")) == (True, 0, 0)


def test_the_broker_tells_how_much_waits(all_well, broker):
    broker.lpush("console:jobs", "a", "b")
    found = {part.name: part for part in list_services(timezone.now())}
    assert found["broker"].facts == {"queues": {"jobs": 2, "chat": 0}}


def test_many_messages_need_attention(all_well, broker):
    broker.lpush("console:chat", *range(600))
    assert count_states(list_services(timezone.now()))[ServiceState.WARNING] == 1


def test_the_failing_part_comes_first_with_what_stops_and_the_command(page, all_well):
    ProbeResult.objects.filter(name="vertex").update(state="failed", detail="No credentials were found.")
    response = page()
    assert [card.service.name for card in response.context["cards"]][:2] == ["vertex", "database"]
    text = words(response)
    for wanted in ("1 problem", "No credentials were found.", "What stops:", "gcloud auth application-default login"):
        assert wanted in text


@pytest.mark.parametrize("path", ["/settings/", "/settings/connection/"])
def test_without_credentials_the_advice_is_about_them(page, all_well, path):
    """Rights on the bucket or another start would not help."""
    sentence = "The credentials file /run/<b> cannot be read: it belongs to user 1000 with mode 0600."
    failed = {"state": "failed", "detail": sentence, "facts": {"lacks": "credentials"}}
    ProbeResult.objects.filter(name__in=("storage", "vertex")).update(**failed)
    text = words(page(path))
    assert text.count("The credentials file /run/&lt;b&gt; cannot be read") >= 2
    assert text.count("Give the workers credentials that they can read") == 2
    assert ("docker compose exec worker-jobs" in text, "add-iam-policy-binding" in text) == (True, False)


def test_what_was_checked_long_ago_is_never_green(page, all_well):
    ProbeResult.objects.update(checked_at=timezone.now() - timedelta(minutes=4))
    assert page().context["overall"] == "3 services have an unknown status"


def test_htmx_gets_the_cards_alone(page, all_well):
    text = words(page(**HTMX))
    assert ("<html" in text, 'id="status-parts"' in text) == (False, True)


def test_a_command_names_the_bucket_that_is_configured(page, settings):
    settings.VERTEX_BUCKET = "gs://my-bucket/some/path"
    probed("storage", "failed", detail="No rights.")
    assert "add-iam-policy-binding gs://my-bucket --member" in words(page())


def test_check_now_asks_the_worker(client, page, sent):
    response = client.post("/settings/check/", {"next": "/settings/connection/"})
    assert (sent(), response.status_code, response["Location"]) == (
        [("status.probe", {})],
        303,
        "/settings/connection/",
    )


def test_check_now_says_when_nobody_can_be_asked(client, page, no_broker):
    response = client.post("/settings/check/", **HTMX)
    assert (response.status_code, "the broker isn't responding" in response["HX-Trigger"]) == (204, True)


def test_the_connection_says_where_each_value_comes_from(page, monkeypatch):
    monkeypatch.setenv("VERTEX_PROJECT", "garden-local")
    monkeypatch.delenv("VERTEX_LOCATION")
    text = words(page("/settings/connection/"))
    assert "From the environment variable VERTEX_PROJECT" in text
    assert "Default. To change it, set VERTEX_LOCATION" in text


def test_the_steps_of_the_last_test_are_shown(page):
    steps = [{"name": "credentials", "state": "ok"}, {"name": "api", "state": "failed"}]
    steps.append({"name": "rights", "state": "unknown"})
    probed("vertex", "failed", detail="No answer.", facts={"steps": steps, "credentials": "user"})
    text = words(page("/settings/connection/"))
    assert [text.count(word) for word in ("Works:", "Fails:", "Not tried:")] == [1, 1, 1]
    assert "User account (gcloud)" in text


def test_on_a_local_run_nothing_is_said_of_google_cloud(page, settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:8085"
    steps = [{"name": "credentials", "state": "ok"}, {"name": "api", "state": "failed"}]
    probed("vertex", "failed", detail="No answer.", facts={"steps": steps, "credentials": "none"})
    probed("storage", "failed", detail="No answer.")
    text = words(page("/settings/connection/"))
    for wanted in (
        "Find credentials (none needed)",
        "Reach the local Vertex AI",
        "restart the console",
        "manage.py up",
    ):
        assert wanted in text
    for google in ("gcloud", "its API enabled", "doesn&#x27;t report them"):
        assert google not in text


SECRET_TEXTS = [
    ("redis://:hunter2@127.0.0.1:6379/0", "redis://…@127.0.0.1:6379/0"),
    ("postgres://me:pw@db/x", "postgres://…@db/x"),
    ("token ya29.a0AfH6SMB-x_y was refused", "token … was refused"),
    ("ann.lee@example.com lacks a role", "…@example.com lacks a role"),
    ("password=hunter2 x", "password=… x"),
    ('"private_key": "-----BEGIN"', '"private_key": …'),
    ("eyJhbGciOi.J9.abc", "…"),
]


@pytest.mark.parametrize(("text", "shown"), SECRET_TEXTS)
def test_diagnostics_hold_no_secret(text, shown):
    assert status_page.redact(text) == shown


def test_diagnostics_tell_each_part_and_no_account(page):
    probed("vertex", "failed", detail="ann@example.com may not.", facts={"principal": "ann@example.com"})
    text = page().context["diagnostics"]
    assert ("vertex: failed" in text, "Garden Console 0.1.0" in text, "ann@" in text) == (True, True, False)


def test_about_tells_version_licences_and_documentation(page):
    text = words(page("/settings/about/"))
    for wanted in ("0.1.0", "SIL OFL 1.1", "Gemma Terms of Use", "/settings/about/operations/"):
        assert wanted in text


def test_a_document_is_read_in_the_console(page):
    assert "manage.py backup /backups/console.zip" in page("/settings/about/operations/").content.decode()
    assert page("/settings/about/secrets/").status_code == 404


def test_the_tour_shows_its_pictures_and_leads_to_its_translation(page):
    tour = page("/settings/about/tour/").content.decode()
    addresses = re.findall(r'<img class="shot" src="([^"]+)"', tour)
    assert len(addresses) == (documents.DOCS / "tour.md").read_text().count("](images/")
    assert {page(address)["Content-Type"] for address in addresses} == {"image/webp"}
    assert '<a href="/settings/about/tour.ko/"' in tour
    assert '<article class="card" lang="ko"' in page("/settings/about/tour.ko/").content.decode()
    assert page("/settings/about/images/../tour.md").status_code == 404


@pytest.mark.parametrize("rows", [1, 3])
def test_the_page_takes_the_same_queries(page, django_assert_num_queries, rows):
    for name in ("storage", "vertex", "clock")[:rows]:
        probed(name, "ok")
    page()
    with django_assert_num_queries(11):
        page()


@pytest.mark.parametrize(
    ("milliseconds", "words_shown"), [(None, ""), (0.3, "less than 1 ms"), (12.4, "12 ms"), (10_011, "10.0 s")]
)
def test_a_latency_is_never_nothing(milliseconds, words_shown):
    assert Card(Service("live", ServiceState.OK, latency_ms=milliseconds)).latency == words_shown


def test_every_part_has_its_words(settings):
    use(settings, "gs://files/console?endpoint_url=http://127.0.0.1:1")
    assert {part.name for part in list_services(timezone.now())} == set(ENTRIES)


RECORD = {
    "url": "",
    "children": [
        {
            "name": "chat", "pid": 4711, "since": "2026-11-29T02:12:49+00:00", "runs": True, "restarts": 2,
            "reason": "did not respond for 20 s", "restarted_at": "2026-11-29T02:12:49+00:00",
        }
    ],
}  # fmt: skip


def record(settings, text):
    (settings.DATA_DIR / "run").mkdir()
    (settings.DATA_DIR / "run/processes.json").write_text(text)


def test_what_the_supervisor_did_is_shown(page, settings):
    record(settings, json.dumps(RECORD | {"pid": os.getpid()}))
    response = page()
    text = words(response)
    for wanted in ("Processes on this machine", "4711", "did not respond for 20 s"):
        assert wanted in text
    assert (
        "process chat 4711: since 2026-11-29T02:12:49+00:00, started again 2 times" in response.context["diagnostics"]
    )


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"pid": "x"}', '{"pid": 1, "children": [{}]}', json.dumps(RECORD | {"pid": 2**22 + 1})]
)
def test_a_record_that_is_torn_or_of_a_supervisor_that_is_gone_is_not_shown(page, settings, text):
    record(settings, text)
    assert "Processes on this machine" not in words(page())


def test_each_gpu_of_the_machine_that_computes_is_listed_with_its_memory(page):
    gpus = [{"name": "NVIDIA <L4>", "total": 24 * 2**30, "free": 20 * 2**30}]
    gpus.append({"name": "Tesla T4", "total": 15 * 2**30, "free": 15 * 2**30})
    probed("vertex", "ok", facts={"steps": [], "gpus": gpus})
    text = words(page()).replace("\xa0", " ")
    assert re.findall(r"<dt>GPU</dt><dd>(.*?)</dd>", text) == [
        "NVIDIA &lt;L4&gt; · 20.0 GB of 24.0 GB free", "Tesla T4 · 15.0 GB of 15.0 GB free",
    ]  # fmt: skip

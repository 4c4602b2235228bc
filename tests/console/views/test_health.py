from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from jobs.files.address import storage_of
from jobs.models import Heartbeat, ProcessReport
from jobs.services.health import readiness

pytestmark = pytest.mark.django_db


def beat(seconds_ago, chat_seconds_ago=2, scheduler_seconds_ago=2):
    now = timezone.now()
    Heartbeat.objects.create(name="worker", seen_at=now - timedelta(seconds=seconds_ago))
    Heartbeat.objects.create(name="beat", seen_at=now - timedelta(seconds=scheduler_seconds_ago))
    seen_at = now - timedelta(seconds=chat_seconds_ago)
    ProcessReport.objects.create(kind="chat", host="here", pid=7, version="0.1.0", since=seen_at, seen_at=seen_at)


def test_the_process_is_alive_without_a_sign_in(client):
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


WEB = ("database", "migrations", "broker", "files", "disk")
PROCESSES = ("worker", "scheduler", "chat")


def fine(*names):
    return dict.fromkeys(names, "ok")


def failing(response):
    return {name: text for name, text in response.json()["checks"].items() if text != "ok"}


def test_ready_when_all_parts_work(client, settings, redis_url):
    settings.REDIS_URL = redis_url
    beat(2)
    response = client.get("/readyz")
    told = {"status": "ok", "checks": fine(*WEB), "processes": fine(*PROCESSES)}
    assert (response.status_code, response.json()) == (200, told)
    response = client.get("/readyz/all")
    assert (response.status_code, response.json()) == (200, {"status": "ok", "checks": fine(*WEB, *PROCESSES)})
    assert {kind: client.get(f"/readyz/{kind}").json()["checks"] for kind in ("web", *PROCESSES)} == {
        "web": fine(*WEB), **{kind: fine(kind) for kind in PROCESSES}
    }  # fmt: skip


@pytest.mark.fault("F23")
@pytest.mark.parametrize(
    ("part", "ages", "problem"),
    [
        ("worker", {"seconds_ago": 95, "scheduler_seconds_ago": 2}, "The worker last reported 95 seconds ago."),
        ("chat", {"chat_seconds_ago": 40}, "It last reported 40 seconds ago."),
        ("chat", {"chat_seconds_ago": 700}, "No process of this kind is reporting."),
        ("scheduler", {"scheduler_seconds_ago": 40}, "The worker is running, but the scheduler doesn't send it work."),
    ],
)
def test_a_silent_process_shows_and_makes_no_web_process_unready(client, settings, redis_url, part, ages, problem):
    """A load balancer would send nothing to any of them, and there would be no page that says what is wrong."""
    settings.REDIS_URL = redis_url
    beat(**{"seconds_ago": 2} | ages)
    response = client.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (200, "ok")
    assert response.json()["processes"] == fine(*PROCESSES) | {part: problem}
    for address in (f"/readyz/{part}", "/readyz/all"):
        assert (client.get(address).status_code, failing(client.get(address))) == (503, {part: problem})
    others = [kind for kind in ("web", *PROCESSES) if kind != part]
    assert {kind: client.get(f"/readyz/{kind}").status_code for kind in others} == dict.fromkeys(others, 200)


@pytest.mark.fault("F20")
def test_not_ready_on_a_full_disk(client, settings, redis_url):
    settings.REDIS_URL = redis_url
    beat(2)
    settings.DISK_LEAST_BYTES = 2**62
    response = client.get("/readyz")
    assert (response.status_code, failing(response)) == (
        503, {"disk": "The disk of the data directory is full. Nothing can be saved until there is free space."}
    )  # fmt: skip


def test_before_the_worker_has_reported_the_pages_are_there(client, settings, redis_url):
    settings.REDIS_URL = redis_url
    response = client.get("/readyz")
    assert (response.status_code, response.json()["processes"]["worker"]) == (200, "The worker has never reported.")
    assert client.get("/readyz/worker").status_code == 503


def test_not_ready_without_a_broker(client):
    beat(2)
    response = client.get("/readyz")
    assert (response.status_code, failing(response)) == (503, {"broker": "The broker does not answer."})


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("/readyz", "The broker does not answer: "),
        ("/readyz/chat", "Not ready. chat: No process of this kind is reporting."),
    ],
)
def test_what_is_not_ready_is_one_warning_in_the_log(client, caplog, address, line):
    """Not also an error of Django's: who asks does so every few seconds."""
    assert client.get(address).status_code == 503
    told = [(record.levelname, record.getMessage()[: len(line)]) for record in caplog.records]
    assert told == [("WARNING", line)]


def test_not_ready_until_the_tables_are_those_of_this_version(client, settings, redis_url):
    settings.REDIS_URL = redis_url
    newest = MigrationRecorder.Migration.objects.filter(app="jobs").order_by("-name")
    newest.filter(pk=newest.first().pk).delete()
    response = client.get("/readyz")
    problem = "The database doesn't have the tables for this version yet. Run: manage.py migrate"
    assert (response.status_code, failing(response)) == (503, {"migrations": problem})


def test_what_a_newer_version_did_to_the_tables_leaves_an_old_process_ready(client, settings, redis_url):
    """It works on until it is replaced."""
    settings.REDIS_URL = redis_url
    MigrationRecorder.Migration.objects.create(app="jobs", name="9999_of_tomorrow", applied=timezone.now())
    assert client.get("/readyz").status_code == 200


def test_not_ready_without_the_file_store(client, settings, redis_url, file_store_away):
    settings.REDIS_URL = redis_url
    response = client.get("/readyz")
    problem = "The file store does not answer. Try again in a moment."
    assert (response.status_code, failing(response)) == (503, {"files": problem})
    assert client.get("/readyz/chat").json()["checks"].keys() == {"chat"}


@pytest.fixture
def file_store_away(settings):
    settings.STORAGES = {
        **settings.STORAGES, "files": storage_of("s3://console-files?endpoint_url=http://127.0.0.1:1&region=us-east-1")
    }  # fmt: skip
    readiness.files_problem.forget()
    yield
    readiness.files_problem.forget()


def test_the_file_store_is_asked_by_one_and_seldom():
    asked = []
    recent = readiness.Recent(lambda: asked.append(1) or "")
    with ThreadPoolExecutor(8) as many:
        assert set(many.map(lambda _: recent(), range(50))) == {""}
    assert asked == [1]


def test_no_other_kind_has_an_address(client):
    assert [client.get(f"/readyz/{kind}").status_code for kind in ("nothing", "files", "")] == [404, 404, 404]


def test_an_answer_about_health_is_never_stored(client):
    for address in ("/healthz", "/readyz", "/readyz/chat"):
        assert "no-store" in client.get(address)["Cache-Control"]
        assert client.post(address).status_code == 405

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs import shortages
from jobs.models import Heartbeat, ProcessReport

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


def test_ready_when_all_parts_work(client, settings, redis_url):
    settings.REDIS_URL = redis_url
    beat(2)
    response = client.get("/readyz")
    parts = {name: "ok" for name in ("database", "broker", "worker", "scheduler", "chat", "disk")}
    assert (response.status_code, response.json()) == (200, {"status": "ok", "checks": parts})


def test_not_ready_when_the_worker_is_silent(client, settings, redis_url):
    settings.REDIS_URL = redis_url
    beat(95)
    response = client.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (503, "failing")
    assert response.json()["checks"]["worker"].startswith("The worker last reported 95")


@pytest.mark.fault("F23")
@pytest.mark.parametrize(
    ("part", "ages", "problem"),
    [
        ("chat", {"chat_seconds_ago": 40}, "It last reported 40 seconds ago."),
        ("chat", {"chat_seconds_ago": 700}, "No process of this kind reports."),
        ("scheduler", {"scheduler_seconds_ago": 40}, "The worker works, but nothing has told it what is due."),
    ],
)
def test_not_ready_when_a_part_hangs_that_works_apart(client, settings, redis_url, part, ages, problem):
    settings.REDIS_URL = redis_url
    beat(2, **ages)
    response = client.get("/readyz")
    failing = {name: text for name, text in response.json()["checks"].items() if text != "ok"}
    assert (response.status_code, failing) == (503, {part: problem})


@pytest.mark.fault("F20")
def test_not_ready_on_a_full_disk(client, settings, redis_url, monkeypatch):
    settings.REDIS_URL = redis_url
    beat(2)
    monkeypatch.setattr(shortages, "NOTHING_LEFT", 2**62)
    response = client.get("/readyz")
    assert (response.status_code, response.json()["checks"]["disk"]) == (
        503, "The disk of the data directory is full. Nothing can be saved until there is room."
    )  # fmt: skip


def test_not_ready_before_the_worker_has_reported(client, settings, redis_url):
    settings.REDIS_URL = redis_url
    assert client.get("/readyz").json()["checks"]["worker"] == "The worker has never reported."


def test_not_ready_without_a_broker(client):
    beat(2)
    response = client.get("/readyz")
    assert (response.status_code, response.json()["checks"]["broker"]) == (503, "The broker does not answer.")


def test_an_answer_about_health_is_never_stored(client):
    assert "no-store" in client.get("/healthz")["Cache-Control"]
    assert client.post("/healthz").status_code == 405

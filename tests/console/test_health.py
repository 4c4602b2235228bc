from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import Heartbeat

pytestmark = pytest.mark.django_db


def beat(seconds_ago):
    Heartbeat.objects.create(name="worker", seen_at=timezone.now() - timedelta(seconds=seconds_ago))


def test_the_process_is_alive_without_a_sign_in(client):
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_ready_when_all_parts_work(client, settings, redis_url):
    settings.REDIS_URL = redis_url
    beat(2)
    response = client.get("/readyz")
    parts = {"database": "ok", "broker": "ok", "worker": "ok", "disk": "ok"}
    assert (response.status_code, response.json()) == (200, {"status": "ok", "checks": parts})


def test_not_ready_when_the_worker_is_silent(client, settings, redis_url):
    settings.REDIS_URL = redis_url
    beat(95)
    response = client.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (503, "failing")
    assert response.json()["checks"]["worker"].startswith("The worker last reported 95")


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

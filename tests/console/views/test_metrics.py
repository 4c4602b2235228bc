"""What /metrics tells, to whom, and at what cost."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from console.web.measuring import count
from jobs import telemetry
from jobs.models import Heartbeat, ProcessReport, TuningJob
from tests.support import factories

pytestmark = pytest.mark.django_db
TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture
def scrape(client, settings, redis_url, broker):
    """The samples, by name and the values of their labels in the order of these labels' names."""
    settings.METRICS_TOKEN, settings.REDIS_URL = TOKEN, redis_url
    telemetry.shared.forget()

    def read():
        answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert (answer.status_code, "no-store" in answer["Cache-Control"]) == (200, True)
        families = text_string_to_metric_families(answer.content.decode())
        return {
            (sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples
        }

    return read


@pytest.fixture(autouse=True)
def _nothing_counted():
    yield
    telemetry.shared.forget()


def test_without_a_token_in_the_settings_there_is_no_such_address(client, owner):
    client.force_login(owner)
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


@pytest.mark.threat("T17")
@pytest.mark.parametrize(
    "said",
    ["", "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer \xff"],
)
def test_nobody_without_the_token_reads_anything(client, owner, settings, said):
    """Also who has signed in."""
    settings.METRICS_TOKEN = TOKEN
    client.force_login(owner)
    answer = client.get("/metrics", headers={"Authorization": said})
    assert (answer.status_code, answer.content) == (401, b"The token is missing or wrong.")
    assert answer["WWW-Authenticate"] == 'Bearer realm="metrics"'


def test_requests_by_route_method_and_status(client, owner, scrape):
    client.get("/tuning/")
    client.force_login(owner)
    client.get("/tuning/")
    client.get("/nothing/")
    client.get("/static/nothing.js")
    client.post("/datasets/upload/")
    client.generic("BREW", "/tuning/")
    found = {key[1:]: value for key, value in scrape().items() if key[0] == "garden_http_requests_total"}
    assert found == {
        ("GET", "tuning-list", "3xx"): 1,
        ("GET", "tuning-list", "2xx"): 1,
        ("GET", "none", "4xx"): 1,
        ("GET", "static", "4xx"): 1,
        ("POST", "dataset-upload", "4xx"): 1,
        ("other", "tuning-list", "4xx"): 1,
    }


@pytest.mark.threat("T17")
def test_what_somebody_sends_is_no_label(client, scrape):
    for number in range(50):
        client.generic(f"M{number}", f"/tuning/jobs/{number}{{}}\n/")
        client.get(f"/shared/{number}/?a={number}")
    labels = {key[1:] for key in scrape() if key[0] == "garden_http_requests_total"}
    assert labels == {("other", "none", "4xx"), ("GET", "shared", "4xx")}


def test_durations_add_up(client, scrape):
    for _ in range(3):
        client.get("/accounts/sign-in/")
    found = scrape()
    below = [value for key, value in found.items() if key[::2] == ("garden_http_request_seconds_bucket", "sign-in")]
    assert (below[-1], below == sorted(below)) == (3, True)
    assert found["garden_http_request_seconds_count", "sign-in"] == 3
    assert 0 < found["garden_http_request_seconds_sum", "sign-in"] < 60


def test_jobs_and_endpoints_by_state(scrape):
    for state in ("RUNNING", "RUNNING", "FAILED"):
        factories.job(state=state)
    factories.ready_endpoint()
    found = scrape()
    assert [found["garden_tuning_jobs", state] for state in ("RUNNING", "FAILED", "QUEUED")] == [2, 1, 0]
    assert [found["garden_endpoints", state] for state in ("READY", "FAILED")] == [1, 0]


def test_the_queue_has_an_age_and_a_length(scrape):
    now = timezone.now()
    factories.job(next_check_at=now - timedelta(seconds=90))
    factories.job(next_check_at=now - timedelta(seconds=5))
    factories.job(next_check_at=now + timedelta(seconds=60))
    talk = factories.conversation()
    factories.message(conversation=talk, role="assistant", state="WAITING")
    found = scrape()
    assert found["garden_queue_rows", "tuning_job"] == 2
    assert 90 <= found["garden_queue_oldest_seconds", "tuning_job"] < 100
    assert found["garden_queue_rows", "answer"] == 1
    assert (found["garden_queue_rows", "delivery"], found["garden_queue_oldest_seconds", "delivery"]) == (0, 0)


def test_processes_and_how_long_they_are_silent(scrape):
    now = timezone.now()
    for pid, ago in ((1, 3), (2, 100)):
        seen_at = now - timedelta(seconds=ago)
        ProcessReport.objects.create(kind="chat", host="h", pid=pid, version="1", since=seen_at, seen_at=seen_at)
    Heartbeat.objects.create(name="worker", seen_at=now - timedelta(seconds=40))
    found = scrape()
    assert [found["garden_processes", kind] for kind in ("chat", "web")] == [1, 0]
    assert 3 <= found["garden_process_silence_seconds", "chat"] < 20
    assert ("garden_process_silence_seconds", "web") not in found
    assert 40 <= found["garden_sweep_age_seconds", "sweep"] < 60


def test_without_redis_the_rest_is_told_and_what_was_counted_is_kept(client, scrape, settings, redis_url):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    count("tuning-list", "GET", 200)
    found = scrape()
    assert (found["garden_figures_readable", "redis"], found["garden_figures_readable", "database"]) == (0, 1)
    assert ("garden_tuning_jobs", "RUNNING") in found
    settings.REDIS_URL = redis_url
    found = scrape()
    assert found["garden_figures_readable", "redis"] == 1
    assert found["garden_http_requests_total", "GET", "tuning-list", "2xx"] == 1


def test_a_scrape_asks_little_however_many_jobs_there_are(scrape):
    first = factories.job()
    many = [TuningJob(**fields(first)) for _ in range(2000)]
    with CaptureQueriesContext(connection) as few:
        scrape()
    TuningJob.objects.bulk_create(many)
    with CaptureQueriesContext(connection) as queries:
        found = scrape()
    assert (len(few), len(queries)) == (9, 9)
    assert found["garden_queue_rows", "tuning_job"] == 1000


def fields(job):
    kept = {field.attname: getattr(job, field.attname) for field in job._meta.concrete_fields if not field.primary_key}
    return kept | {"owns_output": False, "next_check_at": timezone.now() - timedelta(seconds=1)}

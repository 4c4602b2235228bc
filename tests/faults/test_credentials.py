"""Google's token address refuses, lets its tokens expire, is slow or away, or Vertex AI refuses them: rows stay.

Through Google's own clients, as a user who has signed in; each host of Google is a server of the test.
"""

import json
from datetime import timedelta

import pytest

from jobs.models import Heartbeat, TuningJob
from jobs.services import installation
from jobs.services.remote import create_once
from jobs.services.tuning import orphaned_jobs
from jobs.vertex import get_gateway
from jobs.vertex.sdk import clients, credentials
from tests.support import factories
from tests.support.googlehost import google_host
from tests.support.misbehaving_server import answer, bad_server, error, hang
from tests.support.row_driver import Driver

pytestmark = [pytest.mark.django_db, pytest.mark.fault("F28"), pytest.mark.timeout(240)]
NAME = "projects/1/locations/us-central1/tuningJobs/7"
TOKEN = answer(200, {"access_token": "a-token", "expires_in": 3600, "token_type": "Bearer"})
SHORT = answer(200, {"access_token": "short", "expires_in": 1, "token_type": "Bearer"})
REVOKED = answer(400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."})
NO_LONGER = "The Google Cloud credentials are no longer valid. Run: gcloud auth application-default login"


ACCOUNT = {"type": "authorized_user", "client_id": "1", "client_secret": "2", "refresh_token": "3"}


class Google:
    """Vertex AI, which lists what is in `listed` and creates a job, and the address of the tokens."""

    def __init__(self):
        self.listed, self.api, self.tokens, self.server = [], None, TOKEN, None

    def behave(self, connection):
        request = self.server.requests[-1]
        path = request.path.partition("?")[0]
        if path == "/token":
            reply = self.tokens
        elif self.api:
            reply = self.api
        elif path.endswith("/tuningJobs"):
            reply = answer(200, {"name": NAME} if request.method == "POST" else {"tuningJobs": self.listed})
        else:
            reply = answer(200, {"name": NAME, "state": "JOB_STATE_RUNNING"})
        reply(connection)

    def creates(self):
        return len([path for path in self.server.posts() if path != "/token"])

    def tokens_given(self):
        return self.server.posts().count("/token")


@pytest.fixture
def google(settings, tmp_path, monkeypatch):
    made = Google()
    with bad_server(made.behave) as made.server, google_host(tmp_path / "google", made.server.address) as host:
        (tmp_path / "account.json").write_text(json.dumps(ACCOUNT))
        account = {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "account.json")}
        for name, value in (host.environment | account).items():
            monkeypatch.setenv(name, value)
        settings.VERTEX_GATEWAY, settings.VERTEX_API_ENDPOINT = "jobs.vertex.sdk.Gateway", ""
        forget()
        yield made
        forget()


def forget():
    """As in a process that has just started, without a token."""
    for cached in (get_gateway, clients._client, credentials.load):
        cached.cache_clear()


@pytest.fixture
def driver(db):
    return Driver()


@pytest.fixture
def job(driver):
    """Its data is in place: the next step looks for it, and creates it."""
    return factories.job(next_check_at=driver.now, prepared_at=driver.now, request_hash="c0ffee00" * 8)


def refused_token(google):
    google.tokens = REVOKED


def refused_by_vertex(google):
    google.api = error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")


def right_taken_away(google):
    google.api = error(403, "PERMISSION_DENIED", "Permission 'aiplatform.tuningJobs.list' denied.")


def tokens_away(google):
    google.tokens = answer(503, {"error": "backend_error"})


def tokens_garbled(google):
    google.tokens = answer(200, b"<html>")


def tokens_slow(google):
    google.tokens = hang


# Google's client waits some seconds for an address that is away before it gives up.
TROUBLE = [
    refused_token, refused_by_vertex, right_taken_away, tokens_garbled, tokens_slow,
    pytest.param(tokens_away, marks=pytest.mark.slow),
]  # fmt: skip


@pytest.fixture(params=TROUBLE)
def trouble(request, google, settings):
    """Slow is what takes longer than a read may."""
    if request.param is tokens_slow:
        settings.VERTEX_READ_SECONDS = 1.0
    request.param(google)
    return google


def over(google):
    google.api, google.tokens = None, TOKEN


def test_nothing_is_created_and_then_once(trouble, driver, job):
    driver.step(job)
    assert (job.state, job.phase, job.attempt, bool(job.notice)) == ("QUEUED", "INTENT", 0, True)
    assert (trouble.creates(), job.strikes) == (0, 0)
    over(trouble)
    driver.until(job, phase="BOUND")
    assert (trouble.creates(), job.notice) == (1, "")


def test_a_refused_look_is_no_proof_of_absence(trouble, driver, job, settings):
    """Seven whole looks found nothing; the eighth is refused. Afterwards Vertex AI shows the job."""
    settings.VERTEX_AMBIGUOUS_SECONDS = 0
    TuningJob.objects.update(phase="AMBIGUOUS", submit_started_at=driver.now, attempt=1, empty_looks=7)
    driver.step(job)
    assert (job.phase, job.empty_looks, trouble.creates()) == ("AMBIGUOUS", 0, 0)
    over(trouble)
    trouble.listed = [{"name": NAME, "labels": create_once.labels(job)}]
    driver.until(job, phase="BOUND")
    assert (job.resource_name, trouble.creates()) == (NAME, 0)


@pytest.mark.parametrize("state", ["RUNNING", "CANCELLING"])
def test_a_job_that_runs_stays(trouble, driver, job, state):
    asked = driver.now if state == "CANCELLING" else None
    TuningJob.objects.update(phase="BOUND", state=state, resource_name=NAME, cancel_requested_at=asked)
    for _ in range(3):
        driver.step(job)
    assert (job.state, job.phase, job.empty_looks, bool(job.notice)) == (state, "BOUND", 0, True)


def test_an_endpoint_that_serves_stays(trouble, driver):
    endpoint = factories.ready_endpoint(next_check_at=driver.now)
    for _ in range(3):
        driver.step(endpoint)
    assert (endpoint.state, endpoint.empty_looks, bool(endpoint.notice)) == ("READY", 0, True)


def test_what_ran_without_a_row_is_not_forgotten(trouble, driver, job):
    installation.get_id()
    Heartbeat.objects.create(name=orphaned_jobs.NAME, seen_at=driver.now - timedelta(hours=1), detail=f'["{NAME}"]')
    orphaned_jobs.sweep(driver.now)
    assert orphaned_jobs.unknown_jobs() == [NAME]


def test_a_revoked_account_is_told_with_its_remedy(google, driver, job):
    refused_token(google)
    driver.step(job)
    assert (job.notice, job.next_check_at - driver.now >= timedelta(seconds=55)) == (NO_LONGER, True)


def test_tokens_that_expire_are_asked_for_again(google, driver, job):
    google.tokens = SHORT
    driver.until(job, phase="BOUND")
    assert (google.tokens_given() > 1, google.creates()) == (True, 1)
    refused_token(google)
    driver.step(job)
    assert (job.state, job.notice) == ("QUEUED", NO_LONGER)


def test_a_token_that_vertex_ai_does_not_take_any_more_is_changed(google, driver, job):
    """Google's client asks for another one and once more: of two POSTs, the first was refused, and made nothing."""
    reply = google.behave
    refused = [error(401, "UNAUTHENTICATED")]

    def refuse_once(connection):
        last = google.server.requests[-1]
        is_create = last.method == "POST" and last.path != "/token"
        (refused.pop() if is_create and refused else reply)(connection)

    google.server.behave = refuse_once
    driver.until(job, phase="BOUND")
    assert (google.creates(), job.attempt) == (2, 1)


def test_an_account_revoked_between_the_look_and_the_create_fails_no_job(google, driver, job):
    google.tokens, reply = SHORT, google.behave

    def look_is_the_last(connection):
        reply(connection)
        path = google.server.requests[-1].path
        if path.startswith("/v1beta1/projects/garden-local/locations/global/") and "filter=" not in path:
            google.tokens = REVOKED

    google.server.behave = look_is_the_last
    driver.step(job)
    assert (job.state, job.phase, job.attempt, job.notice) == ("QUEUED", "RETRY_OK", 1, NO_LONGER)
    assert google.creates() == 0
    google.server.behave = reply
    over(google)
    driver.until(job, phase="BOUND")
    assert (google.creates(), job.notice) == (1, "")

"""Which log a job has, from where, and how often somebody is asked for it."""

from datetime import timedelta

import pytest

from jobs.services.tuning.reading.log import LOG_BYTES
from jobs.vertex.errors import NotAuthorised
from tests.support import factories
from tests.support.row_driver import Driver

pytestmark = pytest.mark.django_db
LACKING = "The role roles/logging.viewer is missing. Run: gcloud projects add-iam-policy-binding …"


@pytest.fixture(params=["", "http://127.0.0.1:1"], ids=["google", "local"])
def driver(request, fake_gateway, settings):
    settings.VERTEX_API_ENDPOINT = request.param
    return Driver()


def running(driver, gateway, **values):
    gateway.catalogue.acknowledged.add(factories.BASE_MODEL)
    job = driver.until(factories.job(next_check_at=driver.now, **values), phase="BOUND")
    gateway.tuning.start(job.resource_name)
    return job


def test_cloud_logging_comes_first(driver, fake_gateway):
    job = running(driver, fake_gateway)
    fake_gateway.logs.lines[job.resource_name] = ["one", "two\x00"]
    driver.until(job, state="RUNNING")
    assert (job.log_text, job.log_source, job.log_problem) == ("one\ntwo", "logging", "")
    assert "storage.read_text" not in fake_gateway.calls


def test_without_lines_the_file_of_the_bucket_is_shown(driver, fake_gateway):
    job = driver.until(running(driver, fake_gateway), state="RUNNING")
    assert (job.log_text, job.log_source, job.log_problem) == ("training started\n", "bucket", "")


def test_a_refusal_says_what_to_grant_and_hides_no_file(driver, fake_gateway):
    job = running(driver, fake_gateway)
    fake_gateway.fail("logs.of_job", NotAuthorised(LACKING, "PERMISSION_DENIED"), times=1)
    driver.until(job, state="RUNNING")
    assert (job.log_text, job.log_source, str(job.log_problem)) == ("training started\n", "bucket", LACKING)
    fake_gateway.logs.lines[job.resource_name] = ["granted"]
    fake_gateway.tuning.succeed(job.resource_name)
    driver.rest(job)
    assert (job.log_text, job.log_problem, job.phase) == ("granted", "", "CLOSED")


def test_google_is_asked_once_a_minute(driver, fake_gateway, settings):
    job = driver.until(running(driver, fake_gateway), state="RUNNING")
    asked = fake_gateway.calls.count("logs.of_job")
    driver.now += timedelta(seconds=15)
    driver.step(job)
    again = fake_gateway.calls.count("logs.of_job") - asked
    assert again == (1 if settings.VERTEX_API_ENDPOINT else 0)
    driver.now += timedelta(seconds=61)
    driver.step(job)
    assert fake_gateway.calls.count("logs.of_job") - asked == again + 1


def test_a_look_that_finds_the_same_log_is_no_news(driver, fake_gateway):
    job = running(driver, fake_gateway)
    fake_gateway.logs.lines[job.resource_name] = ["one"]
    driver.until(job, state="RUNNING")
    updated = driver.step(job).updated_at
    driver.now += timedelta(seconds=61)
    assert driver.step(job).updated_at == updated


def test_the_end_of_a_long_log_is_kept_from_a_whole_line_on(driver, fake_gateway):
    job = running(driver, fake_gateway)
    fake_gateway.logs.lines[job.resource_name] = [f"{number:0>999}" for number in range(1000)]
    driver.until(job, state="RUNNING")
    kept = job.log_text.splitlines()
    assert (len(job.log_text) <= LOG_BYTES, len(kept), kept[0][-3:], kept[-1][-3:]) == (True, 200, "800", "999")


def test_a_clock_that_was_a_year_ahead_is_not_waited_for(driver, fake_gateway):
    driver.until(running(driver, fake_gateway, log_read_at=driver.now + timedelta(days=365)), state="RUNNING")
    assert "logs.of_job" in fake_gateway.calls

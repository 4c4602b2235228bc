"""An accepted cancel is durable and wins, wherever the job is."""

import pytest

from jobs.errors import NotAllowedNow
from jobs.models import Endpoint
from jobs.services.tuning import jobs
from tests.support import factories
from tests.support.row_driver import Driver

pytestmark = [pytest.mark.django_db, pytest.mark.fault("F27")]


@pytest.fixture
def driver(fake_gateway):
    fake_gateway.catalogue.acknowledged.add(factories.BASE_MODEL)
    return Driver()


@pytest.fixture
def job(db, driver):
    return factories.job(next_check_at=driver.now, auto_deploy=True)


def test_before_anything_was_sent(driver, job, fake_gateway):
    jobs.request_cancel(job)
    assert (job.state, job.phase, job.next_check_at) == ("CANCELLED", "CLOSED", None)
    assert fake_gateway.calls == []


@pytest.mark.parametrize("call", ["storage.upload", "storage.problem_with_output", "tuning.find"])
def test_during_the_steps_before_sending(driver, job, fake_gateway, call):
    fake_gateway.during(call, lambda: cancel(job))
    driver.rest(job)
    assert (job.state, job.phase, fake_gateway.ledger) == ("CANCELLED", "CLOSED", [])


def test_during_the_post(driver, job, fake_gateway):
    fake_gateway.during("tuning.create", lambda: cancel(job))
    driver.rest(job)
    assert (job.state, job.phase) == ("CANCELLED", "CLOSED")
    assert fake_gateway.tuning.jobs[job.resource_name].state == "CANCELLED"


@pytest.mark.parametrize("fault", ["drop_after", "drop_before", "not_sent", "over_quota", "refuse", "crash"])
def test_during_a_post_that_goes_wrong(driver, job, fake_gateway, fault):
    getattr(fake_gateway, fault)("tuning.create")
    fake_gateway.during("tuning.create", lambda: cancel(job))
    driver.rest(job)
    assert (job.state, job.phase) == ("CANCELLED", "CLOSED")
    assert {remote.state for remote in fake_gateway.tuning.jobs.values()} <= {"CANCELLED"}


def test_while_the_outcome_is_unknown(driver, job, fake_gateway):
    fake_gateway.tuning.lag = 3
    fake_gateway.drop_after("tuning.create")
    driver.until(job, phase="AMBIGUOUS")
    jobs.request_cancel(job)
    assert job.state == "CANCELLING"
    driver.rest(job)
    assert (job.state, fake_gateway.tuning.jobs[job.resource_name].state) == ("CANCELLED", "CANCELLED")


def test_while_a_decision_is_asked_for(driver, job, fake_gateway, settings):
    settings.VERTEX_AMBIGUOUS_SECONDS = 0
    fake_gateway.drop_before("tuning.create")
    driver.until(job, phase="NEEDS_DECISION")
    jobs.request_cancel(job)
    driver.rest(job)
    assert (job.state, job.phase) == ("CANCELLED", "CLOSED")


@pytest.mark.parametrize("state", ["PENDING", "RUNNING"])
@pytest.mark.parametrize("fault", [None, "unavailable", "crash", "drop_after"])
def test_a_live_job(driver, job, fake_gateway, state, fault):
    driver.until(job, phase="BOUND")
    fake_gateway.tuning.set_state(job.resource_name, state)
    driver.step(job)
    jobs.request_cancel(job)
    if fault:
        getattr(fake_gateway, fault)("tuning.cancel")
    driver.rest(job)
    assert (job.state, fake_gateway.tuning.jobs[job.resource_name].state) == ("CANCELLED", "CANCELLED")


def test_during_a_look_at_it(driver, job, fake_gateway):
    driver.until(job, phase="BOUND")
    fake_gateway.during("tuning.get", lambda: cancel(job))
    driver.rest(job)
    assert (job.state, fake_gateway.calls.count("tuning.cancel")) == ("CANCELLED", 1)


def test_a_cancel_that_comes_after_the_success(driver, job, fake_gateway):
    """The step has seen SUCCEEDED, the person cancels before it is written: the truth is the remote state."""
    driver.until(job, phase="BOUND")
    fake_gateway.tuning.succeed(job.resource_name)
    fake_gateway.during("metrics.read", lambda: cancel(job))
    fake_gateway.during("tuning.get", lambda: cancel(job))
    driver.rest(job)
    assert (job.state, Endpoint.objects.count()) == ("SUCCEEDED", 0)
    assert "It is not deployed automatically because you cancelled the job." in [e.message for e in job.events.all()]


def test_a_job_that_is_gone_counts_as_cancelled(driver, job, fake_gateway):
    driver.until(job, phase="BOUND")
    fake_gateway.tuning.forget(job.resource_name)
    jobs.request_cancel(job)
    driver.rest(job)
    assert (job.state, job.phase) == ("CANCELLED", "CLOSED")


def test_cancelled_in_googles_console(driver, job, fake_gateway):
    driver.until(job, phase="BOUND")
    fake_gateway.tuning.set_state(job.resource_name, "CANCELLING")
    driver.step(job)
    assert job.state == "CANCELLING"
    fake_gateway.tuning.set_state(job.resource_name, "CANCELLED")
    driver.rest(job)
    assert (job.state, "tuning.cancel" in fake_gateway.calls) == ("CANCELLED", False)


def test_twice_is_once(driver, job, fake_gateway):
    driver.until(job, phase="BOUND")
    jobs.request_cancel(job)
    jobs.request_cancel(job)
    assert [event.message for event in job.events.all()].count("Cancellation was requested.") == 1


def test_after_the_end_there_is_nothing_to_cancel(job):
    jobs.request_cancel(job)
    with pytest.raises(NotAllowedNow):
        jobs.request_cancel(job)


def cancel(job):
    job.refresh_from_db()
    if not job.is_terminal and job.cancel_requested_at is None:
        jobs.request_cancel(job)

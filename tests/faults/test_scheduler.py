"""No scheduler, one, three at once, or one that stood still: every row comes to the same end, created once."""

from datetime import timedelta

import pytest
from celery import current_app
from django.utils import timezone

from jobs import tasks
from jobs.models import Endpoint, Notification, TuningJob
from tests.faults.test_races import at_once
from tests.support import factories

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault("F22")]
TICK = timedelta(seconds=15)


@pytest.fixture
def clock(monkeypatch):
    """A sweep's time; a test moves it."""
    hands = {"now": timezone.now()}
    monkeypatch.setattr(timezone, "now", lambda: hands["now"])
    return hands


@pytest.fixture
def workers(settings, fake_gateway, clock):
    """Whoever sends a message does its work at once."""
    settings.CELERY_TASK_ALWAYS_EAGER = True
    current_app.conf.task_always_eager = True
    fake_gateway.automatic = True
    fake_gateway.catalogue.acknowledged.add(factories.BASE_MODEL)
    yield fake_gateway
    current_app.conf.task_always_eager = False


@pytest.fixture
def jobs(workers, clock):
    data = factories.dataset()
    return [factories.job(dataset=data, next_check_at=clock["now"], auto_deploy=True) for _ in range(3)]


def sweep_until_quiet(clock, schedulers):
    for _ in range(200):
        clock["now"] += TICK
        at_once(tasks.sweep, count=schedulers)
        if not TuningJob.objects.exclude(next_check_at=None).exists() and endpoints_are_ready():
            return
    raise AssertionError(list(TuningJob.objects.values_list("state", "phase", "notice")))


def endpoints_are_ready():
    return set(Endpoint.objects.values_list("state", flat=True)) == {"READY"}


def check_one_each(gateway, jobs):
    rows = TuningJob.objects.all()
    assert [(row.state, row.phase) for row in rows] == [("SUCCEEDED", "CLOSED")] * 3
    assert sorted(gateway.creates("tuning-job")) == sorted(row.resource_name for row in rows)
    assert sorted(gateway.creates("deployment")) == sorted(row.resource_name for row in Endpoint.objects.all())
    assert (Endpoint.objects.count(), Notification.objects.filter(kind="tuning.succeeded").count()) == (3, 3)


@pytest.mark.parametrize("schedulers", [1, 3])
def test_it_does_not_matter_how_many(workers, clock, jobs, schedulers):
    sweep_until_quiet(clock, schedulers)
    check_one_each(workers, jobs)


@pytest.mark.parametrize("steps", [0, 1, 4, 8])
def test_one_that_stood_still_for_an_hour(workers, clock, jobs, steps):
    for _ in range(steps):
        clock["now"] += TICK
        tasks.sweep()
    states = list(TuningJob.objects.values_list("state", "phase"))
    clock["now"] += timedelta(hours=1)
    assert list(TuningJob.objects.values_list("state", "phase")) == states
    sweep_until_quiet(clock, 1)
    check_one_each(workers, jobs)


def test_none_loses_nothing_and_sends_nothing(workers, clock, jobs):
    """A click's own message does the first step of its job; the rest waits for a sweep, however long."""
    tasks.advance_tuning_job(job_id=str(jobs[0].pk))
    clock["now"] += timedelta(days=1)
    assert (set(TuningJob.objects.values_list("state", "phase")), workers.ledger) == ({("QUEUED", "INTENT")}, [])
    sweep_until_quiet(clock, 3)
    check_one_each(workers, jobs)

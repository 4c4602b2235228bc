"""A clock that is put forward or back by an hour between two steps, and hosts whose clocks disagree."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs import tasks
from jobs.models import Endpoint, Message, TuningJob
from jobs.services.chat.streaming import saver
from jobs.services.endpoints import lifetime
from jobs.services.remote import row_claim
from jobs.services.tuning import jobs
from tests.fakes import Crash
from tests.faults.test_races import at_once
from tests.support import factories
from tests.support.row_driver import AFTER_THE_LEASE, Driver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault("F19")]
HOUR, TICK = timedelta(hours=1), timedelta(seconds=15)


@pytest.fixture
def now(fake_gateway):
    fake_gateway.automatic = True
    fake_gateway.catalogue.acknowledged.add(factories.BASE_MODEL)
    return timezone.now()


@pytest.fixture
def job(now):
    return factories.job(next_check_at=now, request_hash="c0ffee00" * 8)


def ticks_until_it_rests(job, now, most):
    """How often a worker came by; it comes every 15 seconds by its own clock."""
    for number in range(most):
        now += TICK
        while jobs.advance(job.pk, now):
            now += timedelta(milliseconds=1)
        job.refresh_from_db()
        if job.next_check_at is None:
            return number
    raise AssertionError(f"{job.state} {job.phase}: next at {job.next_check_at}, and it is {now}")


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
@pytest.mark.parametrize("steps", range(7))
def test_between_two_steps(job, now, fake_gateway, jump, steps):
    """Neither a second create nor an hour in which nothing happens."""
    for _ in range(steps):
        now += TICK
        jobs.advance(job.pk, now)
    assert ticks_until_it_rests(job, now + jump, 12) < 12
    assert (job.state, fake_gateway.creates("tuning-job")) == ("SUCCEEDED", [job.resource_name])


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
@pytest.mark.parametrize("call", ["storage.upload", "tuning.find", "tuning.create", "tuning.get"])
def test_when_the_worker_died_in_the_step_before(job, now, fake_gateway, jump, call):
    """As after a start of the machine, whose clock was wrong until it asked the network."""
    fake_gateway.crash(call, after=True)
    died = False
    while not died:
        now += TICK
        try:
            jobs.advance(job.pk, now)
        except Crash:
            died = True
    assert ticks_until_it_rests(job, now + AFTER_THE_LEASE + jump, 12) < 12
    assert (job.state, fake_gateway.creates("tuning-job")) == ("SUCCEEDED", [job.resource_name])


def test_an_unknown_outcome_still_takes_eight_looks(job, now, fake_gateway):
    """What the clock says of the ten minutes is not enough by itself, and a person decides in the end."""
    fake_gateway.drop_before("tuning.create")
    while job.phase != "AMBIGUOUS":
        now += TICK
        jobs.advance(job.pk, now)
        job.refresh_from_db()
    looks = fake_gateway.calls.count("tuning.find")
    now += HOUR
    while job.phase == "AMBIGUOUS":
        now += TICK
        jobs.advance(job.pk, now)
        job.refresh_from_db()
    assert fake_gateway.calls.count("tuning.find") - looks == 8
    assert (job.phase, fake_gateway.ledger) == ("NEEDS_DECISION", [])


@pytest.mark.parametrize("ahead", [HOUR, timedelta(seconds=30)])
def test_two_hosts_that_disagree_send_one_request(job, now, fake_gateway, ahead):
    """The one whose clock is ahead takes every row from the other, whose claims look old to it, and the other way
    round: what was claimed twice is sent once, because the second one looks before it sends."""
    fake_gateway.automatic = False
    for _ in range(12):
        now += TICK
        clocks = iter([now, now + ahead] * 4)
        at_once(lambda clocks=clocks: jobs.advance(job.pk, next(clocks)))
    job.refresh_from_db()
    assert (job.phase, fake_gateway.calls.count("tuning.create")) == ("BOUND", 1)
    assert fake_gateway.creates("tuning-job") == [job.resource_name]


@pytest.mark.parametrize("behind", [HOUR, -HOUR])
def test_a_claim_that_another_clock_took_is_refused_at_the_point_of_no_return(job, now, behind):
    first = row_claim.claim(TuningJob, job.pk, now + max(behind, timedelta(0)))
    second = row_claim.claim(TuningJob, job.pk, now + max(-behind, timedelta(0)))
    assert [bool(first), bool(second), row_claim.mark(first), row_claim.mark(second)] == [True, True, False, True]


def test_one_clock_gives_one_claim(job, now):
    assert len([claim for claim in at_once(lambda: row_claim.claim(TuningJob, job.pk, now)) if claim]) == 1


@pytest.mark.parametrize("hours", [-1, 1])
def test_endpoints_with_more_than_an_hour_left_stay(now, hours):
    """A lease is over when the clock says so, by the minute."""
    left = [timedelta(minutes=30), timedelta(minutes=61), timedelta(days=2)]
    kept = [
        factories.ready_endpoint(lease_kind="FIXED", lease_hours=3, undeploy_at=now + one, next_check_at=now + HOUR)
        for one in left
    ]
    for pk in lifetime.due(now + hours * HOUR):
        lifetime.end(pk, now + hours * HOUR)
    ended = set(Endpoint.objects.exclude(state="READY").values_list("pk", flat=True))
    assert ended == ({kept[0].pk} if hours > 0 else set())


@pytest.fixture
def clock(monkeypatch):
    """Of the sweep: wall time and the time since the start of the machine, which no setting of a clock changes."""
    hands = {"now": timezone.now(), "since": 1000.0}
    monkeypatch.setattr(timezone, "now", lambda: hands["now"])
    monkeypatch.setattr(time, "monotonic", lambda: hands["since"])
    return hands


def sweep_after(clock, seconds, jump=timedelta(0)):
    clock["since"] += seconds
    clock["now"] += timedelta(seconds=seconds) + jump
    tasks.sweep()


def streaming(clock):
    talk = factories.conversation(endpoint=factories.ready_endpoint())
    held = {"state": "STREAMING", "content": "Ahoy", "lease_until": clock["now"] + saver.LEASE}
    return factories.message(conversation=talk, role="assistant", **held)


def state(message):
    return Message.objects.get(pk=message.pk).state


def test_answers_are_not_cut_off_when_the_clock_is_put_forward(clock, fake_gateway):
    """The worker of one renews its lease; that of the other is dead, which the next sweep finds."""
    alive, dead = streaming(clock), streaming(clock)
    sweep_after(clock, 2)
    sweep_after(clock, 2, HOUR)
    assert (state(alive), state(dead)) == ("STREAMING", "STREAMING")
    Message.objects.filter(pk=alive.pk).update(lease_until=clock["now"] + saver.LEASE)
    sweep_after(clock, 2)
    assert (state(alive), state(dead)) == ("STREAMING", "INTERRUPTED")


def test_a_dead_answer_is_found_after_its_lease_as_ever(clock, fake_gateway):
    answer = streaming(clock)
    for _ in range(4):
        sweep_after(clock, 2)
    assert state(answer) == "STREAMING"
    sweep_after(clock, 2)
    assert state(answer) == "INTERRUPTED"


def test_jobs_and_endpoints_that_wait_keep_their_states(job, clock, fake_gateway):
    endpoint = factories.ready_endpoint(next_check_at=clock["now"] + TICK)
    driver = Driver()
    fake_gateway.automatic = False
    driver.until(job, phase="BOUND")
    for jump in (HOUR, -HOUR, -HOUR):
        sweep_after(clock, 2, jump)
    rows = [model.objects.get(pk=row.pk) for model, row in ((TuningJob, job), (Endpoint, endpoint))]
    assert [(row.state, row.phase) for row in rows] == [("QUEUED", "BOUND"), ("READY", rows[1].phase)]

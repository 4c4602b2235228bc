from datetime import timedelta

import pytest
from django.utils import timezone

from jobs import errors
from jobs.models import AuditEntry, TuningJob
from jobs.services.tuning import jobs as tuning, queue
from jobs.vertex.errors import OverQuota
from tests.support import factories
from tests.support.row_driver import Driver

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
ELSEWHERE = "europe-west4"


@pytest.fixture
def driver(fake_gateway):
    fake_gateway.catalogue.acknowledged.add(factories.BASE_MODEL)
    return Driver()


@pytest.fixture
def one_at_once(settings):
    settings.VERTEX_TUNING_AT_ONCE = 1


def waiting(count, **values):
    data = factories.dataset()
    made = [factories.NOW + timedelta(minutes=number) for number in range(count)]
    return [factories.job(dataset=data, prepared_at=timezone.now(), created_at=at, **values) for at in made]


def order():
    return list(queue.waiting().values_list("pk", flat=True))


def numbers():
    return {pk: place.number for pk, place in queue.find_places().items()}


def created(fake_gateway):
    return [spec.labels["app-key"] for spec in fake_gateway.tuning.specs.values()]


def test_without_a_limit_jobs_are_sent_as_they_come(driver, fake_gateway):
    jobs = waiting(3)
    assert ([queue.place_to_wait(job, timezone.now()) for job in jobs], numbers()) == ([0, 0, 0], {})
    for job in jobs:
        driver.step(job)
    assert fake_gateway.calls.count("tuning.create") == 3


def test_with_a_limit_the_others_wait_their_turn(driver, fake_gateway, one_at_once):
    first, second, third = waiting(3)
    for job in (third, second, first, second):
        driver.step(job)
    assert created(fake_gateway) == [str(first.pk)]
    assert numbers() == {second.pk: 1, third.pk: 2}


def test_the_next_goes_when_the_one_before_has_ended(driver, fake_gateway, one_at_once):
    first, second = waiting(2)
    driver.step(first)
    driver.step(second)
    fake_gateway.tuning.fail(first.resource_name)
    driver.until(first, state="FAILED")
    driver.step(second)
    assert created(fake_gateway) == [str(first.pk), str(second.pk)]


def test_a_refusal_for_quota_is_asked_for_once_and_not_by_everybody(driver, fake_gateway):
    first, second = waiting(2)
    fake_gateway.fail("tuning.create", OverQuota("The quota is used up.", "RESOURCE_EXHAUSTED"))
    driver.step(first)
    driver.step(second)
    assert fake_gateway.calls.count("tuning.create") == 1
    assert numbers() == {first.pk: 1, second.pk: 2}
    assert second.notice == ""


def test_a_job_moved_to_the_front_asks_for_the_quota(driver, fake_gateway):
    first, second = waiting(2)
    fake_gateway.fail("tuning.create", OverQuota("The quota is used up.", "RESOURCE_EXHAUSTED"))
    driver.step(first)
    queue.move(second, "top")
    driver.step(second, later=2 * MINUTE)
    assert (second.phase, created(fake_gateway)) == ("BOUND", [str(second.pk)])


@pytest.mark.parametrize(
    ("number", "to", "expected"),
    [
        (2, "top", [2, 0, 1, 3]), (2, "up", [0, 2, 1, 3]), (2, "down", [0, 1, 3, 2]),
        (1, "up", [1, 0, 2, 3]), (0, "down", [1, 0, 2, 3]),
    ],
)  # fmt: skip
def test_a_job_is_moved(number, to, expected):
    jobs = waiting(4)
    queue.move(jobs[number], to)
    assert order() == [jobs[place].pk for place in expected]


@pytest.mark.parametrize(("number", "to"), [(0, "up"), (0, "top"), (3, "down")])
def test_a_job_that_stands_there_already_is_not_moved(number, to):
    jobs = waiting(4)
    with pytest.raises(errors.NotAllowedNow, match="already the (first|last) of its owner's jobs"):
        queue.move(jobs[number], to)
    assert order() == [job.pk for job in jobs]


def test_a_place_tells_how_many_of_the_owners_jobs_stand_before_and_behind(one_at_once, team_mate):
    theirs, *mine = waiting(1, owner=team_mate) + waiting(2)
    TuningJob.objects.filter(pk=theirs.pk).update(queue_rank=-1)
    assert queue.find_places() == {
        theirs.pk: (1, 0, 0), mine[0].pk: (2, 0, 1), mine[1].pk: (3, 1, 0),
    }  # fmt: skip


def test_a_job_made_later_comes_behind_those_that_were_moved():
    jobs = waiting(3)
    queue.move(jobs[2], "top")
    late = factories.job(dataset=jobs[0].dataset, prepared_at=timezone.now(), created_at=factories.NOW)
    assert order() == [jobs[2].pk, jobs[0].pk, jobs[1].pk, late.pk]


def test_the_places_of_other_people_stay_theirs(team_mate):
    mine = waiting(3)
    theirs = factories.job(owner=team_mate, prepared_at=timezone.now(), created_at=factories.NOW + timedelta(seconds=1))
    queue.move(mine[2], "top")
    assert order() == [mine[2].pk, theirs.pk, mine[0].pk, mine[1].pk]


@pytest.mark.parametrize(
    "values", [{"phase": "BOUND"}, {"prepared_at": None}, {"state": "CANCELLED", "phase": "CLOSED"}]
)
def test_what_does_not_wait_is_not_moved(values):
    job = factories.job(**{"prepared_at": timezone.now(), **values})
    with pytest.raises(errors.NotAllowedNow):
        queue.move(job, "top")


def test_a_job_that_keeps_failing_holds_nobody_up(one_at_once):
    parked, job = waiting(2)
    TuningJob.objects.filter(pk=parked.pk).update(strikes=5)
    assert queue.place_to_wait(job, timezone.now()) == 0


def test_a_job_moved_behind_another_while_it_is_looked_for_is_not_sent(driver, fake_gateway, one_at_once):
    """The decision to send it was taken by the old order."""
    first, second = waiting(2)
    fake_gateway.during("tuning.find", lambda: queue.move(second, "top"))
    driver.step(first)
    assert (created(fake_gateway), first.phase) == ([], "INTENT")
    fake_gateway.hooks.clear()
    driver.step(second)
    driver.step(first)
    assert created(fake_gateway) == [str(second.pk)]


def test_a_cancelled_job_leaves_the_queue(one_at_once):
    first, second = waiting(2)
    tuning.request_cancel(first)
    assert numbers() == {second.pk: 1}


def test_what_one_region_refuses_stops_no_job_of_another(team_mate):
    stuck, mine = waiting(1, location=ELSEWHERE, owner=team_mate) + waiting(1)
    TuningJob.objects.filter(pk=stuck.pk).update(quota_refused_at=timezone.now())
    assert (queue.place_to_wait(mine, timezone.now()), list(queue.find_places())) == (0, [stuck.pk])


def test_what_the_quota_refuses_takes_no_place_of_those_under_way(one_at_once, team_mate):
    stuck, mine = waiting(1, location=ELSEWHERE, owner=team_mate) + waiting(1)
    TuningJob.objects.filter(pk=stuck.pk).update(quota_refused_at=timezone.now())
    assert queue.place_to_wait(mine, timezone.now()) == 0


def in_turns(driver, jobs, minutes=40):
    """Who asks for quota, and when: every job is looked at each half minute, as the sweep would."""
    for _ in range(minutes * 2):
        driver.now += timedelta(seconds=30)
        for job in jobs:
            tuning.advance(job.pk, driver.now)
            job.refresh_from_db()


@pytest.mark.fault("F13")
def test_others_ask_in_turn_where_one_job_is_refused_for_ever(driver, fake_gateway, team_mate):
    """One request a minute at most, whoever asks, and nobody waits behind somebody else's job for ever."""
    (stuck, behind), (theirs,) = waiting(2), waiting(1, owner=team_mate)
    asked, create = [], fake_gateway.tuning.create

    def refuse(spec, *args, **more):
        asked.append((spec.labels["app-key"], driver.now))
        if spec.labels["app-key"] == str(stuck.pk):
            raise OverQuota("Quota exceeded: 0.", "RESOURCE_EXHAUSTED")
        return create(spec, *args, **more)

    fake_gateway.tuning.create = refuse
    in_turns(driver, [stuck, behind, theirs])
    assert (theirs.phase, behind.phase) == ("BOUND", "INTENT")
    pairs = zip(asked, asked[1:], strict=False)
    assert all(later - at >= MINUTE for (pk, at), (_next, later) in pairs if pk == str(stuck.pk))
    assert [pk for pk, _at in asked[:2]] == [str(stuck.pk), str(theirs.pk)]


@pytest.mark.fault("F13")
def test_many_who_are_refused_ask_once_a_minute_together(driver, fake_gateway):
    people = [factories.user(username=f"person-{number}") for number in range(5)]
    jobs = [job for person in people for job in waiting(2, owner=person)]
    asked = []

    def refuse(spec, *args, **more):
        asked.append((spec.labels["app-key"], driver.now))
        raise OverQuota("Quota exceeded: 0.", "RESOURCE_EXHAUSTED")

    fake_gateway.tuning.create = refuse
    in_turns(driver, jobs, minutes=25)
    times = [at for _pk, at in asked]
    assert all(later - earlier >= MINUTE for earlier, later in zip(times, times[1:], strict=False))
    assert {pk for pk, _at in asked} == {str(job.pk) for job in jobs[::2]}


def test_while_the_queue_is_paused_nothing_is_sent(driver, fake_gateway, owner):
    running, first, second = waiting(3)
    driver.step(running)
    queue.pause(owner)
    for job in (first, second, first):
        driver.step(job, later=2 * MINUTE)
    assert (created(fake_gateway), numbers()) == ([str(running.pk)], {first.pk: 1, second.pk: 2})
    queue.resume(owner)
    assert [queue.find_pause(), numbers()] == [None, {}]
    driver.step(first)
    driver.step(second)
    assert created(fake_gateway) == [str(running.pk), str(first.pk), str(second.pk)]


def test_a_job_made_during_the_pause_waits_too_and_is_prepared(driver, fake_gateway, owner):
    queue.pause(owner)
    (job,) = waiting(1)
    TuningJob.objects.filter(pk=job.pk).update(prepared_at=None)
    for _turn in range(4):
        driver.step(job, later=MINUTE)
    assert (job.prepared_at is not None, job.phase, created(fake_gateway)) == (True, "INTENT", [])
    assert numbers() == {job.pk: 1}


def test_what_runs_goes_on_while_the_queue_is_paused(driver, fake_gateway, owner):
    (job,) = waiting(1)
    driver.step(job)
    queue.pause(owner)
    fake_gateway.tuning.fail(job.resource_name)
    driver.until(job, state="FAILED")
    assert job.state == "FAILED"


def test_a_job_that_is_looked_for_while_somebody_pauses_is_not_sent(driver, fake_gateway, owner):
    """The decision to send it was taken before."""
    (job,) = waiting(1)
    fake_gateway.during("tuning.find", lambda: queue.pause(owner))
    driver.step(job)
    assert (created(fake_gateway), job.phase) == ([], "INTENT")
    fake_gateway.hooks.clear()
    queue.resume(owner)
    driver.step(job)
    assert created(fake_gateway) == [str(job.pk)]


def test_pausing_and_resuming_have_their_rules(owner, stranger):
    refused = []
    for action, person in (
        (queue.resume, owner),
        (queue.pause, stranger),
        (queue.pause, owner),
        (queue.pause, owner),
        (queue.resume, stranger),
        (queue.resume, owner),
    ):
        try:
            action(person)
        except errors.NotAllowedNow as error:
            refused.append(str(error))
    only = "Only an administrator can pause or resume the queue, because it is everybody's."
    assert refused == ["The queue is not paused.", only, "The queue is paused already.", only]
    assert list(AuditEntry.objects.order_by("number").values_list("actor", "action", "object_kind")) == [
        ("owner", "tuning_queue.pause", "tuning_queue"),
        ("owner", "tuning_queue.resume", "tuning_queue"),
    ]


def test_the_pause_outlasts_the_account_that_made_it(owner):
    queue.pause(owner)
    owner.delete()
    assert queue.find_pause().name == "owner"

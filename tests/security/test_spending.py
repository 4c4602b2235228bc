"""Nobody spends more in a day than the limits allow, however many requests come at once and however often."""

import threading
import uuid
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from jobs.errors import NotAllowedNow, SpendingLimitReached
from jobs.models import Endpoint, EventLevel, PublisherModel, SpendingReservation, TuningJob
from jobs.services.chat import conversations
from jobs.services.costs import estimates, spending
from jobs.services.costs.ledger import Spent
from jobs.services.endpoints import deployed_models, endpoints, lifetime
from jobs.services.endpoints.deployed_models import DeployedModelSpec
from jobs.services.endpoints.endpoints import DeploymentSpec, Machine
from jobs.services.tuning import jobs
from jobs.states import Phase
from jobs.vertex.errors import Refused
from tests.support import factories
from tests.support.row_driver import Driver

pytestmark = [pytest.mark.threat("T20"), pytest.mark.django_db]
MACHINE = "g2-standard-12"
HOUR, WHOLE_DAY = Decimal("1.15"), Decimal("27.62")
BIG_MODEL = "google/gemma3@gemma-3-27b-it"
PARALLEL = 20


def limit(person=None, console=None, *, unknown=False):
    values = [None if value is None else Decimal(value) for value in (person, console)]
    spending.set_limits(person_usd=values[0], console_usd=values[1], allows_unknown=unknown)


def deploy(user, *, key=None, machine=MACHINE, hours=1, **values):
    spec = DeploymentSpec(
        "Captain", publisher_model=factories.BASE_MODEL, machine=Machine(machine) if machine else None,
        lease_hours=hours, **values,
    )  # fmt: skip
    return endpoints.deploy_model(user, key=key or uuid.uuid4(), spec=spec)


def training(user, characters=400_000_000, **values):
    """Of an estimate of many dollars."""
    if not PublisherModel.objects.filter(name=BIG_MODEL).exists():
        spec = {"machine_type": MACHINE, "accelerator_type": "NVIDIA_L4", "accelerator_count": 1}
        factories.publisher_model(name=BIG_MODEL, data={"machine_specs": [spec]})
    data = factories.dataset(owner=user, character_count=characters, token_estimate=round(characters * 0.231))
    return factories.tuning_spec(
        display_name="Captain", base_model=BIG_MODEL, dataset=data, tuning_mode="FULL", **values
    )


def used(user=None):
    rows = SpendingReservation.objects.filter(user=user) if user else SpendingReservation.objects.all()
    return sum((row.usd for row in rows if row.usd is not None), Decimal(0))


def in_parallel(*calls):
    """What each raised, or nothing; all begin at the same moment."""
    start = threading.Barrier(len(calls))
    ended: list[Any] = []

    def run(call):
        start.wait()
        try:
            call()
            ended.append(None)
        except Exception as error:
            ended.append(type(error))
        finally:
            connections["default"].close()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ended


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("whose", ["person", "console"])
def test_of_twenty_at_once_only_those_get_through_that_fit(owner, whose):
    limit(**{whose: HOUR * 7})
    ended = in_parallel(*[lambda: deploy(owner)] * PARALLEL)
    assert (ended.count(None), ended.count(SpendingLimitReached)) == (7, PARALLEL - 7)
    assert (Endpoint.objects.count(), used()) == (7, HOUR * 7)


@pytest.mark.django_db(transaction=True)
def test_the_same_key_twenty_times_at_once_counts_once(owner):
    limit(person=HOUR)
    key = uuid.uuid4()
    assert in_parallel(*[lambda: deploy(owner, key=key)] * PARALLEL) == [None] * PARALLEL
    assert (Endpoint.objects.count(), used()) == (1, HOUR)


def test_a_request_that_comes_again_counts_once(owner):
    limit(person=HOUR)
    key = uuid.uuid4()
    assert deploy(owner, key=key) == deploy(owner, key=key)
    assert used() == HOUR


def test_a_refusal_names_the_limit_what_is_used_and_what_was_asked(owner):
    limit(person=HOUR + 1)
    deploy(owner)
    with pytest.raises(SpendingLimitReached) as refusal:
        deploy(owner)
    assert str(refusal.value) == (
        f"The estimate is ${HOUR}. You have used ${HOUR} of your daily limit of ${HOUR + 1}. "
        "Choose something that costs less, or try again after midnight (UTC), when the limit resets. An administrator "
        "can raise the limit."
    )
    assert (Endpoint.objects.count(), used()) == (1, HOUR)


def test_everybody_together_has_a_limit(owner, team_mate):
    limit(console=HOUR)
    deploy(team_mate)
    with pytest.raises(SpendingLimitReached, match="Together, everyone has used"):
        deploy(owner)


def test_what_one_person_spends_is_not_anothers(owner, team_mate):
    limit(person=HOUR)
    deploy(team_mate)
    deploy(owner)
    assert (used(owner), used(team_mate)) == (HOUR, HOUR)


def test_a_new_day_begins_at_nothing(owner):
    limit(person=HOUR)
    deploy(owner)
    SpendingReservation.objects.update(day=spending.day_of(timezone.now()) - timedelta(days=1))
    deploy(owner)
    assert Endpoint.objects.count() == 2


def test_without_a_limit_everything_goes_and_counts(owner):
    deploy(owner)
    limit(person=HOUR)
    with pytest.raises(SpendingLimitReached):
        deploy(owner)


def test_a_limit_of_nothing_allows_nothing_that_costs(owner):
    limit(person=0)
    with pytest.raises(SpendingLimitReached):
        deploy(owner)


def test_what_a_deleted_account_has_spent_counts_until_midnight(owner, team_mate):
    limit(console=5 * HOUR)
    deploy(owner, hours=4)
    owner.delete()
    assert spending.by_person(spending.day_of(timezone.now())) == [("", Spent(4 * HOUR))]
    with pytest.raises(SpendingLimitReached, match=r"Together, everyone has used \$4\.60 of the daily limit"):
        deploy(team_mate, hours=2)
    deploy(team_mate, hours=1)
    assert spending.standing(team_mate).all == Spent(5 * HOUR)


def test_what_is_free_stays_free(owner, settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    limit(person=0)
    deploy(owner)
    deploy(owner, machine="")
    jobs.create(owner, key=uuid.uuid4(), spec=training(owner, auto_deploy=True))
    assert SpendingReservation.objects.count() == 0


def test_what_has_no_known_price_is_refused_unless_it_is_allowed(owner):
    limit(person=1)
    with pytest.raises(SpendingLimitReached, match="The price is unknown"):
        deploy(owner, machine="")
    limit(person=1, unknown=True)
    deploy(owner, machine="")
    assert (spending.standing(owner).mine, Endpoint.objects.count()) == (Spent(Decimal(0), 1), 1)


@pytest.mark.parametrize(("hours", "counted"), [(1, 1), (24, 24), (48, 24), (None, 24)])
def test_a_deployment_counts_for_its_lease_and_at_most_for_a_day(owner, hours, counted):
    deploy(owner, hours=hours)
    assert used() == spending.deployment_usd(MACHINE, 1, counted) == pytest.approx(HOUR * counted, rel=Decimal("0.01"))


def test_all_machines_that_it_may_have_count(owner):
    deploy(owner, max_replicas=3)
    assert used() == spending.deployment_usd(MACHINE, 3, 1)


def test_a_training_counts_with_the_deployment_that_follows_it(owner):
    spec = training(owner, auto_deploy=True, machine_type=MACHINE, endpoint_lease_hours=1)
    job = jobs.create(owner, key=uuid.uuid4(), spec=spec)
    cost = Decimal(job.estimate["cost_usd"])
    assert (cost > 100, used()) == (True, cost + HOUR)
    endpoints.deploy_for_job(job)
    assert used() == cost + HOUR


def test_a_training_over_the_limit_leaves_nothing_behind(owner):
    limit(person=50)
    with pytest.raises(SpendingLimitReached):
        jobs.create(owner, key=uuid.uuid4(), spec=training(owner))
    assert (TuningJob.objects.count(), SpendingReservation.objects.count()) == (0, 0)


def test_the_page_and_the_service_say_the_same(owner):
    limit(person=50)
    key, spec = uuid.uuid4(), training(owner)
    with pytest.raises(SpendingLimitReached) as refusal:
        jobs.create(owner, key=key, spec=spec)
    assert jobs.why_not_start(owner, key, spec) == str(refusal.value)


def test_what_is_cancelled_before_it_was_sent_costs_nothing(owner):
    job = jobs.create(owner, key=uuid.uuid4(), spec=training(owner))
    endpoint = deploy(owner)
    jobs.request_cancel(job)
    endpoints.request_delete(endpoint)
    assert (used(), SpendingReservation.objects.count()) == (0, 2)


def test_more_machines_count_when_they_are_asked_for(owner):
    endpoint = factories.ready_endpoint(owner=owner, machine_type=MACHINE, lease_kind="FIXED", lease_hours=1)
    limit(person=HOUR * 2)
    with pytest.raises(SpendingLimitReached):
        endpoints.request_replicas(endpoint.model, minimum=1, maximum=4)
    endpoints.request_replicas(endpoint.model, minimum=1, maximum=3)
    endpoints.request_replicas(endpoint.model, minimum=1, maximum=3)
    endpoints.request_replicas(endpoint.model, minimum=1, maximum=1)
    assert used() == HOUR * 2


def test_a_longer_lease_counts_when_it_is_asked_for(owner):
    end = timezone.now() + timedelta(hours=1)
    endpoint = factories.ready_endpoint(
        owner=owner, machine_type=MACHINE, lease_kind="FIXED", lease_hours=1, undeploy_at=end
    )
    limit(person=HOUR * 2)
    assert [lifetime.extend(endpoint, seen=end) for _click in range(2)] == [True, False]
    lifetime.set_lease(endpoint, kind="FIXED", hours=3)
    assert used() == HOUR * 2
    with pytest.raises(SpendingLimitReached):
        lifetime.set_lease(endpoint, kind="", hours=None)


def test_a_model_beside_another_counts(owner):
    endpoint = factories.ready_endpoint(owner=owner, lease_kind="FIXED", lease_hours=1)
    spec = DeployedModelSpec("Other", 10, publisher_model=factories.BASE_MODEL, machine=Machine(MACHINE))
    limit(person=HOUR)
    deployed_models.add(endpoint, key=uuid.uuid4(), spec=spec)
    with pytest.raises(NotAllowedNow):
        deployed_models.add(endpoint, key=uuid.uuid4(), spec=spec)
    assert used() == HOUR


def test_a_create_that_was_refused_costs_nothing(owner, fake_gateway):
    fake_gateway.fail("tuning.create", Refused("The dataset is empty.", "INVALID_ARGUMENT"))
    job = jobs.create(owner, key=uuid.uuid4(), spec=training(owner))
    Driver().rest(job)
    assert (job.state, used()) == ("FAILED", 0)


def settled(job, **values):
    for name, value in values.items():
        setattr(job, name, value)
    spending.follow(job)
    return used()


def test_a_training_that_has_ended_counts_with_what_it_cost(owner):
    job = jobs.create(owner, key=uuid.uuid4(), spec=training(owner, auto_deploy=True, machine_type=MACHINE))
    deployment = spending.deployment_usd(MACHINE, 1, None)
    stats = {"totalBillableTokenCount": 10_000_000}
    cost = settled(job, state="SUCCEEDED", phase=Phase.CLOSED, resource_name="x/1", data_stats=stats) - deployment
    assert (cost, cost < Decimal(job.estimate["cost_usd"])) == (estimates.figures(job).cost_usd, True)


def test_a_training_that_failed_brings_no_deployment(owner):
    job = jobs.create(owner, key=uuid.uuid4(), spec=training(owner, auto_deploy=True, machine_type=MACHINE))
    left = settled(job, state="FAILED", phase=Phase.CLOSED, resource_name="x/1")
    assert left == Decimal(job.estimate["cost_usd"])


def test_a_job_with_no_room_for_its_endpoint_still_ends(owner, fake_gateway):
    """What follows a training was paid for when it was started; a limit that came later does not stop it half-way."""
    job = jobs.create(owner, key=uuid.uuid4(), spec=training(owner, auto_deploy=True, machine_type=MACHINE))
    limit(person=0)
    assert endpoints.deploy_for_job(job).events.filter(level=EventLevel.INFO).exists()


def serving(owner, *, hours=1, kind="FIXED", **values):
    """Deployed by the owner, and ready since this moment."""
    endpoint = deploy(owner, hours=hours, lease_kind=kind, **values)
    end = timezone.now() + timedelta(hours=hours) if hours else None
    Endpoint.objects.filter(pk=endpoint.pk).update(state="READY", phase=Phase.BOUND, undeploy_at=end)
    endpoint.deployed_models.update(state="READY", phase=Phase.BOUND, next_check_at=None)
    endpoint.refresh_from_db()
    return endpoint


@pytest.fixture
def later(monkeypatch):
    """Moves the clock, within what counts as one day."""
    began = timezone.now().replace(hour=0, minute=0, second=1)

    def move(**time):
        monkeypatch.setattr(timezone, "now", lambda: began + timedelta(**time))

    move()
    return move


def hours_between(start, end):
    return Decimal(str((end - start).total_seconds())) / 3600


def test_a_lease_that_changes_its_kind_again_and_again_is_counted(owner, later):
    """An hour, then idle, then an hour: as often as it is asked for, and each time almost an hour later."""
    limit(person=HOUR)
    endpoint, began = serving(owner), timezone.now()
    for turn in range(1, 24):
        later(minutes=59 * turn)
        with suppress(SpendingLimitReached):
            lifetime.set_lease(endpoint, kind=["FIXED", "IDLE"][turn % 2], hours=1)
    endpoint.refresh_from_db()
    assert endpoint.undeploy_at < began + timedelta(hours=1, minutes=1)
    assert used() >= (HOUR * hours_between(began, endpoint.undeploy_at)).quantize(Decimal("0.01"))


def test_a_lease_that_gets_shorter_but_begins_anew_is_counted(owner, later):
    endpoint, began = serving(owner, hours=5), timezone.now()
    for hours, at in ((4, 4.9), (3, 8.8), (2, 11.7), (1, 13.6)):
        later(hours=at)
        lifetime.set_lease(endpoint, kind="FIXED", hours=hours)
    runs = hours_between(began, endpoint.undeploy_at)
    assert (round(runs, 1), round(used() / HOUR, 1)) == (Decimal("14.6"), Decimal("14.6"))


def test_a_lease_from_the_last_request_counts_a_day(owner, later):
    """It is asked every fifty minutes, and so runs all day."""
    limit(person=WHOLE_DAY)
    endpoint = serving(owner, kind="IDLE")
    for minutes in range(0, 24 * 60, 50):
        endpoint.refresh_from_db()
        assert lifetime.note_request(endpoint, timezone.now() + timedelta(minutes=minutes))
    assert used() == WHOLE_DAY
    limit(person=WHOLE_DAY - 1)
    with pytest.raises(SpendingLimitReached):
        deploy(owner, lease_kind="IDLE")


def test_a_lease_of_a_day_counts_as_much_whatever_becomes_of_it_that_day(owner, later):
    endpoint = serving(owner, kind="IDLE")
    for turn, (kind, hours) in enumerate([("FIXED", 1), ("", None), ("FIXED", 2), ("IDLE", 1), ("FIXED", 24)]):
        later(minutes=turn)
        lifetime.set_lease(endpoint, kind=kind, hours=hours)
    assert used() == WHOLE_DAY


def test_a_lease_that_has_not_begun_counts_what_it_gets_longer(owner):
    endpoint = deploy(owner, hours=2)
    for hours in (1, 2, 4):
        lifetime.set_lease(endpoint, kind="FIXED", hours=hours)
    assert HOUR * 4 <= used() <= HOUR * 5


def test_an_extension_counts_every_model_on_the_endpoint(owner):
    endpoint = serving(owner)
    for _ in range(3):
        factories.deployed_model(endpoint=endpoint, machine_type="a3-highgpu-8g", max_replicas=2)
    factories.deployed_model(endpoint=endpoint, machine_type="a3-highgpu-8g", state="UNDEPLOYED")
    before, big = used(), spending.deployment_usd("a3-highgpu-8g", 2, 1)
    limit(person=before + HOUR + big * 3 - 1)
    with pytest.raises(SpendingLimitReached):
        lifetime.extend(endpoint, seen=endpoint.undeploy_at)
    limit()
    assert lifetime.extend(endpoint, seen=endpoint.undeploy_at)
    assert used() - before == HOUR + big * 3


def test_what_is_added_counts_for_what_is_left_of_the_lease(owner):
    """Not for the hours that the lease once had: it was extended."""
    endpoint = serving(owner)
    for _ in range(4):
        lifetime.extend(endpoint, seen=endpoint.undeploy_at)
    before = used()
    endpoints.request_replicas(endpoint.model, minimum=1, maximum=2)
    spec = DeployedModelSpec("Other", 10, publisher_model=factories.BASE_MODEL, machine=Machine(MACHINE))
    deployed_models.add(endpoint, key=uuid.uuid4(), spec=spec)
    assert (before, round((used() - before) / HOUR, 1)) == (HOUR * 5, 10)


def test_questions_do_not_make_a_fixed_lease_longer(owner):
    """While an answer is being written it is not undeployed, and the next question could be there before its end."""
    endpoint = serving(owner)
    Endpoint.objects.filter(pk=endpoint.pk).update(undeploy_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(NotAllowedNow, match="The time limit of the endpoint Captain has ended"):
        conversations.ask(factories.conversation(owner=owner, endpoint=endpoint), key=uuid.uuid4(), text="Ahoy")

"""What was spent, along the whole life of an endpoint; and that nothing of it is ever forgotten."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.db.models import Q

from jobs.models import DeployedModel, LedgerEntry, LedgerKind, MachinePrice
from jobs.services.costs import ledger
from jobs.services.costs.ledger import Spent, end_orphans, follow, spent_by_group
from jobs.tasks import prune
from tests.support import factories

pytestmark = pytest.mark.django_db
START = datetime(2026, 11, 2, 8, tzinfo=UTC)
MACHINE, PRICE = "g2-standard-12", Decimal("1.1507")
OTHER, OTHER_PRICE = "a2-highgpu-1g", Decimal("4.2245")
BIG = "google/gemma3@gemma-3-27b-it"


def hour(number):
    return START + timedelta(hours=number)


def make_model(**values):
    values = {"state": "READY", "machine_type": MACHINE, "started_at": START, "available_replicas": 1} | values
    return factories.endpoint(**values).model


def change(model, at, **values):
    for name, value in values.items():
        setattr(model, name, value)
    model.save()
    follow(model, hour(at))


def periods(model):
    found = LedgerEntry.objects.filter(subject_id=model.pk)
    hours = lambda time: None if time is None else (time - START) / timedelta(hours=1)  # noqa: E731
    return [(one.machine_type, one.replicas, hours(one.started_at), hours(one.ended_at)) for one in found]


def spent(model, at):
    return spent_by_group([model.endpoint_id], hour(at)).get(model.endpoint_id, Spent())


def test_the_costs_of_a_walked_history(owner):
    """Scaled up and down, asleep, awake, undeployed, with another model on Spot VMs beside it, and deleted at last."""
    MachinePrice.objects.create(
        machine_type=OTHER, region="us-central1", spot=True, usd_per_hour=Decimal("1.5"), read_at=START
    )
    model = make_model(owner=owner)
    endpoint_id = model.endpoint_id
    follow(model, START)
    change(model, 2, available_replicas=3)
    change(model, 3, available_replicas=2)
    beside = factories.deployed_model(
        endpoint=model.endpoint, state="READY", machine_type=OTHER, spot=True, started_at=hour(3), available_replicas=2
    )
    follow(beside, hour(3))
    change(model, 4, available_replicas=0)
    change(model, 6, available_replicas=1)
    change(beside, 7, state="UNDEPLOYING")
    change(beside, 8, state="UNDEPLOYED", available_replicas=None)
    change(model, 10, state="UNDEPLOYED", available_replicas=None)

    assert periods(model) == [(MACHINE, 1, 0, 2), (MACHINE, 3, 2, 3), (MACHINE, 2, 3, 4), (MACHINE, 1, 6, 10)]
    assert periods(beside) == [(OTHER, 2, 3, 8)]
    total = PRICE * (2 + 3 + 2 + 4) + Decimal("1.5") * 2 * 5
    assert spent(model, 10) == spent(model, 999) == Spent(total, 0)

    model.endpoint.delete()
    assert (DeployedModel.objects.count(), spent_by_group([endpoint_id], hour(999))) == (0, {endpoint_id: Spent(total)})
    owner.delete()
    assert set(LedgerEntry.objects.values_list("owner", flat=True)) == {None}
    assert spent_by_group([endpoint_id], hour(999)) == {endpoint_id: Spent(total)}


def test_a_period_that_goes_on_counts_up_to_now():
    model = make_model()
    follow(model, START)
    assert [spent(model, at).usd for at in (0, 1, 2.5)] == [0, PRICE, PRICE * Decimal("2.5")]


def test_seeing_the_same_again_is_no_new_period():
    model = make_model()
    for at in (0, 1, 2):
        follow(model, hour(at))
    assert periods(model) == [(MACHINE, 1, 0, None)]


def test_a_later_price_changes_nothing_of_what_was_spent():
    model = make_model()
    follow(model, START)
    MachinePrice.objects.create(machine_type=MACHINE, region="us-central1", usd_per_hour=Decimal(5), read_at=hour(1))
    change(model, 1)
    change(model, 2, state="UNDEPLOYED")
    assert (len(periods(model)), spent(model, 2).usd) == (2, PRICE + 5)
    sources = list(LedgerEntry.objects.values_list("price_as_of", flat=True))
    assert (str(sources[0]), sources[1]) == ("2026-07-08", hour(1).date())


def test_a_price_that_nobody_tells_any_more_goes_on():
    row = MachinePrice.objects.create(machine_type="x9-1", region="us-central1", usd_per_hour=2, read_at=START)
    model = make_model(machine_type="x9-1")
    follow(model, START)
    row.delete()
    change(model, 1, available_replicas=2)
    assert spent(model, 2).usd == 2 + 2 * 2


@pytest.mark.parametrize(
    "values",
    [{"machine_type": ""}, {"location": "europe-west4"}, {"spot": True}, {"serving_options": {"flex_start_hours": 3}}],
)
def test_what_has_no_known_price_is_counted_as_unknown(values):
    model = make_model(**values)
    follow(model, START)
    change(model, 1, state="UNDEPLOYED")
    assert spent(model, 5) == Spent(Decimal(0), 1)


@pytest.mark.parametrize(
    "values",
    [
        {"machine_type": "local-cpu"},
        {"state": "FAILED"},
        {"state": "DEPLOYING"},
        {"state": "UNDEPLOYING", "started_at": None},
        {"min_replicas": 0, "available_replicas": None},
        {"made_here": False},
    ],
)
def test_what_costs_nothing_has_no_entry(values):
    model = make_model()
    DeployedModel.objects.filter(pk=model.pk).update(**values)
    follow(DeployedModel.objects.get(pk=model.pk), START)
    assert periods(model) == []


def test_nothing_on_this_computer_is_in_the_ledger(settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:8085"
    follow(make_model(), START)
    job = factories.job(state="SUCCEEDED", phase="CLOSED", base_model=BIG, data_stats={"totalBillableTokenCount": "9"})
    follow(job, START)
    assert LedgerEntry.objects.count() == 0


def test_while_nobody_tells_the_replicas_those_at_least_count():
    model = make_model(min_replicas=2, max_replicas=4, available_replicas=None)
    follow(model, START)
    assert periods(model) == [(MACHINE, 2, 0, None)]


def test_the_first_period_begins_when_the_model_was_ready():
    model = make_model()
    follow(model, hour(1))
    assert periods(model) == [(MACHINE, 1, 0, None)]


def test_of_two_open_periods_the_database_keeps_one():
    model = make_model()
    follow(model, START)
    entry = LedgerEntry.objects.get()
    entry.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        entry.save(force_insert=True)
    assert LedgerEntry.objects.count() == 1


def test_nothing_can_be_deleted():
    follow(make_model(), START)
    for delete in (LedgerEntry.objects.get().delete, LedgerEntry.objects.all().delete):
        with pytest.raises(TypeError):
            delete()
    assert LedgerEntry.objects.count() == 1


def test_a_period_whose_row_is_gone_ends():
    gone, stays = make_model(), make_model()
    for model in (gone, stays):
        follow(model, START)
    gone.endpoint.delete()
    end_orphans(hour(1))
    open_ones = LedgerEntry.objects.still_open().values_list("subject_id", flat=True)
    assert (list(open_ones), LedgerEntry.objects.get(~Q(ended_at=None)).usd) == ([stays.pk], PRICE)


def test_the_worker_ends_periods_whose_rows_are_gone():
    model = make_model()
    follow(model, START)
    model.endpoint.delete()
    prune()
    assert LedgerEntry.objects.still_open().count() == 0


def job(**values):
    values = {"data_stats": {"totalBillableTokenCount": "500000"}, "epochs": 2, "base_model": BIG} | values
    return factories.job(**{"state": "SUCCEEDED", "phase": "CLOSED", "started_at": START, "ended_at": hour(1)} | values)


def test_a_tuning_job_costs_its_tokens_once():
    row = job()
    for at in (1, 2):
        follow(row, hour(at))
    entry = LedgerEntry.objects.get()
    assert (entry.kind, entry.tokens, entry.usd, entry.ended_at) == (LedgerKind.TUNING, 10**6, Decimal("6.83"), hour(1))


def test_the_costs_of_a_tuning_job_stay_when_its_row_goes():
    row = job()
    follow(row, hour(1))
    key = row.pk
    row.delete()
    assert spent_by_group([key], hour(9)) == {key: Spent(Decimal("6.83"))}


@pytest.mark.parametrize("state", ["SUCCEEDED", "FAILED"])
def test_a_job_in_a_container_costs_its_machine_however_it_ended(state):
    row = job(state=state, data_stats={}, training_machine=MACHINE, location="us-central1")
    follow(row, hour(1))
    entry = LedgerEntry.objects.get()
    assert (entry.machine_type, entry.tokens, entry.usd) == (MACHINE, None, Decimal("1.15"))


def test_a_job_in_a_container_that_never_ran_costs_nothing():
    follow(job(state="FAILED", training_machine=MACHINE, started_at=None), hour(1))
    assert LedgerEntry.objects.count() == 0


def test_a_tuning_job_without_a_published_price_is_unknown():
    row = job(base_model="qwen/qwen3-5@qwen3.5-9b")
    follow(row, hour(1))
    assert spent_by_group([row.pk], hour(9)) == {row.pk: Spent(Decimal(0), 1)}


@pytest.mark.parametrize("values", [{"state": "FAILED"}, {"phase": "BOUND"}, {"data_stats": {}}])
def test_a_tuning_job_of_which_nobody_knows_has_no_entry(values):
    follow(job(**values), hour(1))
    assert LedgerEntry.objects.count() == 0


def test_the_entries_of_many_endpoints_take_one_query(django_assert_num_queries):
    models = [make_model() for _ in range(3)]
    for model in models:
        follow(model, START)
    with django_assert_num_queries(1):
        found = ledger.spent_by_group([model.endpoint_id for model in models], hour(1))
    assert {one.usd for one in found.values()} == {PRICE}


def test_a_clock_that_was_a_year_ahead_stops_no_count(owner):
    model = make_model(owner=owner)
    follow(model, START)
    change(model, 8760, available_replicas=2)
    before = spent(model, 1).usd
    follow(model, hour(1))
    assert (spent(model, 1).usd, spent(model, 3).usd) == (before, before + 4 * PRICE)
    follow(model, hour(2))
    assert LedgerEntry.objects.still_open().get().started_at == hour(1)

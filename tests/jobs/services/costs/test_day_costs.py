"""What counts against today's limit although it was reserved on an earlier day."""

import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from jobs.errors import SpendingLimitReached
from jobs.models import LedgerEntry, SpendingReservation
from jobs.services.costs import day_costs, spending
from jobs.services.costs.day_costs import Unreserved, list_unreserved
from jobs.services.costs.ledger import Spent, follow
from tests.support import factories

pytestmark = pytest.mark.django_db
TODAY = date(2026, 11, 3)
MIDNIGHT = datetime(2026, 11, 3, tzinfo=UTC)
MACHINE, PRICE = "g2-standard-12", Decimal("1.1507")


@pytest.fixture(autouse=True)
def at_nine(settings, monkeypatch):
    settings.TIME_ZONE = "UTC"
    monkeypatch.setattr(timezone, "now", lambda: MIDNIGHT + timedelta(hours=9))


@pytest.fixture
def other():
    return factories.owner(username="other")


def running(owner, *, since=-10, **values):
    values = {"state": "READY", "machine_type": MACHINE, "available_replicas": 1} | values
    model = factories.endpoint(owner=owner, started_at=MIDNIGHT + timedelta(hours=since), **values).model
    follow(model, MIDNIGHT + timedelta(hours=since))
    return model


def reserve(model, usd, day=TODAY, *, key=None, about=None):
    SpendingReservation.objects.create(
        pk=key or uuid.uuid4(), user=model.owner, day=day, object_id=about or model.pk, usd=usd, estimated_usd=usd
    )


def test_a_day_begins_at_midnight_in_the_console_s_time_zone(settings):
    settings.TIME_ZONE = "Asia/Seoul"
    assert day_costs.bounds_of(TODAY) == (MIDNIGHT - timedelta(hours=9), MIDNIGHT + timedelta(hours=15))


def test_what_runs_since_yesterday_counts_for_the_whole_day(owner):
    reserve(running(owner), 10, TODAY - timedelta(days=1))
    assert list_unreserved(TODAY) == [Unreserved(owner.pk, PRICE * 24)]


def test_what_ended_today_counts_up_to_its_end(owner):
    model = running(owner)
    model.state = "UNDEPLOYED"
    follow(model, MIDNIGHT + timedelta(hours=6))
    assert list_unreserved(TODAY) == [Unreserved(owner.pk, PRICE * 6)]


def test_what_ended_yesterday_does_not_count(owner):
    model = running(owner)
    model.state = "UNDEPLOYED"
    follow(model, MIDNIGHT)
    assert list_unreserved(TODAY) == []


def test_a_fixed_time_limit_ends_it(owner):
    running(owner, lease_kind="FIXED", lease_hours=13, undeploy_at=MIDNIGHT + timedelta(hours=3))
    assert list_unreserved(TODAY) == [Unreserved(owner.pk, PRICE * 3)]


def test_what_was_reserved_today_does_not_count_twice(owner):
    reserve(running(owner, since=2), PRICE * 24)
    assert list_unreserved(TODAY) == []


def test_more_than_was_reserved_counts(owner):
    reserved = (PRICE * 24).quantize(Decimal("0.01"))
    reserve(running(owner, available_replicas=3), reserved)
    assert list_unreserved(TODAY) == [Unreserved(owner.pk, PRICE * 72 - reserved)]


def test_what_a_job_reserved_for_its_deployment_belongs_to_the_model(owner):
    job = factories.job(owner=owner, state="SUCCEEDED")
    model = running(owner, since=2, job=job)
    reserve(model, PRICE * 24, key=spending.deployment_key(job.pk), about=job.pk)
    assert list_unreserved(TODAY) == []


@pytest.mark.parametrize(("reserved", "found"), [(None, [None]), (5, [])])
def test_an_unknown_price_is_unknown_unless_it_was_reserved(owner, reserved, found):
    model = running(owner, location="europe-west4")
    if reserved:
        reserve(model, reserved)
    assert [one.usd for one in list_unreserved(TODAY)] == found


def test_tuning_jobs_count_with_their_reservations_only(owner):
    LedgerEntry.objects.create(
        kind="TUNING", owner=owner, subject_id=uuid.uuid4(), group_id=uuid.uuid4(), name="Job", region="us-central1",
        usd=7, started_at=MIDNIGHT, ended_at=MIDNIGHT + timedelta(hours=1),
    )  # fmt: skip
    assert list_unreserved(TODAY) == []


def test_the_limit_of_today_counts_what_still_runs(owner, other):
    running(owner)
    spending.set_limits(person_usd=PRICE * 24 + 1, console_usd=None, allows_unknown=False)
    spending.reserve(owner, uuid.uuid4(), {uuid.uuid4(): Decimal(1)})
    with pytest.raises(SpendingLimitReached):
        spending.reserve(owner, uuid.uuid4(), {uuid.uuid4(): Decimal("0.01")})
    spending.reserve(other, uuid.uuid4(), {uuid.uuid4(): Decimal(2)})


def test_the_limit_of_everybody_counts_what_still_runs(owner, other):
    running(owner)
    spending.set_limits(person_usd=None, console_usd=PRICE * 24, allows_unknown=False)
    with pytest.raises(SpendingLimitReached):
        spending.reserve(other, uuid.uuid4(), {uuid.uuid4(): Decimal("0.01")})


def test_what_a_page_shows_of_today(owner, other):
    model = running(owner)
    reserve(model, 2, about=uuid.uuid4())
    running(owner, location="europe-west4")
    standing = spending.standing(owner)
    assert standing.mine == standing.all == Spent(PRICE * 24 + 2, 1)
    assert spending.standing(other).mine == Spent(Decimal(0), 0)
    assert spending.by_person(TODAY) == [(owner.username, Spent(PRICE * 24 + 2, 1))]


def test_what_an_account_left_running_counts_for_everybody(owner):
    model = running(owner)
    LedgerEntry.objects.filter(subject_id=model.pk).update(owner=None)
    assert spending.by_person(TODAY) == [("", Spent(PRICE * 24, 0))]

"""What a machine costs, by where it stands and how it is rented; and where nobody knows."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from jobs.models import MachinePrice
from jobs.services.costs import machine_prices
from jobs.services.costs.machine_prices import LONGEST_FRESH, Machine, find_prices, machine_of, price, total_per_hour
from jobs.services.costs.sku_prices import shapes
from tests.support import factories

pytestmark = pytest.mark.django_db
LISTED = date(2026, 7, 8)


def read(usd="2", *, machine="g2-standard-24", region="us-central1", spot=False, at=None):
    return MachinePrice.objects.create(
        machine_type=machine, region=region, spot=spot, usd_per_hour=Decimal(usd), read_at=at or timezone.now()
    )


@pytest.mark.parametrize(
    ("machine", "usd"),
    [("g2-standard-24", "2.3014"), ("a2-highgpu-4g", "16.8980"), ("a2-megagpu-16g", "64.1021")],
)
def test_a_machine_of_the_table_has_a_price_with_its_source(machine, usd):
    found = price(machine)
    told = (found.usd_per_hour, found.region, found.spot, found.as_of, bool(found.source))
    assert told == (Decimal(usd), "us-central1", False, LISTED, True)


def test_machines_of_exactly_so_many_times_the_parts_cost_so_many_times_as_much():
    one = price("a2-highgpu-1g").usd_per_hour
    assert [price(f"a2-highgpu-{count}g").usd_per_hour / one for count in (2, 4, 8)] == [2, 4, 8]


def test_every_machine_of_the_table_has_a_known_shape():
    assert {one.machine_type for one in machine_prices._table()} - set(shapes()) == set()


@pytest.mark.parametrize(
    ("machine", "region", "spot"),
    [
        ("x9-mega-1", "us-central1", False),
        ("", "us-central1", False),
        ("a3-megagpu-8g", "us-central1", False),
        ("g2-standard-24", "europe-west4", False),
        ("g2-standard-24", "us-central1", True),
    ],
)
def test_the_price_of_another_machine_or_region_is_no_price(machine, region, spot):
    assert price(machine, region, spot=spot) is None


def test_without_a_region_the_configured_one_counts(settings):
    settings.VERTEX_LOCATION = "europe-west4"
    assert price("g2-standard-24") is None


def test_where_nothing_is_served_the_region_that_is_proposed_counts(settings):
    settings.VERTEX_LOCATION = "global"
    assert price("g2-standard-24", "global").region == price("g2-standard-24").region == "us-central1"


def test_what_was_read_comes_before_the_table():
    read("2.5")
    found = price("g2-standard-24")
    assert (found.usd_per_hour, found.source, found.as_of) == (Decimal("2.5"), "", timezone.now().date())


def test_a_table_that_is_newer_comes_before_what_was_read():
    read("2.5", at=datetime(2026, 7, 7, 23, tzinfo=UTC))
    assert price("g2-standard-24").usd_per_hour == Decimal("2.3014")


def test_regions_and_spot_are_read_each_by_itself():
    read("3", region="europe-west4")
    read("1", spot=True)
    found = (price("g2-standard-24", "europe-west4"), price("g2-standard-24", spot=True), price("g2-standard-24"))
    assert [one.usd_per_hour for one in found] == [3, 1, Decimal("2.3014")]
    assert price("g2-standard-24", "europe-west4", spot=True) is None


def test_a_price_is_old_after_ninety_days(monkeypatch):
    found = price("g2-standard-24")
    for days, is_old in ((0, False), (LONGEST_FRESH.days, False), (LONGEST_FRESH.days + 1, True)):
        now = datetime(2026, 7, 8, tzinfo=UTC) + timedelta(days=days)
        monkeypatch.setattr(timezone, "now", lambda now=now: now)
        assert found.is_old is is_old


def test_nothing_that_runs_on_this_computer_costs_money(settings, django_assert_num_queries):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:8085"
    with django_assert_num_queries(0):
        found = [price(machine, region) for machine in ("", "local-cpu", "g2-standard-24") for region in ("", "moon-1")]
    assert {(one.usd_per_hour, one.is_old) for one in found} == {(Decimal(0), False)}


def test_the_machine_of_a_local_server_is_free_elsewhere_too():
    assert price("local-cpu", "europe-west4").usd_per_hour == 0


def test_prices_of_many_machines_take_one_query(django_assert_num_queries):
    read("3", region="europe-west4")
    wanted = [Machine("g2-standard-24", region) for region in ("us-central1", "europe-west4", "us-east5")]
    with django_assert_num_queries(1):
        found = find_prices(wanted)
    assert [one and one.usd_per_hour for one in map(found.get, wanted)] == [Decimal("2.3014"), 3, None]


def test_the_hour_of_several_models():
    read("1", spot=True)
    rows = [
        factories.endpoint(machine_type="g2-standard-24", **values).model
        for values in ({"min_replicas": 2, "max_replicas": 3}, {"spot": True})
    ]
    assert total_per_hour(rows, find_prices(map(machine_of, rows))) == 2 * Decimal("2.3014") + 1
    rows[1].location = "europe-west4"
    assert total_per_hour(rows, find_prices(map(machine_of, rows))) is None

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from jobs.models import FoundResource, InventoryLook
from jobs.services.inventory import looks
from jobs.vertex.errors import NotAuthorised, Unavailable
from jobs.vertex.found import CUSTOM_JOB, ENDPOINT, MODEL, TUNING_JOB, Found, FoundModel, Machines
from tests.fakes import GEMMA_270M, LOCATION, PARENT
from tests.support import factories

pytestmark = pytest.mark.django_db
NOW = factories.NOW
L4 = Machines("g2-standard-12", "NVIDIA_L4", 1, 2, 3, 2)
LATER = NOW + timedelta(minutes=10)


@pytest.fixture(autouse=True)
def on_google(settings):
    settings.VERTEX_API_ENDPOINT = ""


def endpoint(key="by-hand", *, name="By hand", machines=L4, parent=PARENT, **values):
    model = FoundModel("77", f"{PARENT}/models/m@1", "Gemma", machines, NOW, 100)
    chosen: dict[str, Any] = {
        "create_time": NOW - timedelta(days=3),
        "models": (model,),
        "machines": (machines,),
        "dedicated_dns": "1.example",
    } | values
    return Found(f"{parent}/endpoints/{key}", name, {}, **chosen)


def list_keys(**wanted):
    return list(FoundResource.objects.filter(**wanted).values_list("key", flat=True))


def test_each_kind_is_kept_with_what_it_costs(fake_gateway):
    fake_gateway.inventory.add(ENDPOINT, endpoint())
    fake_gateway.inventory.add(MODEL, Found(f"{PARENT}/models/m", "M", {}, NOW, base_model=GEMMA_270M))
    fake_gateway.inventory.add(TUNING_JOB, Found(f"{PARENT}/tuningJobs/1", "T", {}, NOW, "SUCCEEDED", result="m"))
    fake_gateway.inventory.add(CUSTOM_JOB, Found(f"{PARENT}/customJobs/2", "C", {}, NOW, "RUNNING", machines=(L4,)))
    looks.look(LOCATION, NOW)
    rows = FoundResource.objects.order_by("kind").values_list("kind", "key", "state", "is_running", "usd_per_hour")
    price = looks.usd_per_hour([L4], "us-central1")
    assert list(rows) == [
        (CUSTOM_JOB, "2", "RUNNING", True, price),
        (ENDPOINT, "by-hand", "", True, price),
        (MODEL, "m", "", False, None),
        (TUNING_JOB, "1", "SUCCEEDED", False, None),
    ]
    found = FoundResource.objects.get(kind=ENDPOINT)
    machine = {
        "machine_type": "g2-standard-12", "accelerator_type": "NVIDIA_L4", "accelerator_count": 1, "count": 2,
        "most": 3, "available": 2,
    }  # fmt: skip
    assert found.facts == {
        "dedicated_dns": "1.example",
        "machines": [machine],
        "models": [
            {"id": "77", "model": f"{PARENT}/models/m@1", "display_name": "Gemma", "share": 100,
             "created_at": NOW.isoformat(), **machine}
        ],
    }  # fmt: skip


def test_the_price_is_of_the_replicas_that_always_work():
    one = looks.usd_per_hour([Machines("g2-standard-12")], "us-central1")
    assert one is not None
    assert looks.usd_per_hour([L4, Machines("g2-standard-12", count=1)], "us-central1") == 3 * one
    assert looks.usd_per_hour([Machines("g2-standard-12", count=0)], "us-central1") == Decimal(0)
    assert (looks.usd_per_hour([L4, Machines("unheard-of")], "us-central1"), looks.usd_per_hour([], "us-central1")) == (
        None,
        None,
    )


def test_what_this_console_made_is_left_out(fake_gateway):
    factories.ready_endpoint(endpoint_user_id="garden-1", model_user_id="garden-1")
    factories.job(resource_name="projects/4711/locations/us-central1/tuningJobs/7", tuned_model=f"{PARENT}/models/t@2")
    fake_gateway.inventory.add(ENDPOINT, endpoint("garden-1"), endpoint("by-hand"))
    for key in ("garden-1", "t", "by-hand"):
        fake_gateway.inventory.add(MODEL, Found(f"{PARENT}/models/{key}", key, {}, NOW))
    for key in ("7", "8"):
        fake_gateway.inventory.add(TUNING_JOB, Found(f"{PARENT}/tuningJobs/{key}", key, {}, NOW, "RUNNING"))
    looks.look(LOCATION, NOW)
    assert (list_keys(kind=ENDPOINT), list_keys(kind=MODEL), list_keys(kind=TUNING_JOB)) == (
        ["by-hand"],
        ["by-hand"],
        ["8"],
    )


def test_what_is_gone_leaves_and_what_stays_keeps_its_id(fake_gateway):
    fake_gateway.inventory.add(ENDPOINT, endpoint("a"), endpoint("b", create_time=None))
    looks.look(LOCATION, NOW)
    before = FoundResource.objects.get(key="b")
    fake_gateway.inventory.added[ENDPOINT] = [endpoint("b", name="New name", create_time=None)]
    looks.look(LOCATION, LATER)
    after = FoundResource.objects.get()
    assert (after.pk, after.display_name, after.created_at, after.seen_at) == (
        before.pk, "New name", before.created_at, LATER,
    )  # fmt: skip


def test_a_region_that_fails_says_why_keeps_what_it_had_and_stops_no_other(fake_gateway):
    west = PARENT.replace(LOCATION, "us-west1")
    fake_gateway.inventory.add(ENDPOINT, endpoint("a"), endpoint("b", parent=west))
    for region in (LOCATION, "us-west1"):
        looks.look(region, NOW)
    fake_gateway.inventory.broken[LOCATION] = NotAuthorised("Not allowed here.", "PERMISSION_DENIED")
    for region in (LOCATION, "us-west1"):
        looks.look(region, LATER)
    told = InventoryLook.objects.filter(kind=ENDPOINT).values_list("location", "problem", "looked_at", "succeeded_at")
    assert list(told) == [(LOCATION, "Not allowed here.", LATER, NOW), ("us-west1", "", LATER, LATER)]
    assert sorted(list_keys()) == ["a", "b"]


def test_one_kind_that_fails_stops_no_other(fake_gateway):
    fake_gateway.inventory.add(CUSTOM_JOB, Found(f"{PARENT}/customJobs/2", "C", {}, NOW, "RUNNING"))
    fake_gateway.fail("inventory.list_resources", Unavailable("Away."), times=1)
    looks.look(LOCATION, NOW)
    assert (list(InventoryLook.objects.exclude(problem="").values_list("kind", flat=True)), list_keys()) == (
        ["endpoint"],
        ["2"],
    )


def test_nobody_looks_twice_in_two_seconds(fake_gateway):
    for seconds in (0, 1, 1.9, 2, 3):
        looks.look(LOCATION, NOW + timedelta(seconds=seconds))
    assert len(fake_gateway.calls) == 2 * 4


def test_a_clock_that_was_ahead_is_not_waited_for(fake_gateway):
    looks.look(LOCATION, NOW + timedelta(days=1))
    looks.look(LOCATION, NOW)
    assert len(fake_gateway.calls) == 2 * 4


def test_more_than_is_read_is_said_and_what_was_seen_lately_stays(fake_gateway):
    fake_gateway.inventory.add(ENDPOINT, *[endpoint(f"e{number}") for number in range(5)])
    looks.look(LOCATION, NOW, 3)
    assert (InventoryLook.objects.get(kind=ENDPOINT).is_whole, sorted(list_keys())) == (False, ["e0", "e1", "e2"])
    fake_gateway.inventory.added[ENDPOINT].reverse()
    looks.look(LOCATION, LATER, 3)
    assert sorted(list_keys()) == ["e0", "e1", "e2", "e3", "e4"]
    looks.look(LOCATION, LATER + timedelta(days=2), 3)
    assert sorted(list_keys()) == ["e2", "e3", "e4"]


def test_texts_and_numbers_from_outside_are_bounded(fake_gateway):
    """Twice the same model, numbers that no column takes, control characters, and names without end."""
    wild = Machines("x" * 999, "y" * 999, -1, 2**31, -5, 2**31)
    model = FoundModel("7" * 64, "m" * 9999, "\x00\n\x1b\ud800" + "n" * 999, wild, None, -3)
    no_ids = [replace(model, id=text) for text in ("", "a/b", "7" * 65, "../x", "ä")]
    fake_gateway.inventory.add(
        ENDPOINT,
        endpoint(name="a\x00b\nc" + "d" * 999, models=(model, model, *no_ids), folder="f" * 9999),
        Found(f"{PARENT}/endpoints/no-name", "", {}, NOW),
    )
    looks.look(LOCATION, NOW)
    row = FoundResource.objects.get(key="by-hand")
    assert (row.display_name, len(row.facts["folder"]), len(row.facts["models"])) == ("a b c" + "d" * 123, 1024, 1)
    assert row.facts["models"][0] == {
        "id": "7" * 64, "model": "m" * 512, "display_name": "?" + "n" * 127, "share": 0, "created_at": "",
        "machine_type": "x" * 64, "accelerator_type": "y" * 64, "accelerator_count": 0, "count": 9999, "most": 0,
        "available": 9999,
    }  # fmt: skip
    assert FoundResource.objects.get(key="no-name").display_name == "no-name"


def test_no_query_holds_what_a_database_does_not_take(fake_gateway):
    """PostgreSQL refuses NUL even where it is only looked for."""
    wild = replace(L4, type="g2\x00")
    fake_gateway.inventory.add(ENDPOINT, endpoint("by\x00hand", machines=wild))
    fake_gateway.inventory.add(CUSTOM_JOB, Found(f"{PARENT}/customJobs/2\x00", "C", {}, NOW, "RUNNING"))
    values: list[str] = []

    def note(execute, sql, params, many, context):
        values.extend(map(str, params or ()))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        looks.look(LOCATION, NOW)
    assert sorted(FoundResource.objects.values_list("key", "usd_per_hour")) == [("2", None), ("by hand", None)]
    assert [value for value in values if "\x00" in value or "\\u0000" in value] == []


def test_the_machines_of_a_resource_take_one_query(django_assert_num_queries):
    types = ("g2-standard-12", "g2-standard-8", "a2-highgpu-1g")
    with django_assert_num_queries(1):
        looks.usd_per_hour([Machines(name) for name in types * 9], LOCATION)


def test_what_is_no_region_is_not_asked_for(fake_gateway):
    for name in ("evil.example/", "global", "europe-west9", ""):
        looks.look(name, NOW)
    assert (fake_gateway.calls, InventoryLook.objects.count()) == ([], 0)


def test_regions_where_nobody_looks_any_more_are_forgotten(fake_gateway):
    west = PARENT.replace(LOCATION, "us-west1")
    fake_gateway.inventory.add(ENDPOINT, endpoint("a"), endpoint("b", parent=west))
    for region in (LOCATION, "us-west1"):
        looks.look(region, NOW)
    looks.forget([LOCATION])
    assert (list_keys(), InventoryLook.objects.filter(location="us-west1").count()) == (["a"], 0)


@pytest.mark.parametrize(("count", "usd"), [(-5, 0), (2**62, Decimal("999999.9999"))])
def test_no_number_of_machines_ends_the_look(fake_gateway, count, usd):
    dear = (Machines("a3-ultragpu-8g", count=count),) * 90
    fake_gateway.inventory.add(CUSTOM_JOB, Found(f"{PARENT}/customJobs/2", "C", {}, NOW, "RUNNING", machines=dear))
    fake_gateway.inventory.add(MODEL, Found(f"{PARENT}/models/m", "M", {}, NOW))
    looks.look(LOCATION, NOW)
    assert dict(FoundResource.objects.values_list("key", "usd_per_hour")) == {"2": usd, "m": None}

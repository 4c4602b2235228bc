"""Which machine a line of the price catalogue is a part of, and what a machine costs by its parts."""

from decimal import Decimal

import pytest

from jobs.services.costs.machine_prices import price
from jobs.services.costs.sku_prices import (
    ACCELERATOR,
    CORE,
    FEE,
    ON_DEMAND,
    RAM,
    SPOT,
    SSD,
    Part,
    PartPrices,
    Rate,
    list_rates,
    read_part,
    shapes,
)
from jobs.vertex.skus import read_page
from tests.support.price_catalogue import (
    H100,
    H100_FEES,
    H100_HOUR,
    H100_SPOT,
    H100_SPOT_HOUR,
    PREDICTION,
    REGION,
    line,
    lines,
)

EXACT = Decimal("0.0000001")


@pytest.mark.parametrize(
    ("description", "part"),
    [
        (f"{PREDICTION} Nvidia H100 80gb GPU running in Iowa", Part(ON_DEMAND, ACCELERATOR, "h100 80gb")),
        (f"{PREDICTION} Nvidia A100 80gb GPU running in Iowa", Part(ON_DEMAND, ACCELERATOR, "a100 80gb")),
        (f"{PREDICTION} Nvidia Tesla A100 GPU running in Iowa", Part(ON_DEMAND, ACCELERATOR, "tesla a100")),
        (f"{PREDICTION} A3 Predefined Instance Core running in Iowa", Part(ON_DEMAND, CORE, "a3")),
        (f"{PREDICTION} A2 Instance Core running in Americas", Part(ON_DEMAND, CORE, "a2")),
        (f"{PREDICTION} A2 Instance Ram running in Americas", Part(ON_DEMAND, RAM, "a2")),
        (f"{PREDICTION} N1 Predefined Instance Ram running in Salt Lake City", Part(ON_DEMAND, RAM, "n1")),
        (f"{PREDICTION} management fee on NVIDIA H100 80GB in Iowa", Part(FEE, ACCELERATOR, "h100 80gb")),
        (f"{PREDICTION} management fee on A2 Instance RAM in Iowa", Part(FEE, RAM, "a2")),
        (
            "Nvidia L4 GPU attached to Spot Preemptible VMs running in Las Vegas",
            Part(SPOT, ACCELERATOR, "l4"),
        ),
        ("Spot Preemptible A3 Instance Core running in Americas", Part(SPOT, CORE, "a3")),
        ("Spot Preemptible A3 Instance Ram running in Americas", Part(SPOT, RAM, "a3")),
        ("SSD backed Local Storage attached to Spot Preemptible VMs", Part(SPOT, SSD)),
        ("SSD backed Local Storage attached to Spot Preemptible VMs in Tokyo", Part(SPOT, SSD)),
        ("SSD backed Local Storage", None),
        ("A3 Instance Core running in Americas", None),
        ("Nvidia L4 GPU running in Virginia", None),
        ("Nvidia H100 80GB GPU attached to DWS Defined Duration VMs running in Americas", None),
        ("Vertex AI: Training/Pipelines on NVIDIA H100 80GB in Iowa", None),
        (f"{PREDICTION} Cloud TPU v5e running in Iowa", None),
        ("Commitment v1: A3 Cpu in Iowa for 1 Year", None),
        ("Gemini 2.5 Flash Text Input - Predictions", None),
        ("", None),
    ],
)
def test_the_part_that_a_line_is_about(description, part):
    assert read_part(description) == part


def rates(*raw):
    prices = PartPrices()
    prices.add(read_page({"skus": [one for group in raw for one in group]}).skus)
    return list(list_rates(prices))


def by_machine(found, *, spot=False, region=REGION):
    return {one.machine_type: one.usd_per_hour for one in found if one.spot == spot and one.region == region}


@pytest.mark.django_db
def test_a_machine_costs_what_the_bill_of_it_says():
    found = by_machine(rates(lines(H100)))
    assert found["a3-highgpu-1g"].quantize(EXACT) == H100_HOUR
    assert found["a3-highgpu-1g"].quantize(Decimal("0.0001")) == price("a3-highgpu-1g", region=REGION).usd_per_hour


def test_bigger_machines_have_more_of_the_same_parts():
    found = by_machine(rates(lines(H100)))
    times = {name: (usd / found["a3-highgpu-1g"]).quantize(EXACT) for name, usd in found.items()}
    assert times == {
        "a3-highgpu-1g": 1, "a3-highgpu-2g": 2, "a3-highgpu-4g": 4, "a3-highgpu-8g": 8, "a3-edgegpu-8g": 8,
    }  # fmt: skip


def test_a_spot_machine_costs_compute_engines_parts_and_the_fee():
    found = by_machine(rates(lines(H100, H100_FEES, H100_SPOT)), spot=True)
    assert found["a3-highgpu-1g"].quantize(EXACT) == H100_SPOT_HOUR


@pytest.mark.parametrize("missing", [*H100_FEES, *H100_SPOT])
def test_a_spot_machine_of_which_a_part_has_no_price_has_none(missing):
    raw = [one for one in lines(H100, H100_FEES, H100_SPOT) if one["description"] != missing]
    assert by_machine(rates(raw), spot=True) == {}


@pytest.mark.parametrize("missing", H100)
def test_a_machine_of_which_a_part_has_no_price_has_none(missing):
    assert rates([one for one in lines(H100) if one["description"] != missing]) == []


@pytest.mark.parametrize("twice", H100)
def test_two_prices_for_one_part_are_none(twice):
    assert rates(lines(H100), [line(twice, "0.5", H100[twice][1])]) == []
    again = [one for one in lines(H100) if one["description"] == twice]
    assert len(rates(lines(H100), again)) == len(rates(lines(H100))) == 5


@pytest.mark.parametrize(
    "values", [{"category": {"usageType": "Commit1Yr"}}, {"category": {"usageType": "Preemptible"}}]
)
def test_commitments_and_other_uses_are_no_price_on_demand(values):
    assert rates(lines(H100, **values)) == []


def test_a_part_in_another_unit_is_no_price():
    assert rates([line(name, usd, "GiBy.mo") for name, (usd, _unit) in H100.items()]) == []


@pytest.mark.parametrize("usd", ["0", "1000"])
def test_what_costs_nothing_or_a_fortune_is_no_price(usd):
    assert rates([line(name, usd, unit) for name, (_usd, unit) in H100.items()]) == []


@pytest.mark.parametrize("region", ["", "Iowa!", "r" * 65])
def test_what_is_no_region_has_no_price(region):
    assert rates(lines(H100, serviceRegions=[region])) == []


def test_each_region_has_its_own_price():
    dear = [line(name, f"1{usd}", unit, serviceRegions=["europe-west4"]) for name, (usd, unit) in H100.items()]
    found = rates(lines(H100), dear)
    regions = {one.region for one in found}
    here, there = (by_machine(found, region=one)["a3-highgpu-1g"] for one in (REGION, "europe-west4"))
    assert (regions, here.quantize(EXACT), there > 100) == ({REGION, "europe-west4"}, H100_HOUR, True)


def test_parts_of_two_regions_make_no_machine():
    core, *others = lines(H100)
    assert rates([core | {"serviceRegions": ["europe-west4"]}], others) == []


def test_a_line_of_several_regions_counts_in_each():
    found = rates(lines(H100, serviceRegions=["us-central1", "us-east5"]))
    assert Rate("a3-highgpu-1g", "us-east5", False, by_machine(found)["a3-highgpu-1g"]) in found


def test_the_machines_that_are_known():
    """Those of the same series have the same vCPUs and memory for each accelerator, but for the largest A2."""
    by_series: dict[tuple[tuple[str, ...], ...], set[tuple[float, ...]]] = {}
    for shape in shapes().values():
        if shape.machine_type.startswith("a") and shape.machine_type != "a2-megagpu-16g":
            parts = (shape.cores, shape.memory, shape.ssd)
            each = tuple(part / shape.accelerator_count for part in parts)
            by_series.setdefault((shape.series, shape.accelerators), set()).add(each)
    assert sorted(by_series.values(), key=sorted) == [
        {(12, 85, 0)}, {(12, 170, 375)}, {(26, 234, 750)}, {(26, 234, 750)}, {(28, 369, 1500)},
    ]  # fmt: skip
    mega = shapes()["a2-megagpu-16g"]
    assert (mega.cores, mega.memory, mega.accelerator_count) == (96, 1360, 16)

"""What the machines of Vertex AI cost an hour, put together from the lines of Google's price catalogue.

A machine has no line of its own: its vCPUs, its memory and its accelerators have one each, for every place. On demand
they are those of Vertex AI's "Online/Batch Prediction". A Spot VM is billed by Compute Engine's own lines for Spot, its
local SSD among them, and Vertex AI's management fee on top. A machine of which one part has no line, or two lines that
differ, has no price in that region: half a price would be a wrong one.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

from jobs.vertex.skus import Sku

SHAPES = Path(__file__).with_name("machine_shapes.toml")
HOURS_A_MONTH = 730
ON_DEMAND, FEE, SPOT = "on demand", "fee", "spot"
CORE, RAM, ACCELERATOR, SSD = "core", "ram", "accelerator", "ssd"
UNITS = {CORE: "h", ACCELERATOR: "h", RAM: "GiBy.h", SSD: "GiBy.mo"}
USAGES = {ON_DEMAND: "OnDemand", FEE: "OnDemand", SPOT: "Preemptible"}
# For an hour of one part; no list price is near it.
TOO_DEAR = 1000
# For an hour of a machine, the same.
TOO_DEAR_TOGETHER = 10_000

REGION = re.compile(r"[a-z0-9-]{1,64}")
VERTEX = re.compile(
    r"vertex ai: online/batch prediction (?P<fee>management fee on )?(?P<what>.+?)(?: running)? in .+", re.IGNORECASE
)
SPOT_ACCELERATOR = re.compile(r"(?P<what>nvidia .+?) gpu attached to spot preemptible vms running in .+", re.IGNORECASE)
SPOT_INSTANCE = re.compile(r"spot preemptible (?P<what>.+?) running in .+", re.IGNORECASE)
SPOT_SSD = re.compile(r"ssd backed local storage attached to spot preemptible vms(?: .+)?", re.IGNORECASE)
INSTANCE = re.compile(r"(?P<series>.+?)(?: predefined)? instance (?P<part>core|ram)")
NVIDIA = re.compile(r"nvidia (?P<accelerator>.+?)(?: gpu)?")


@dataclass(frozen=True)
class Part:
    """`name`: the series of a core or of memory, or the accelerator; in small letters. `offer`: one of the three ways
    in which it is billed."""

    offer: str
    kind: str
    name: str = ""


@dataclass(frozen=True)
class Shape:
    machine_type: str
    series: tuple[str, ...]
    accelerators: tuple[str, ...]
    cores: int
    memory: int
    accelerator_count: int
    ssd: int


@dataclass(frozen=True)
class Rate:
    machine_type: str
    region: str
    spot: bool
    usd_per_hour: Decimal


def read_part(description: str) -> Part | None:
    """Which part of which machines a line of the catalogue is about. None: of none that the console knows."""
    if found := VERTEX.fullmatch(description):
        return _name(FEE if found["fee"] else ON_DEMAND, found["what"])
    if found := SPOT_ACCELERATOR.fullmatch(description) or SPOT_INSTANCE.fullmatch(description):
        return _name(SPOT, found["what"])
    return Part(SPOT, SSD) if SPOT_SSD.fullmatch(description) else None


def _name(offer: str, what: str) -> Part | None:
    words = what.lower()
    if instance := INSTANCE.fullmatch(words):
        return Part(offer, instance["part"], instance["series"])
    accelerator = NVIDIA.fullmatch(words)
    return Part(offer, ACCELERATOR, accelerator["accelerator"]) if accelerator else None


def _is_price(part: Part, sku: Sku) -> bool:
    return sku.unit == UNITS[part.kind] and sku.usage == USAGES[part.offer] and 0 < sku.usd < TOO_DEAR


class PartPrices:
    """What was read so far, by part and region: far less than the lines that it was read from."""

    def __init__(self) -> None:
        self._found: dict[tuple[Part, str], Decimal | None] = {}

    def add(self, skus: Iterable[Sku]) -> None:
        for sku in skus:
            part = read_part(sku.description)
            if part and _is_price(part, sku):
                self._keep(part, sku)

    def _keep(self, part: Part, sku: Sku) -> None:
        for region in filter(REGION.fullmatch, sku.regions):
            known = self._found.setdefault((part, region), sku.usd)
            if known != sku.usd:
                self._found[part, region] = None

    @property
    def regions(self) -> set[str]:
        return {region for _part, region in self._found}

    def usd(self, offer: str, kind: str, names: Iterable[str], region: str) -> Decimal | None:
        """By the first of the names that has a price there."""
        found = (self._found.get((Part(offer, kind, name), region)) for name in names)
        return next((usd for usd in found if usd is not None), None)


def list_rates(prices: PartPrices) -> Iterator[Rate]:
    for shape in shapes().values():
        for region in sorted(prices.regions):
            for spot in (False, True):
                usd = _usd_per_hour(shape, region, prices, spot=spot)
                if usd is not None and usd < TOO_DEAR_TOGETHER:
                    yield Rate(shape.machine_type, region, spot, usd)


def _usd_per_hour(shape: Shape, region: str, prices: PartPrices, *, spot: bool) -> Decimal | None:
    offers = (SPOT, FEE) if spot else (ON_DEMAND,)
    parts = [_part_usd(shape, offer, region, prices) for offer in offers]
    if spot and shape.ssd:
        month = prices.usd(SPOT, SSD, [""], region)
        parts.append(None if month is None else month * shape.ssd / HOURS_A_MONTH)
    return None if None in parts else sum((part for part in parts if part is not None), Decimal(0))


def _part_usd(shape: Shape, offer: str, region: str, prices: PartPrices) -> Decimal | None:
    core = prices.usd(offer, CORE, shape.series, region)
    ram = prices.usd(offer, RAM, shape.series, region)
    accelerator = prices.usd(offer, ACCELERATOR, shape.accelerators, region)
    if core is None or ram is None or accelerator is None:
        return None
    return core * shape.cores + ram * shape.memory + accelerator * shape.accelerator_count


@cache
def shapes() -> Mapping[str, Shape]:
    table = tomllib.loads(SHAPES.read_text(encoding="utf-8"))
    return {name: _shape(name, row, table["series"][row[0]]) for name, row in table["machines"].items()}


def _shape(name: str, row: list[int], series: Mapping[str, list[str]]) -> Shape:
    _series, cores, memory, accelerators, ssd = row
    return Shape(name, tuple(series["series"]), tuple(series["accelerator"]), cores, memory, accelerators, ssd)

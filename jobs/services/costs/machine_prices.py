"""What a machine costs an hour while a model is deployed on it, by region and by Spot VM.

From Google's price catalogue, as it was read last, or from the table of list prices, whichever is newer. What is in
neither is not known, which is not the same as free.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from jobs.models import LOCAL_MACHINE, DeployedModel, MachinePrice
from jobs.services.catalogue import regions

PRICES = Path(__file__).with_name("machine_prices.toml")
LOCAL = LOCAL_MACHINE
LONGEST_FRESH = timedelta(days=90)


@dataclass(frozen=True)
class Machine:
    """`region` is where it stands; the price of another region is no price of it. `flex_start`: by Flex-start, whose
    prices nobody tells."""

    machine_type: str
    region: str
    spot: bool = False
    flex_start: bool = False


@dataclass(frozen=True)
class Price:
    """`usd_per_hour` for one replica. `source` is empty where it comes from Google's price catalogue; `as_of` is then
    the day on which that was read."""

    usd_per_hour: Decimal
    region: str
    spot: bool
    source: str
    as_of: date

    @property
    def is_old(self) -> bool:
        return bool(self.usd_per_hour) and timezone.now().date() - self.as_of > LONGEST_FRESH


def machine_of(model: DeployedModel) -> Machine:
    flex_start = bool(model.serving_options.get("flex_start_hours"))
    return Machine(model.machine_type, model.location, model.spot, flex_start)


def is_free(machine_type: str) -> bool:
    """Nothing that the local Vertex AI runs costs money, whatever machine it was asked for."""
    return bool(settings.VERTEX_API_ENDPOINT) or machine_type == LOCAL


def price(machine_type: str, region: str = "", *, spot: bool = False) -> Price | None:
    """Without a region, or in one where nothing is served, in the one that is proposed first."""
    machine = Machine(machine_type, serving_region(region), spot)
    return find_prices([machine])[machine]


def serving_region(region: str = "") -> str:
    return regions.default_serving_region() if region in ("", *regions.NO_REGIONS) else region


def find_prices(machines: Iterable[Machine]) -> dict[Machine, Price | None]:
    """Of all of them, with one query at most."""
    wanted = set(machines)
    asked = [one for one in wanted if one.machine_type and not is_free(one.machine_type)]
    read = _read(asked)
    return {one: _choose_newest(read.get(one), _find_listed(one)) for one in wanted}


def _read(machines: list[Machine]) -> dict[Machine, Price]:
    if not machines:
        return {}
    same = Q(machine_type__in={one.machine_type for one in machines}, region__in={one.region for one in machines})
    found = {Machine(row.machine_type, row.region, row.spot): row for row in MachinePrice.objects.filter(same)}
    return {
        machine: Price(row.usd_per_hour, row.region, row.spot, "", row.read_at.date())
        for machine, row in found.items()
        if machine in machines
    }


def _find_listed(machine: Machine) -> Price | None:
    if is_free(machine.machine_type):
        return Price(Decimal(0), machine.region, machine.spot, "", datetime.now(UTC).date())
    return _table().get(machine)


def _choose_newest(*prices: Price | None) -> Price | None:
    return max((one for one in prices if one), key=lambda one: one.as_of, default=None)


@cache
def _table() -> Mapping[Machine, Price]:
    lists = tomllib.loads(PRICES.read_text(encoding="utf-8"))["lists"]
    return {
        Machine(machine_type, one["region"], one["spot"]): Price(
            Decimal(usd), one["region"], one["spot"], one["source"], one["as_of"]
        )
        for one in lists
        for machine_type, usd in one["usd_per_hour"].items()
    }


def table_date() -> date:
    """Of the newest list in the table."""
    return max(price.as_of for price in _table().values())


def total_per_hour(models: Iterable[DeployedModel], prices: Mapping[Machine, Price | None]) -> Decimal | None:
    """Of the replicas that always run, of all these models, by prices that were found before; None when one of them is
    not known. Of a model that scales to zero, of one while it is awake."""
    total = Decimal(0)
    for model in models:
        known = prices[machine_of(model)]
        if known is None:
            return None
        awake = 0 if model.available_replicas == 0 else 1
        total += known.usd_per_hour * (model.min_replicas or awake)
    return total

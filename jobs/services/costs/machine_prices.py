"""What a machine costs an hour while a model is deployed on it."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

from django.conf import settings

from jobs.models import LOCAL_MACHINE, DeployedModel

PRICES = Path(__file__).with_name("machine_prices.toml")
REGION = "us-central1"
LOCAL = LOCAL_MACHINE


@dataclass(frozen=True)
class Price:
    """`usd_per_hour` for one replica at the list price of `region`; other regions differ."""

    usd_per_hour: Decimal
    region: str
    source: str
    as_of: str


def price(machine_type: str) -> Price | None:
    """None: no price is known, which is not the same as free. The local Vertex AI's machine costs 0, and it is the one
    that serves where no machine was chosen; of the ones that Google's Vertex AI chooses no price is known."""
    return _find(machine_type or (LOCAL if settings.VERTEX_API_ENDPOINT else ""))


@cache
def _find(machine_type: str) -> Price | None:
    table = tomllib.loads(PRICES.read_text(encoding="utf-8"))[REGION]
    found = table["usd_per_hour"].get(machine_type)
    return None if found is None else Price(Decimal(found), REGION, table["source"], str(table["as_of"]))


def usd_per_hour(models: Iterable[DeployedModel]) -> Decimal | None:
    """Of the replicas that always run, of all these models; None when one of the prices is not known. Of a model that
    scales to zero, of one while it is awake."""
    total = Decimal(0)
    for model in models:
        known = price(model.machine_type)
        if known is None:
            return None
        awake = 0 if model.available_replicas == 0 else 1
        total += known.usd_per_hour * (model.min_replicas or awake)
    return total

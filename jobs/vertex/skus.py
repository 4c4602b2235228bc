"""A line of Google's price catalogue, in the form that the Cloud Billing API documents for `services.skus.list`."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

# Google's ids of the services in its price catalogue.
VERTEX_AI, COMPUTE_ENGINE = "C7E2-9256-1C43", "6F81-5844-456A"
NANO = Decimal("1e-9")
LONGEST_TEXT = 300


@dataclass(frozen=True)
class Sku:
    """`unit`: `h` for an hour, `GiBy.h` for a GiB and hour, `GiBy.mo` for a GiB and month. `usage` is OnDemand or
    Preemptible, beside commitments."""

    description: str
    regions: tuple[str, ...]
    usage: str
    unit: str
    usd: Decimal


@dataclass(frozen=True)
class SkuPage:
    skus: tuple[Sku, ...]
    next_token: str


def read_page(raw: Mapping[str, Any]) -> SkuPage:
    """Lines that have no single price in US dollars are left out: no machine is made of them."""
    lines = raw.get("skus")
    found = [read_sku(line) for line in lines] if isinstance(lines, list) else []
    return SkuPage(tuple(sku for sku in found if sku), str(raw.get("nextPageToken") or ""))


def read_sku(raw: Any) -> Sku | None:
    try:
        expression = raw["pricingInfo"][-1]["pricingExpression"]
        (rate,) = expression["tieredRates"]
        money = rate["unitPrice"]
        if money["currencyCode"] != "USD":
            return None
        usd = Decimal(int(money.get("units", 0))) + int(money.get("nanos", 0)) * NANO
        regions = tuple(str(region) for region in raw["serviceRegions"])
        return Sku(
            str(raw["description"])[:LONGEST_TEXT],
            regions,
            str(raw["category"]["usageType"]),
            expression["usageUnit"],
            usd,
        )
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, AttributeError):
        return None

"""The machines that a model can be deployed on, as the pages name and price them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from console.presenters.components import price_words
from jobs.services.costs import machine_prices
from jobs.services.costs.machine_prices import Machine, Price
from jobs.services.endpoints.serving import spec

ON_GPU = ", GPU"  # ends the title that the local Vertex AI gives to its own machine


@dataclass(frozen=True)
class MachineOption:
    """A machine to deploy on. `price` and `spot_price` None: not known, which is not free."""

    key: str
    label: str
    machine_type: str
    price: Price | None = None
    spot_price: Price | None = None

    @property
    def price_words(self) -> str:
        if self.price is None:
            return _("Price unknown")
        if not self.price.usd_per_hour:
            return _("No charge: it runs on this computer")
        told = _("≈ $%(dollars)s per hour while deployed") % {"dollars": f"{self.price.usd_per_hour:.2f}"}
        if self.spot_price is None:
            return told
        return f"{told} · " + _("on Spot machines ≈ $%(dollars)s") % {"dollars": f"{self.spot_price.usd_per_hour:.2f}"}

    @property
    def source_words(self) -> str:
        return price_words.source_words(self.price)

    @property
    def has_accelerators(self) -> bool:
        return not self.key.endswith(":0")

    @property
    def is_local(self) -> bool:
        return self.machine_type == machine_prices.LOCAL


def machine_options(specs: Iterable[Mapping[str, Any]], region: str = "") -> list[MachineOption]:
    """Each machine once, in order, with its prices in the region, else in the configured one. One query."""
    by_key = {machine_key(spec): spec for spec in specs}
    place = machine_prices.serving_region(region)
    names = {str(spec["machine_type"]) for spec in by_key.values()}
    prices = machine_prices.find_prices(Machine(name, place, spot) for name in names for spot in (False, True))
    return [
        MachineOption(
            key, machine_label(spec), (name := str(spec["machine_type"])),
            prices[Machine(name, place)], prices[Machine(name, place, spot=True)],
        )
        for key, spec in by_key.items()
    ]  # fmt: skip


def list_offered_options(options: Iterable[MachineOption], *, beside: bool = False) -> list[str]:
    """Names of the options of a deployment that any of these machines has. `beside`: on an endpoint that exists."""
    machines = list(options)
    is_local = bool(settings.VERTEX_API_ENDPOINT) or (bool(machines) and all(one.is_local for one in machines))
    return spec.list_offered(
        accelerators=any(one.has_accelerators for one in machines), is_local=is_local, beside=beside
    )


def machine_key(spec: Mapping[str, Any]) -> str:
    return f"{spec['machine_type']}:{spec.get('accelerator_type', '')}:{spec.get('accelerator_count', 0)}"


def machine_label(spec: Mapping[str, Any]) -> str:
    """By type and accelerators: the titles of the deploy options are often all the same."""
    here = _("This computer (GPU)") if spec.get("title", "").endswith(ON_GPU) else _("This computer (CPU only)")
    machine = here if spec["machine_type"] == machine_prices.LOCAL else spec["machine_type"]
    if not spec.get("accelerator_type"):
        return str(machine)
    accelerator = str(spec["accelerator_type"]).replace("_", " ")
    return f"{machine} · {spec.get('accelerator_count', 1)} × {accelerator}"

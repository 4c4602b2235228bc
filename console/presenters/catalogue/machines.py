"""The machines that a model can be deployed on, as the pages name and price them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from jobs.services.costs import machine_prices
from jobs.services.endpoints.serving import spec


@dataclass(frozen=True)
class MachineOption:
    """A machine to deploy on. `price` None: not known, which is not free."""

    key: str
    label: str
    machine_type: str

    @property
    def price(self) -> machine_prices.Price | None:
        return machine_prices.price(self.machine_type)

    @property
    def price_words(self) -> str:
        if self.price is None:
            return _("Price unknown")
        if not self.price.usd_per_hour:
            return _("No charge: it runs on this computer")
        return _("≈ $%(dollars)s per hour while deployed") % {"dollars": f"{self.price.usd_per_hour:.2f}"}

    @property
    def has_accelerators(self) -> bool:
        return not self.key.endswith(":0")

    @property
    def is_local(self) -> bool:
        return self.machine_type == machine_prices.LOCAL


def machine_options(specs: Iterable[Mapping[str, Any]]) -> list[MachineOption]:
    """Each machine once, in order."""
    found = [MachineOption(machine_key(spec), machine_label(spec), str(spec["machine_type"])) for spec in specs]
    return list({option.key: option for option in found}.values())


def offered_with(options: Iterable[MachineOption], *, beside: bool = False) -> list[str]:
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
    machine = _("This computer (CPU only)") if spec["machine_type"] == machine_prices.LOCAL else spec["machine_type"]
    if not spec.get("accelerator_type"):
        return str(machine)
    accelerator = str(spec["accelerator_type"]).replace("_", " ")
    return f"{machine} · {spec.get('accelerator_count', 1)} × {accelerator}"

"""The offer to deploy a base model for a comparison: its machines, what they cost, and when it ends by itself."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import ngettext

from console.forms.endpoints.endpoints import ServeForm
from console.presenters.catalogue import model_families
from console.presenters.catalogue.machines import MachineOption, machine_options
from jobs.models import LeaseKind, PublisherModel

HOURS = 2
CHOICES = ("machine", "kind", "hours")


def offer_of(model: PublisherModel, region: str, data: Any, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """`chosen`: what was picked of CHOICES before, when nothing was sent yet."""
    variant = model_families.family([model]).variants[0]
    initial = {
        "key": uuid.uuid4(), "machine": next(iter(variant.machines), ""), "kind": LeaseKind.FIXED, "hours": HOURS,
    } | {name: chosen[name] for name in CHOICES if name in chosen}  # fmt: skip
    form = ServeForm(data, initial=initial, machines=variant.machines, licence=variant.licence_to_accept)
    machines = machine_options(variant.machine_specs, region)
    return {
        "variant": variant, "form": form, "machines": machines, "cost": cost_words(form, machines), "region": region,
    }  # fmt: skip


def cost_words(form: ServeForm, machines: Iterable[MachineOption]) -> str:
    """Of what is chosen now, right or wrong."""
    key = str(form["machine"].value() or "")
    option = next((one for one in machines if one.key == key), None)
    if option is None:
        return ""
    hours = str(form["hours"].value() or "")
    if str(form["kind"].value()) != LeaseKind.FIXED or not hours.isascii() or not hours.isdigit() or len(hours) > 4:
        return option.price_words
    return total_words(option, int(hours))


def total_words(option: MachineOption, hours: int) -> str:
    if option.price is None or not option.price.usd_per_hour:
        return option.price_words
    words = {
        "total": f"{option.price.usd_per_hour * hours:,.2f}", "hours": hours,
    }  # fmt: skip
    return (
        ngettext(
            "≈ $%(total)s for %(hours)d hour, counted from when it is ready.",
            "≈ $%(total)s for %(hours)d hours, counted from when it is ready.",
            hours,
        )
        % words
    )

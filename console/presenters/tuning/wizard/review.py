"""The answers of the five steps in words."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from console.presenters.catalogue import model_families
from jobs.models import PublisherModel, TuningMode
from jobs.models.fields.labels import as_text
from jobs.models.runs.container import Quantization
from jobs.models.runs.settings import Schedule
from jobs.services.costs import machine_prices
from jobs.text.numbers import plain

UNSAID = frozenset({"use_validation", "sweep"})


def answers(fields: Mapping[str, Any], values: Mapping[str, Any]) -> list[tuple[str, object]]:
    """Label and value of what was answered, by a form's fields."""
    kept = {name: value for name, value in values.items() if value not in (None, "", False, {}) and name not in UNSAID}
    return [(str(fields[name].label), format_value(value)) for name, value in kept.items()]


def format_value(value: Any) -> object:
    if value is True:
        return _("Yes")
    if isinstance(value, float):
        return plain(value)
    if isinstance(value, dict):
        return as_text(value).replace("\n", ", ")
    named = next((kind(value).label for kind in (TuningMode, Schedule, Quantization) if value in kind.values), None)
    return named or value


def note(step: str, values: Mapping[str, Any]) -> str:
    if step == "training" and values:
        return str(values["dataset"].name)
    key = {"name": "display_name", "output": "output_uri", "deployment": "endpoint_display_name"}.get(step, "")
    return str(values.get(key, ""))


def machine_with_price(spec: Mapping[str, Any], region: str = "") -> str:
    label, price = model_families.machine_label(dict(spec)), machine_prices.price(spec["machine_type"], region)
    if price is None:
        return _("%(machine)s · price unknown") % {"machine": label}
    if not price.usd_per_hour:
        return _("%(machine)s · free") % {"machine": label}
    return _("%(machine)s · $%(price)s per hour") % {"machine": label, "price": f"{price.usd_per_hour:.2f}"}


def machines_with_prices() -> list[tuple[str, str]]:
    """Those that any model of the catalogue is offered on."""
    rows = PublisherModel.objects.only_listed().values_list("data__machine_specs", flat=True)
    found = {spec["machine_type"]: machine_with_price(spec) for specs in rows for spec in specs or []}
    return sorted(found.items())

"""Which step asks for what: the forms of the five steps, and the names that their pages have."""

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from console.forms.fields import StepForm
from console.forms.tuning.steps import BaseModelForm, DeploymentForm, NameForm, OutputForm
from console.forms.tuning.training import TrainingForm
from jobs.services.catalogue import regions

TITLES: dict[str, str | Promise] = {
    "name": _("Name"),
    "base-model": _("Base model"),
    "output": _("Output directory"),
    "training": _("Training"),
    "deployment": _("Deployment"),
}
FORMS: dict[str, type[StepForm]] = {
    "name": NameForm,
    "base-model": BaseModelForm,
    "output": OutputForm,
    "training": TrainingForm,
    "deployment": DeploymentForm,
}


def region_choices() -> list[tuple[str, str | Promise]]:
    """None where there is nothing to choose."""
    if not regions.has_choice():
        return []
    named: dict[str, str | Promise] = {regions.GLOBAL: _("global: any region with capacity")}
    return [(region, named.get(region, region)) for region in regions.list_regions()]


def raw_values(step: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed into a step whose form cannot be built at this moment."""
    return {name: data[name] for name in FORMS[step].base_fields if name in data}


def step_of(field: str) -> str:
    """Where it is asked for; nothing for an unknown one."""
    return next((step for step, form in FORMS.items() if field in form.base_fields), "")


def label_of(field: str) -> str:
    """As its step calls it."""
    fields = {name: found for form in FORMS.values() for name, found in form.base_fields.items()}
    return str(fields[field].label) if field in fields else field

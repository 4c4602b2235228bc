"""What a page of a step knows of its draft, and what was changed on two pages at once."""

import json
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext as _

from console.forms.fields import StepForm
from jobs.services.tuning.drafts import Conflict, Known

from .drafts import Wizard

LONGEST_SHOWN = 200
FOLLOWED = "followed"


def followed_by(wizard: Wizard, step: str) -> dict[str, Any]:
    """What later steps follow of this one, as it was when it was sent last."""
    now = {
        "training": wizard.default_values if step == "base-model" else {},
        "folder": wizard.free_folder if step == "name" else "",
    }
    found: dict[str, Any] = wizard.values(step).get(FOLLOWED, now)
    return found


def values_of(form: StepForm) -> dict[str, Any]:
    """As a browser sends the form when nobody has touched it."""
    return {name: _value(form, name) for name in form.fields}


def _value(form: StepForm, name: str) -> Any:
    value, widget = form[name].value(), form.fields[name].widget
    if isinstance(widget, forms.CheckboxInput):
        return bool(value)
    text, offered = str("" if value is None else value), list(_choices(form, name))
    return offered[0] if isinstance(widget, forms.Select) and offered and text not in offered else text


def known_text(values: Mapping[str, Any]) -> str:
    """For the hidden field `known` of a page that is drawn now."""
    return json.dumps({"page": str(uuid.uuid4()), "values": values})


def known_of(data: Mapping[str, Any]) -> Known:
    """What came back of it; nothing where it was lost."""
    with suppress(ValueError, AttributeError, TypeError):
        found = json.loads(str(data.get("known", "")))
        if isinstance(found["values"], dict):
            return Known(found["values"], str(found["page"])[:36])
    return Known()


def add_known(known: Known, values: Mapping[str, Any]) -> str:
    """The same page, which now knows more."""
    return json.dumps({"page": known.page, "values": {**known.values, **values}})


@dataclass(frozen=True)
class Difference:
    """A conflict in words. `value` is what a field is given to hold what is there."""

    field: str
    label: str
    mine: str
    there: str
    value: str


def differences(wizard: Wizard, form: StepForm, conflicts: list[Conflict]) -> list[Difference]:
    return [
        Difference(
            one.field,
            str(form.fields[one.field].label),
            words(wizard, form, one.field, one.mine),
            words(wizard, form, one.field, one.there),
            json.dumps(bool(one.there) if isinstance(one.there, bool) else str(one.there or "")),
        )
        for one in conflicts
        if one.field in form.fields
    ]


def words(wizard: Wizard, form: StepForm, name: str, value: Any) -> str:
    if isinstance(form.fields[name].widget, forms.CheckboxInput):
        return _("Yes") if value else _("No")
    text = str(value or "")
    known = (
        {str(dataset.pk): dataset.name for dataset in wizard.datasets} if "dataset" in name else _choices(form, name)
    )
    known |= {variant.name: str(variant.title) for variant in wizard.variants} if name == "base_model" else {}
    shown = known.get(text, text)
    return (shown if len(shown) <= LONGEST_SHOWN else f"{shown[:LONGEST_SHOWN]}…") or _("empty")


def _choices(form: StepForm, name: str) -> dict[str, str]:
    field = form.fields[name]
    if not isinstance(field, forms.ChoiceField) or isinstance(field, forms.ModelChoiceField):
        return {}
    offered: Any = field.choices
    return {str(value): str(label) for value, label in offered if not isinstance(label, list | tuple)}

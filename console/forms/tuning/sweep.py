"""Several values of up to three settings, in the step of the training: each combination is a job."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from jobs.services.tuning.spec_terms import Terms
from jobs.services.tuning.sweeps.spec import MOST_SETTINGS, Varied, find_sweep_problems, read_values, settings_for

from .judged import JudgedForm, OfferedField

LABELS: dict[str, str | Promise] = {
    "learning_rate": _("Learning rate"),
    "epochs": _("Number of epochs"),
    "adapter_size": _("Adapter size (LoRA rank)"),
    "batch_size": _("Batch size"),
    "warmup_ratio": _("Warm-up"),
    "weight_decay": _("Weight decay"),
    "seed": _("Seed"),
}
ROWS = range(1, MOST_SETTINGS + 1)
SWEEP_FIELDS = tuple(name for row in ROWS for name in (f"sweep_{row}", f"sweep_{row}_values"))


class SweepForm(JudgedForm):
    """`cleaned_data["sweep"]`: {setting: [values]}, empty for a single job."""

    def add_sweep_fields(self, terms: Terms) -> None:
        choices = [("", _("Nothing")), *((name, LABELS[name]) for name in settings_for(terms))]
        for row in ROWS:
            self.fields[f"sweep_{row}"] = OfferedField(
                label=_("Setting %(number)d") % {"number": row}, required=False, choices=choices
            )
            self.fields[f"sweep_{row}_values"] = forms.CharField(
                label=_("Values"),
                required=False,
                max_length=400,
                widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
            )

    @property
    def sweep_rows(self) -> list[tuple[Any, Any]]:
        return [(self[f"sweep_{row}"], self[f"sweep_{row}_values"]) for row in ROWS]

    def read_sweep(self, terms: Terms, beside: Mapping[str, Any]) -> Varied:
        """As it stands in the form, before it is sent; empty while something is wrong with it."""
        found = {}
        for setting, values in self.sweep_rows:
            if not (name := str(setting.value() or "")):
                continue
            try:
                found[name] = read_values(name, str(values.value() or ""))
            except ValueError:
                return {}
        return {} if find_sweep_problems(found, beside, terms) else found

    def settle_sweep(self, terms: Terms) -> None:
        """What was typed becomes one answer, judged."""
        values = self.cleaned_data
        rows, varied = {}, {}
        for row in ROWS:
            name, text = values.pop(f"sweep_{row}", ""), values.pop(f"sweep_{row}_values", "")
            if not name:
                continue
            place = f"sweep_{row}_values"
            if name not in LABELS or name in rows:
                self.add_error(f"sweep_{row}", ValidationError(_("Choose each setting once."), code="invalid_choice"))
                continue
            rows[name] = place
            try:
                varied[name] = read_values(name, text)
            except ValueError as error:
                self.add_error(place, ValidationError(str(error), code="invalid"))
        judged = {name: value for name, value in values.items() if name != "sweep"}
        for problem in find_sweep_problems(varied, judged, terms):
            place = rows.get(problem.field, f"sweep_{len(rows) or 1}_values")
            if place not in self.errors:
                self.add_error(place, ValidationError(problem.sentence, code=problem.code))
        values["sweep"] = varied

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext, gettext_lazy as _, pgettext_lazy

from console.forms.fields import ask_for_licence, lazy_text, report_problems
from jobs.models import LeaseKind
from jobs.models.endpoint import LONGEST_LEASE, MAX_REPLICAS
from jobs.services.endpoints.spec_rules import find_problems, hours_remedy, replicas_remedy

LEASES = [
    ("", _("Never automatically")),
    (LeaseKind.IDLE.value, _("After a period without requests")),
    (LeaseKind.FIXED.value, _("After a fixed time, used or not")),
]

# The range is shown by the browser; the domain judges it.
WHOLE_NUMBER: Final[dict[str, Any]] = {
    "error_messages": {"required": lazy_text(replicas_remedy), "invalid": lazy_text(replicas_remedy)},
    "widget": forms.NumberInput(attrs={"min": 1, "max": MAX_REPLICAS}),
}


class ConfirmForm(forms.Form):
    """Empty unless a `name` has to be typed, so that it is not done by habit."""

    use_required_attribute = False

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expected = name
        if name:
            self.fields["confirm"] = forms.CharField(
                label=gettext("Name of the endpoint"),
                help_text=gettext("To confirm, type %(name)s. The endpoint answered requests in the last 24 hours.")
                % {"name": name},
                widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autofocus": True}),
                error_messages={"required": gettext("Type the name of the endpoint.")},
            )

    def clean_confirm(self) -> str:
        typed: str = self.cleaned_data["confirm"]
        if typed.strip() != self.expected.strip():
            raise ValidationError(_("The name doesn't match. Type it exactly as shown."))
        return typed


class ReplicasForm(forms.Form):
    use_required_attribute = False

    minimum = forms.IntegerField(
        label=_("Minimum replicas"), help_text=_("This many replicas always run, and cost money."), **WHOLE_NUMBER
    )
    maximum = forms.IntegerField(
        label=_("Maximum replicas"),
        help_text=_("The endpoint adds replicas up to this number when requests wait."),
        **WHOLE_NUMBER,
    )

    def __init__(self, *args: Any, scales_to_zero: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scales_to_zero = scales_to_zero
        if scales_to_zero:
            self.fields["minimum"].widget.attrs["min"] = 0

    def clean(self) -> None:
        names = {"min_replicas": "minimum", "max_replicas": "maximum"}
        asked = {name: self.cleaned_data[own] for name, own in names.items() if own in self.cleaned_data}
        asked["scales_to_zero"] = self.scales_to_zero
        report_problems(self, (replace(one, field=names[one.field]) for one in find_problems(asked)))


class LeaseForm(forms.Form):
    use_required_attribute = False

    kind = forms.ChoiceField(label=_("Undeploy"), choices=LEASES, required=False, widget=forms.RadioSelect)
    hours = forms.IntegerField(
        label=_("Hours"),
        required=False,
        error_messages={"invalid": lazy_text(hours_remedy)},
        widget=forms.NumberInput(attrs={"min": 1, "max": LONGEST_LEASE}),
    )

    def clean(self) -> dict[str, Any] | None:
        values = super().clean() or {}
        if not values.get("kind"):
            return {**values, "kind": "", "hours": None}
        names = {"lease_kind": "kind", "lease_hours": "hours"}
        asked = {name: values[own] for name, own in names.items() if own in values}
        report_problems(self, (replace(one, field=names[one.field]) for one in find_problems(asked)))
        return values


class ServeForm(LeaseForm):
    """A model of the catalogue is deployed for something else that the person does. `key` is made with the page."""

    key = forms.UUIDField(
        widget=forms.HiddenInput,
        error_messages=dict.fromkeys(("required", "invalid"), _("The form was incomplete. Open the page again.")),
    )
    machine = forms.ChoiceField(
        label=_("Machine spec"),
        error_messages=dict.fromkeys(
            ("required", "invalid_choice"), _("This machine isn't available for this model. Choose one from the list.")
        ),
    )
    accepts_licence = forms.BooleanField(label=pgettext_lazy("licence", "I accept the terms"))

    def __init__(self, *args: Any, machines: Mapping[str, str], licence: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["machine"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = list(machines.items())
        remedy = gettext("Read and accept the terms. You can't deploy the model without accepting them.")
        ask_for_licence(self, licence, remedy)

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext, gettext_lazy as _

from jobs.models import LeaseKind
from jobs.models.endpoint import LONGEST_LEASE, MOST_REPLICAS

LEASES = [
    ("", _("Never automatically")),
    (LeaseKind.IDLE.value, _("After a period without requests from this console")),
    (LeaseKind.FIXED.value, _("After a fixed time, used or not")),
]


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
        label=_("Minimum replicas"),
        min_value=1,
        max_value=MOST_REPLICAS,
        help_text=_("This many replicas always run, and cost money."),
    )
    maximum = forms.IntegerField(
        label=_("Maximum replicas"),
        min_value=1,
        max_value=MOST_REPLICAS,
        help_text=_("The endpoint adds replicas up to this number when requests wait."),
    )

    def clean(self) -> dict[str, Any] | None:
        values = super().clean() or {}
        if values.get("minimum", 0) > values.get("maximum", MOST_REPLICAS):
            self.add_error("maximum", _("The maximum can't be smaller than the minimum."))
        return values


class LeaseForm(forms.Form):
    use_required_attribute = False

    kind = forms.ChoiceField(label=_("Undeploy"), choices=LEASES, required=False, widget=forms.RadioSelect)
    hours = forms.IntegerField(label=_("Hours"), min_value=1, max_value=LONGEST_LEASE, required=False)

    def clean(self) -> dict[str, Any] | None:
        values = super().clean() or {}
        if not values.get("kind"):
            return {**values, "kind": "", "hours": None}
        if "hours" in values and not values["hours"]:
            self.add_error("hours", _("Enter a number of hours."))
        return values

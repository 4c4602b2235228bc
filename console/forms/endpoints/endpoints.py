from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext, gettext_lazy as _, pgettext_lazy

from console.forms.fields import ask_for_licence
from jobs.models import LeaseKind
from jobs.models.endpoint import LONGEST_LEASE, MOST_REPLICAS

LEASES = [
    ("", _("Never by itself")),
    (LeaseKind.IDLE.value, _("After some hours without requests from this console")),
    (LeaseKind.FIXED.value, _("After some hours, used or not")),
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
                help_text=gettext("Type %(name)s: it answered requests within the last 24 hours.") % {"name": name},
                widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autofocus": True}),
                error_messages={"required": gettext("Type the name of the endpoint.")},
            )

    def clean_confirm(self) -> str:
        typed: str = self.cleaned_data["confirm"]
        if typed.strip() != self.expected.strip():
            raise ValidationError(_("That is another name. Type it as it is shown."))
        return typed


class ReplicasForm(forms.Form):
    use_required_attribute = False

    minimum = forms.IntegerField(
        label=_("At least"), min_value=1, max_value=MOST_REPLICAS, help_text=_("Run and cost at all times.")
    )
    maximum = forms.IntegerField(
        label=_("At most"), min_value=1, max_value=MOST_REPLICAS, help_text=_("Started when there is much to do.")
    )

    def clean(self) -> dict[str, Any] | None:
        values = super().clean() or {}
        if values.get("minimum", 0) > values.get("maximum", MOST_REPLICAS):
            self.add_error("maximum", _("Choose at least as many here as above."))
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
            self.add_error("hours", _("Write after how many hours."))
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
            ("required", "invalid_choice"), _("This machine is not offered for this model. Choose one of the list.")
        ),
    )
    accepts_licence = forms.BooleanField(label=pgettext_lazy("licence", "I accept the terms"))

    def __init__(self, *args: Any, machines: Mapping[str, str], licence: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["machine"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = list(machines.items())
        ask_for_licence(self, licence, gettext("Read and accept the terms; the model cannot be deployed without them."))

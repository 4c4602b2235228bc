from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from .fields import DisplayNameField, ask_for_licence


class DeployForm(forms.Form):
    """`key` is made with the page: the form sent twice is one endpoint. `machines` as in DeploymentForm."""

    use_required_attribute = False

    key = forms.UUIDField(
        widget=forms.HiddenInput,
        error_messages=dict.fromkeys(("required", "invalid"), _("The form was incomplete. Open the page again.")),
    )
    model = forms.CharField(widget=forms.HiddenInput)
    display_name = DisplayNameField(label=_("Endpoint name"), widget=forms.TextInput(attrs={"autocomplete": "off"}))
    machine = forms.ChoiceField(
        label=_("Machine"),
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

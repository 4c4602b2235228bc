from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext, gettext_lazy as _, pgettext_lazy

from console.forms.fields import DisplayNameField, ask_for_licence
from jobs.models.fields.uris import format_gs_uri, parse_gs_uri

MOST_REPLICAS = 100
SCALING = ("min_replicas", "max_replicas", "spot")


class ReplicasField(forms.IntegerField):
    def __init__(self, **kwargs: Any) -> None:
        messages = dict.fromkeys(("invalid", "min_value", "max_value"), _("Write a whole number from 1 to 100."))
        super().__init__(
            min_value=1, max_value=MOST_REPLICAS, required=False, initial=1, error_messages=messages, **kwargs
        )


def ordered(form: forms.Form, low_name: str, high_name: str) -> None:
    """Empty fields follow each other; the most is not less than the least."""
    values = form.cleaned_data
    low, high = values.get(low_name), values.get(high_name)
    if low_name in form.fields and low_name not in form.errors:
        values[low_name] = low or 1
    if high_name in form.fields and high_name not in form.errors:
        values[high_name] = high or low or 1
    if low and high and high < low:
        form.add_error(high_name, gettext("The maximum can't be smaller than the minimum."))


class PlacementForm(forms.Form):
    """Names and machine. `key` is made with the page: the form sent twice is one endpoint."""

    use_required_attribute = False

    key = forms.UUIDField(
        widget=forms.HiddenInput,
        error_messages=dict.fromkeys(("required", "invalid"), _("The form was incomplete. Open the page again.")),
    )
    model_display_name = DisplayNameField(
        label=_("Model name"),
        required=False,
        help_text=_("What it is called in the model registry. Empty: as the endpoint is."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    display_name = DisplayNameField(label=_("Endpoint name"), widget=forms.TextInput(attrs={"autocomplete": "off"}))
    machine = forms.ChoiceField(
        label=_("Machine spec"),
        error_messages=dict.fromkeys(
            ("required", "invalid_choice"), _("This machine is not offered for this model. Choose one of the list.")
        ),
    )

    def __init__(self, *args: Any, machines: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["machine"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = list(machines.items())


class DeployForm(PlacementForm):
    """`scalable` is false where one replica is all there is, as on one's own computer."""

    model = forms.CharField(widget=forms.HiddenInput)
    accepts_licence = forms.BooleanField(label=pgettext_lazy("licence", "I accept the terms"))
    min_replicas = ReplicasField(label=_("Minimum replicas"), help_text=_("As many run, and cost, all the time."))
    max_replicas = ReplicasField(label=_("Maximum replicas"), help_text=_("As many are started when requests wait."))
    spot = forms.BooleanField(
        label=_("Spot machines"),
        required=False,
        help_text=_("Cheaper, and taken away whenever Google needs them: the endpoint then does not answer."),
        widget=forms.CheckboxInput(attrs={"role": "switch"}),
    )
    shared_address = forms.BooleanField(
        label=_("Turn off dedicated DNS"),
        required=False,
        help_text=_("The endpoint then has the region's shared address, which does not stream: chats may not work."),
        widget=forms.CheckboxInput(attrs={"role": "switch"}),
    )

    def __init__(self, *args: Any, licence: str, scalable: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        ask_for_licence(self, licence, gettext("Read and accept the terms; the model cannot be deployed without them."))
        for name in () if scalable else SCALING:
            del self.fields[name]

    @property
    def advanced(self) -> list[forms.BoundField]:
        return [self[name] for name in (*SCALING, "shared_address") if name in self.fields]

    @property
    def opens_advanced(self) -> bool:
        """Something there is not as it was to begin with, or wrong."""
        return any(
            field.errors or (self.is_bound and str(field.data or field.initial or "") != str(field.initial or ""))
            for field in self.advanced
        )

    def clean(self) -> None:
        ordered(self, "min_replicas", "max_replicas")


class WeightsForm(PlacementForm):
    artifact_uri = forms.CharField(
        label=_("Model source"),
        max_length=1000,
        help_text=_("A Cloud Storage folder with config.json, the weights (.safetensors) and the tokenizer's files."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "placeholder": "gs://"}),
        error_messages={"required": _("Write the folder of the weights, such as gs://my-bucket/my-model.")},
    )
    field_order = ("key", "artifact_uri", "model_display_name", "display_name", "machine")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["machine"].required = False

    def clean_artifact_uri(self) -> str:
        """One spelling of the address: no slash at its end."""
        try:
            bucket, path = parse_gs_uri(self.cleaned_data["artifact_uri"])
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None
        if not path:
            raise forms.ValidationError(gettext("Name a folder of the bucket, such as gs://my-bucket/my-model."))
        return format_gs_uri(bucket, path)

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext, gettext_lazy as _, pgettext_lazy

from console.forms.endpoints.serving_options import ServingOptionsForm
from console.forms.fields import DisplayNameField, ask_for_licence, fill_replicas, lazy_text, report_problems
from console.forms.tuning.judged import OfferedField
from jobs.models.endpoint import MAX_REPLICAS
from jobs.models.fields.uris import format_gs_uri, parse_gs_uri
from jobs.services.endpoints.spec_rules import find_problems, replicas_remedy

SCALING = ("min_replicas", "max_replicas", "spot")


class ReplicasField(forms.IntegerField):
    def __init__(self, **kwargs: Any) -> None:
        """The range is shown by the browser; the domain judges it."""
        messages = {"invalid": lazy_text(replicas_remedy)}
        widget = forms.NumberInput(attrs={"min": 1, "max": MAX_REPLICAS})
        super().__init__(required=False, initial=1, error_messages=messages, widget=widget, **kwargs)


class PlacementForm(ServingOptionsForm):
    """Names, region, machine and options. `key` is made with the page: the form sent twice is one endpoint."""

    use_required_attribute = False

    key = forms.UUIDField(
        widget=forms.HiddenInput,
        error_messages=dict.fromkeys(("required", "invalid"), _("The form was incomplete. Open the page again.")),
    )
    model_display_name = DisplayNameField(
        label=_("Model name"),
        required=False,
        help_text=_("Name in Model Registry. If empty, the endpoint name is used."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    display_name = DisplayNameField(label=_("Endpoint name"), widget=forms.TextInput(attrs={"autocomplete": "off"}))
    machine = forms.ChoiceField(
        label=_("Machine spec"),
        error_messages=dict.fromkeys(
            ("required", "invalid_choice"), _("This machine isn't available for this model. Choose one from the list.")
        ),
    )
    location = OfferedField(
        label=_("Region"),
        required=False,
        help_text=_("Where the endpoint runs. Quotas and free machines differ from region to region."),
    )

    def __init__(
        self,
        *args: Any,
        machines: Mapping[str, str],
        regions: Sequence[str] = (),
        offered: Collection[str] = (),
        **kwargs: Any,
    ) -> None:
        """`regions` to choose from; without any, there is one. `offered`: names of options."""
        super().__init__(*args, **kwargs)
        field = self.fields["machine"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = list(machines.items())
        location = self.fields["location"]
        assert isinstance(location, forms.ChoiceField)
        location.choices = [(region, region) for region in regions]
        if not regions:
            del self.fields["location"]
        self.keep_offered(offered)

    @property
    def opens_advanced(self) -> bool:
        """Something there is not as it was to begin with, or wrong."""
        return any(
            field.errors or (self.is_bound and str(field.data or field.initial or "") != str(field.initial or ""))
            for field in self.advanced_fields
        )

    @property
    def advanced_fields(self) -> list[forms.BoundField]:
        return self.option_fields

    def clean(self) -> None:
        values = self.cleaned_data
        fill_replicas(values, "min_replicas", "max_replicas")
        judged = {"spot": False, "shared_address": False} | values | self.placement
        if not values.get("location"):
            judged.pop("location", None)
        report_problems(self, find_problems(judged))


class DeployForm(PlacementForm):
    """`scalable` is false where one replica is all there is, as on one's own computer."""

    model = forms.CharField(widget=forms.HiddenInput)
    accepts_licence = forms.BooleanField(label=pgettext_lazy("licence", "I accept the terms"))
    min_replicas = ReplicasField(
        label=_("Minimum replicas"), help_text=_("This many replicas always run, and cost money.")
    )
    max_replicas = ReplicasField(
        label=_("Maximum replicas"), help_text=_("The endpoint adds replicas up to this number when requests wait.")
    )
    spot = forms.BooleanField(
        label=_("Spot machines"),
        required=False,
        help_text=_(
            "Spot machines cost less, but Google can reclaim them at any time. The endpoint then stops answering."
        ),
        widget=forms.CheckboxInput(attrs={"role": "switch"}),
    )
    shared_address = forms.BooleanField(
        label=_("Turn off dedicated DNS"),
        required=False,
        help_text=_("The endpoint uses the region's shared address, which doesn't stream, so chats might not work."),
        widget=forms.CheckboxInput(attrs={"role": "switch"}),
    )

    def __init__(self, *args: Any, licence: str, scalable: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        ask_for_licence(
            self, licence, gettext("Read and accept the terms. You can't deploy the model without accepting them.")
        )
        for name in () if scalable else SCALING:
            del self.fields[name]

    @property
    def advanced_fields(self) -> list[forms.BoundField]:
        others = [self[name] for name in (*SCALING, "shared_address") if name in self.fields]
        return [*others, *(field for field in self.option_fields if field.name != "precision")]


class WeightsForm(PlacementForm):
    artifact_uri = forms.CharField(
        label=_("Model source"),
        max_length=1000,
        help_text=_("A Cloud Storage folder with config.json, the weights (.safetensors) and the tokenizer's files."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "placeholder": "gs://"}),
        error_messages={"required": _("Enter the folder that contains the weights, such as gs://my-bucket/my-model.")},
    )
    field_order = ("key", "artifact_uri", "model_display_name", "display_name", "location", "machine")

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
            raise forms.ValidationError(gettext("Enter a folder in the bucket, such as gs://my-bucket/my-model."))
        return format_gs_uri(bucket, path)

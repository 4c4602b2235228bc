"""The five steps of a tuning job. Each form parses one step; what was typed stays as typed in the draft."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from jobs.models import TuningDraft, TuningJob
from jobs.models.uris import parse_gs_uri

from .fields import DisplayNameField, StepForm, ask_for_licence

STEPS = ("name", "base-model", "output", "training", "deployment")


class NameForm(StepForm):
    display_name = DisplayNameField(
        label=_("Tuned model name"),
        help_text=_("Up to 128 characters. It is also the name of the job, and the endpoint is named after it."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    description = forms.CharField(
        label=_("Description"),
        required=False,
        max_length=2000,
        error_messages={"max_length": _("A description has at most 2000 characters; this one has %(show_value)d.")},
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class BaseModelForm(StepForm):
    """`reasons` maps each listed model to why it cannot be tuned, or to nothing."""

    base_model = forms.CharField(label=_("Base model"), error_messages={"required": _("Choose a base model.")})

    def __init__(self, *args: Any, reasons: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.reasons = reasons

    def clean_base_model(self) -> str:
        name: str = self.cleaned_data["base_model"]
        if name not in self.reasons:
            message = _("%(name)s is not in the catalogue of this Vertex AI. Choose a model from the list.")
            raise ValidationError(message, params={"name": name})
        if self.reasons[name]:
            raise ValidationError(self.reasons[name])
        return name


class OutputForm(StepForm):
    output_uri = forms.CharField(
        label=_("Output directory"),
        help_text=_("A Cloud Storage folder of its own for this job, such as gs://my-bucket/support-bot."),
        error_messages={"required": _("Write a Cloud Storage folder, such as gs://my-bucket/support-bot.")},
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "inputmode": "url"}),
    )

    def __init__(self, *args: Any, draft: TuningDraft, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.draft = draft

    def clean_output_uri(self) -> str:
        uri: str = self.cleaned_data["output_uri"].rstrip("/")
        try:
            parse_gs_uri(uri)
        except ValueError as error:
            raise ValidationError(str(error)) from error
        if TuningJob.objects.filter(output_uri=uri).exclude(pk=self.draft.pk).exists():
            raise ValidationError(_("Another tuning job already writes there. Choose a folder of its own."))
        return uri


class DeploymentForm(StepForm):
    """`machines` maps a machine type to its label, the recommended first; `licence` is asked for unless accepted."""

    auto_deploy = forms.BooleanField(
        label=_("Deploy automatically when tuning succeeds"),
        required=False,
        widget=forms.CheckboxInput(attrs={"role": "switch"}),
    )
    endpoint_display_name = DisplayNameField(label=_("Endpoint name"), required=False)
    machine_type = forms.ChoiceField(
        label=_("Machine"),
        required=False,
        error_messages={"invalid_choice": _("This machine is not offered for the base model. Choose one of the list.")},
    )
    accepts_licence = forms.BooleanField(label=pgettext_lazy("licence", "I accept the terms"), required=False)

    def __init__(self, *args: Any, machines: Mapping[str, str], licence: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["machine_type"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = list(machines.items())
        ask_for_licence(self, licence, gettext("Read and accept the terms; the model cannot be tuned without them."))

    def clean(self) -> None:
        values = self.cleaned_data
        nameless = not values.get("endpoint_display_name") and "endpoint_display_name" not in self.errors
        if values.get("auto_deploy") and nameless:
            self.add_error("endpoint_display_name", _("Write a name for the endpoint, or switch deployment off."))

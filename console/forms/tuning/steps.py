"""The five steps of a tuning job. Each form parses one step; what was typed stays as typed in the draft."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from django import forms
from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy as _, pgettext_lazy

from console.forms.endpoints.deploy import ReplicasField, ordered
from console.forms.fields import DisplayNameField, MultilineField, StepForm, ask_for_licence
from jobs.models import TuningJob
from jobs.models.endpoint import LONGEST_LEASE
from jobs.models.fields.labels import parse_labels

STEPS = ("name", "base-model", "output", "training", "deployment")


class NameForm(StepForm):
    display_name = DisplayNameField(
        label=_("Tuned model name"),
        help_text=_("Up to 128 characters. It is also the name of the job, and the endpoint is named after it."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    description = MultilineField(
        label=_("Description"),
        required=False,
        max_length=2000,
        error_messages={"max_length": _("A description has at most 2000 characters; this one has %(show_value)d.")},
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    labels = forms.CharField(
        label=_("Labels"),
        required=False,
        help_text=_("One on each line, such as team=support. Vertex AI keeps them with the job."),
        widget=forms.Textarea(attrs={"rows": 2, "autocomplete": "off", "spellcheck": "false"}),
    )

    def clean_labels(self) -> dict[str, str]:
        try:
            return parse_labels(self.cleaned_data["labels"])
        except ValueError as error:
            raise ValidationError(str(error)) from error


class Start(Protocol):
    """Something tuned before, in a folder of Cloud Storage."""

    @property
    def uri(self) -> str: ...

    @property
    def job(self) -> TuningJob: ...


BASE, TUNED = "base", "tuned"


class BaseModelForm(StepForm):
    """`reasons` maps each listed model to why it cannot be tuned, or to nothing; `start_at` finds what is continued."""

    source = forms.ChoiceField(
        label=_("Start from"),
        required=False,
        choices=[(BASE, _("A base model")), (TUNED, _("A tuned model or checkpoint of yours"))],
        error_messages={"invalid_choice": _("Choose a base model or something that you have tuned.")},
    )
    base_model = forms.CharField(label=_("Base model"), required=False)
    custom_base_model = forms.CharField(label=_("Tuned model or checkpoint"), required=False)
    location = forms.ChoiceField(
        label=_("Region"),
        required=False,
        help_text=_("Where the training runs. Endpoints are deployed in the region of this console."),
        error_messages={
            "invalid_choice": _("Vertex AI tunes no open models in %(value)s. Choose a region of the list.")
        },
    )

    def __init__(
        self,
        *args: Any,
        reasons: Mapping[str, str],
        start_at: Callable[[str], Start | None] = lambda uri: None,
        regions: Sequence[tuple[str, str | Promise]] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.reasons, self.start_at = reasons, start_at
        location = self.fields["location"]
        assert isinstance(location, forms.ChoiceField)
        location.choices = list(regions)

    def clean(self) -> None:
        values = self.cleaned_data
        if values.pop("source", BASE) == TUNED:
            self._continue(values)
        else:
            values["custom_base_model"] = ""
            self._check("base_model", values.get("base_model", ""))

    def _continue(self, values: dict[str, Any]) -> None:
        start = self.start_at(values.get("custom_base_model", ""))
        if start is None:
            self.add_error("custom_base_model", _("Choose one of the models that you have tuned, or a checkpoint."))
            return
        values["base_model"] = start.job.base_model
        self._check("custom_base_model", start.job.base_model)

    def _check(self, field: str, name: str) -> None:
        if not name:
            self.add_error(field, _("Choose a base model."))
        elif name not in self.reasons:
            message = _("%(name)s is not in the catalogue of this Vertex AI. Choose a model from the list.")
            self.add_error(field, ValidationError(message, params={"name": name}))
        elif self.reasons[name]:
            self.add_error(field, self.reasons[name])


class OutputForm(StepForm):
    """`why_not` says why the job may not write to a folder, or nothing."""

    output_uri = forms.CharField(
        label=_("Output directory"),
        help_text=_("A Cloud Storage folder of its own for this job, such as gs://my-bucket/support-bot."),
        error_messages={"required": _("Write a Cloud Storage folder, such as gs://my-bucket/support-bot.")},
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "inputmode": "url"}),
    )

    def __init__(self, *args: Any, why_not: Callable[[str], str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.why_not = why_not

    def clean_output_uri(self) -> str:
        uri: str = self.cleaned_data["output_uri"].rstrip("/")
        if reason := self.why_not(uri):
            raise ValidationError(reason)
        return uri


REPLICAS = ("endpoint_min_replicas", "endpoint_max_replicas")


class DeploymentForm(StepForm):
    """`machines` maps a machine type to its label, the recommended first; `licence` is asked for unless accepted.
    `scalable` is false where one replica is all there is."""

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
    endpoint_lease_hours = forms.IntegerField(
        label=_("Undeploy after (hours)"),
        required=False,
        min_value=1,
        max_value=LONGEST_LEASE,
        help_text=_("Counted from the deployment. Leave it empty to keep the endpoint until you undeploy it."),
        error_messages=dict.fromkeys(
            ("invalid", "min_value", "max_value"), _("Write a whole number of hours from 1 to 720, or leave it empty.")
        ),
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    endpoint_min_replicas = ReplicasField(
        label=_("Minimum replicas"), help_text=_("As many run, and cost, all the time.")
    )
    endpoint_max_replicas = ReplicasField(
        label=_("Maximum replicas"), help_text=_("As many are started when requests wait.")
    )
    accepts_licence = forms.BooleanField(label=pgettext_lazy("licence", "I accept the terms"), required=False)

    def __init__(
        self, *args: Any, machines: Mapping[str, str], licence: str, scalable: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        for name in () if scalable else REPLICAS:
            del self.fields[name]
        field = self.fields["machine_type"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = list(machines.items())
        ask_for_licence(self, licence, gettext("Read and accept the terms; the model cannot be tuned without them."))

    def clean(self) -> None:
        ordered(self, *REPLICAS)
        values = self.cleaned_data
        nameless = not values.get("endpoint_display_name") and "endpoint_display_name" not in self.errors
        if values.get("auto_deploy") and nameless:
            self.add_error("endpoint_display_name", _("Write a name for the endpoint, or switch deployment off."))

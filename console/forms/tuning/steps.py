"""The five steps of a tuning job. Each form parses one step; what was typed stays as typed in the draft."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _, pgettext_lazy

from console.forms.endpoints.serving_options import OPTION_FIELDS, ServingOptionsForm
from console.forms.endpoints.traffic import ShareField
from console.forms.fields import DisplayNameField, MultilineField, ask_for_licence, fill_replicas, lazy_text
from jobs.models import Endpoint
from jobs.models.fields.labels import parse_labels
from jobs.services.endpoints.spec_rules import replicas_remedy
from jobs.services.tuning import spec_words as words
from jobs.services.tuning.spec_rules import LONGEST_DESCRIPTION
from jobs.services.tuning.spec_terms import Terms

from .judged import JudgedForm, OfferedField

STEPS = ("name", "base-model", "output", "training", "deployment")


class NameForm(JudgedForm):
    display_name = DisplayNameField(
        label=_("Tuned model name"),
        help_text=_("Up to 128 characters. It is also the name of the job, and the endpoint is named after it."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    description = MultilineField(
        label=_("Description"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "maxlength": LONGEST_DESCRIPTION}),
    )
    labels = forms.CharField(
        label=_("Labels"),
        required=False,
        help_text=_("One per line, such as team=support. Vertex AI stores them with the job."),
        widget=forms.Textarea(attrs={"rows": 2, "autocomplete": "off", "spellcheck": "false"}),
    )

    def clean_labels(self) -> dict[str, str]:
        try:
            return parse_labels(self.cleaned_data["labels"])
        except ValueError as error:
            raise ValidationError(str(error), code="invalid") from error

    def clean(self) -> None:
        self.judge(Terms())


BASE, TUNED = "base", "tuned"


class BaseModelForm(JudgedForm):
    """`terms_of` looks up what goes for a base model and for what is continued."""

    source = forms.ChoiceField(
        label=_("Start from"),
        required=False,
        choices=[(BASE, _("A base model")), (TUNED, _("One of your tuned models or checkpoints"))],
        error_messages={"invalid_choice": _("Choose a base model or one of your tuned models.")},
    )
    base_model = forms.CharField(label=_("Base model"), required=False)
    custom_base_model = forms.CharField(label=_("Tuned model or checkpoint"), required=False)
    location = OfferedField(
        label=_("Region"),
        required=False,
        help_text=_("Where the training runs. The tuned model is deployed in the same region."),
    )

    def __init__(
        self,
        *args: Any,
        terms_of: Callable[[str, str], Terms],
        regions: Sequence[tuple[str, str | Promise]] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.terms_of = terms_of
        location = self.fields["location"]
        assert isinstance(location, forms.ChoiceField)
        location.choices = list(regions)
        if not regions:
            del self.fields["location"]

    def clean(self) -> None:
        values = self.cleaned_data
        is_continued = values.pop("source", BASE) == TUNED
        values["custom_base_model"] = values.get("custom_base_model", "") if is_continued else ""
        if is_continued and not values["custom_base_model"]:
            self.add_error("custom_base_model", ValidationError(words.no_start(), code="invalid_choice"))
            return
        terms = self.terms_of(values.get("base_model", ""), values["custom_base_model"])
        if terms.continued:
            values["base_model"] = terms.continued.base_model
        self.judge(terms)


class OutputForm(JudgedForm):
    """`why_not` says why the job may not write to a folder, or nothing."""

    output_uri = forms.CharField(
        label=_("Output directory"),
        help_text=_("A Cloud Storage folder for this job alone, such as gs://my-bucket/support-bot."),
        error_messages={"required": lazy_text(words.no_output)},
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "inputmode": "url"}),
    )

    def __init__(self, *args: Any, why_not: Callable[[str], str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.why_not = why_not

    def clean_output_uri(self) -> str:
        uri: str = self.cleaned_data["output_uri"]
        return uri.rstrip("/")

    def clean(self) -> None:
        self.judge(Terms(why_not_write=self.why_not))


REPLICAS = ("endpoint_min_replicas", "endpoint_max_replicas")


class DeploymentForm(ServingOptionsForm, JudgedForm):
    """`machines` maps a machine type to its label, the recommended first. `scalable` is false where one replica is all
    there is. `offered`: names of options. `region`: where the model is tuned."""

    auto_deploy = forms.BooleanField(
        label=_("Deploy automatically when tuning succeeds"),
        required=False,
        widget=forms.CheckboxInput(attrs={"role": "switch"}),
    )
    endpoint_display_name = DisplayNameField(label=_("Endpoint name"), required=False)
    deploy_endpoint = forms.ModelChoiceField(
        queryset=Endpoint.objects.none(),
        label=_("Deploy on"),
        required=False,
        error_messages={"invalid_choice": lazy_text(words.no_endpoint)},
    )
    endpoint_share = ShareField(
        label=_("Traffic percentage"),
        required=False,
        initial=0,
        help_text=_("The other models keep their proportions. With 0, the model runs but gets no requests."),
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    machine_type = OfferedField(label=_("Machine"), required=False)
    endpoint_lease_hours = forms.IntegerField(
        label=_("Undeploy after (hours)"),
        required=False,
        help_text=_("Counted from the deployment. Leave it empty to keep the endpoint until you undeploy it."),
        error_messages={"invalid": lazy_text(words.lease)},
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    endpoint_min_replicas = forms.IntegerField(
        label=_("Minimum replicas"),
        required=False,
        initial=1,
        help_text=_("This many replicas always run, and cost money."),
        error_messages={"invalid": lazy_text(replicas_remedy)},
    )
    endpoint_max_replicas = forms.IntegerField(
        label=_("Maximum replicas"),
        required=False,
        initial=1,
        help_text=_("The endpoint adds replicas up to this number when requests wait."),
        error_messages={"invalid": lazy_text(replicas_remedy)},
    )
    accepts_licence = forms.BooleanField(label=pgettext_lazy("licence", "I accept the terms"), required=False)

    def __init__(
        self,
        *args: Any,
        terms: Terms,
        machines: Mapping[str, str],
        endpoints: QuerySet[Endpoint] | None = None,
        scalable: bool = True,
        offered: Collection[str] = (),
        region: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.keep_offered(offered)
        self.terms, self.region = terms, region
        for name in () if scalable else REPLICAS:
            del self.fields[name]
        onto = self.fields["deploy_endpoint"]
        assert isinstance(onto, forms.ModelChoiceField)
        onto.queryset = Endpoint.objects.none() if endpoints is None else endpoints
        field = self.fields["machine_type"]
        assert isinstance(field, OfferedField)
        field.choices = list(machines.items())
        ask_for_licence(self, terms.licence, words.licence())

    @property
    def opens_advanced(self) -> bool:
        """Something there is wrong, or not as it was to begin with."""
        scaled = [self[name] for name in REPLICAS if name in self.fields]
        return self.opens_options or any(one.errors or str(one.value() or 1) != "1" for one in scaled)

    def clean(self) -> None:
        fill_replicas(self.cleaned_data, *REPLICAS)
        values = self.cleaned_data
        if values.get("endpoint_share", 0) is None:
            values["endpoint_share"] = 0
        if values.get("deploy_endpoint"):
            # The fields of a new endpoint are not on the page then.
            values["endpoint_display_name"], values["endpoint_lease_hours"] = "", None
            for name in ("endpoint_display_name", "endpoint_lease_hours"):
                self.errors.pop(name, None)
        known = {"location": self.region} if self.region else {}
        values["endpoint_options"] = self.options.as_json()
        for name in OPTION_FIELDS:
            values.pop(name, None)
        self.judge(self.terms, **known)

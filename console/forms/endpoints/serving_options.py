"""Fields for what a deployment is asked for beside machine and replicas. The domain says which are offered."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from console.forms.fields import MultilineField, lazy_text
from jobs.models.endpoint import Reservation
from jobs.models.fields.labels import as_text, parse_labels
from jobs.services.endpoints.serving import spec
from jobs.services.endpoints.serving.spec import ServingOptions

METRIC = "autoscaling_"
LINES = {"autocomplete": "off", "spellcheck": "false"}


class WholeNumberField(forms.IntegerField):
    def __init__(self, least: int, most: int, remedy: str, **kwargs: Any) -> None:
        """The range is shown by the browser; the domain judges it."""
        widget = forms.NumberInput(attrs={"min": least, "max": most})
        super().__init__(required=False, error_messages={"invalid": remedy}, widget=widget, **kwargs)


def target_field(name: str, label: str | Promise, help_text: str | Promise = "") -> WholeNumberField:
    most = spec.MAX_TARGET if name in spec.COUNTED else spec.PERCENT
    return WholeNumberField(1, most, lazy_text(lambda: spec.target_remedy(most)), label=label, help_text=help_text)


class ServingOptionsForm(forms.Form):
    idle_minutes = WholeNumberField(
        spec.SHORTEST_IDLE,
        spec.LONGEST_IDLE,
        lazy_text(spec.idle_remedy),
        label=_("Scale to zero after (minutes)"),
        help_text=_(
            "After this long without requests, all replicas stop and cost nothing. The next request starts one again, "
            "which can take minutes. Leave it empty to keep the minimum running."
        ),
    )
    context_tokens = WholeNumberField(
        spec.LEAST_CONTEXT,
        spec.MAX_CONTEXT,
        lazy_text(spec.context_remedy),
        label=_("Context (tokens)"),
        help_text=_("The longest chat that the model can read. A shorter context needs less memory. 8,192 if empty."),
    )
    autoscaling_gpu = target_field(
        "gpu",
        _("Target: GPU use (%)"),
        _(
            "Vertex AI adds and removes replicas to meet each target. By default, GPU and CPU use have a target of"
            " 60 percent."
        ),
    )
    autoscaling_cpu = target_field("cpu", _("Target: CPU use (%)"))
    autoscaling_requests = target_field("requests", _("Target: requests per minute and replica"))
    autoscaling_kv_cache = target_field("kv_cache", _("Target: KV cache of vLLM (%)"))
    autoscaling_waiting = target_field("waiting", _("Target: requests that wait in vLLM"))
    reservation = forms.ChoiceField(
        label=_("Reservations"),
        required=False,
        choices=[("", _("Don't use reservations")), *Reservation.choices],
        help_text=_("Compute Engine machines that are reserved for the project and shared with Vertex AI."),
    )
    reservations = MultilineField(
        label=_("Names of reservations"),
        required=False,
        help_text=_("One per line, the preferred first: projects/PROJECT/zones/ZONE/reservations/NAME"),
        widget=forms.Textarea(attrs={"rows": 2, **LINES}),
    )
    flex_start_hours = WholeNumberField(
        1,
        spec.LONGEST_FLEX_START,
        lazy_text(spec.flex_start_remedy),
        label=_("Flex-start (hours)"),
        help_text=_(
            "Flex-start machines cost less and start when there is capacity. After this many hours, Vertex AI "
            "undeploys the model."
        ),
    )
    service_account = forms.CharField(
        label=_("Service account"),
        required=False,
        help_text=_("The model server runs as this account. You need the permission iam.serviceAccounts.actAs on it."),
        widget=forms.TextInput(attrs={**LINES, "inputmode": "email"}),
    )
    endpoint_labels = MultilineField(
        label=_("Labels"),
        required=False,
        help_text=_("One per line, such as team=support. Vertex AI keeps them with the deployed model."),
        widget=forms.Textarea(attrs={"rows": 2, **LINES}),
    )

    precision = forms.ChoiceField(
        label=_("Precision"),
        required=False,
        choices=[("", _("The most exact that fits")), *reversed(list(spec.PRECISIONS.items()))],
        error_messages={"invalid_choice": _("Choose one of the precisions in the list.")},
        help_text=_(
            "Fewer bits take less memory and answer faster. Q8_0 is as good as F16 for most uses. Q4_K_M is less exact."
        ),
    )

    def clean_endpoint_labels(self) -> dict[str, str]:
        try:
            return parse_labels(self.cleaned_data["endpoint_labels"])
        except ValueError as error:
            raise ValidationError(str(error), code="invalid") from error

    def clean_reservations(self) -> list[str]:
        return [line.strip() for line in self.cleaned_data["reservations"].splitlines() if line.strip()]

    def choose_precision(self, choices: Sequence[tuple[str, str]], default: str) -> None:
        """Of one model, with what each takes."""
        field = self.fields.get("precision")
        if field is not None and choices:
            assert isinstance(field, forms.ChoiceField)
            field.choices, field.initial = list(choices), default

    def keep_offered(self, offered: Collection[str]) -> None:
        for name in OPTION_FIELDS:
            if name not in offered:
                del self.fields[name]

    @property
    def option_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in OPTION_FIELDS if name in self.fields]

    @property
    def plain_fields(self) -> list[forms.BoundField]:
        return [field for field in self.visible_fields() if field.name not in OPTION_FIELDS]

    @property
    def opens_options(self) -> bool:
        """Something there is wrong, or was filled in."""
        return any(field.errors or str(field.value() or "") != str(field.initial or "") for field in self.option_fields)

    @property
    def options(self) -> ServingOptions:
        """Of the fields that could be read."""
        answers = {name: self.cleaned_data[name] for name in OPTION_FIELDS if name in self.cleaned_data}
        targets = {name: value for name, value in answers.items() if name.startswith(METRIC) and value is not None}
        others = {name: value for name, value in answers.items() if not name.startswith(METRIC)}
        autoscaling = {name.removeprefix(METRIC): value for name, value in targets.items()}
        return ServingOptions.from_json({**others, "autoscaling": autoscaling})

    @property
    def placement(self) -> dict[str, Any]:
        """What the domain judges: the options, and the machine, whose key names its type, accelerator and count."""
        machine_type, _accelerator, count = (self.cleaned_data.get("machine") or "::0").split(":")
        return {"options": self.options, "machine_type": machine_type, "accelerator_count": int(count)}


OPTION_FIELDS = tuple(ServingOptionsForm.base_fields)


def raw_options(kept: Mapping[str, Any]) -> dict[str, str]:
    """As the fields have them: of a row or a file."""
    options = ServingOptions.from_json(kept)
    targets = {f"{METRIC}{name}": str(options.autoscaling.get(name, "")) for name in spec.METRICS}
    return {
        "idle_minutes": _text(options.idle_minutes),
        "context_tokens": _text(options.context_tokens),
        **targets,
        "reservation": options.reservation,
        "reservations": "\n".join(options.reservations),
        "flex_start_hours": _text(options.flex_start_hours),
        "service_account": options.service_account,
        "endpoint_labels": as_text(options.endpoint_labels),
        "precision": options.precision,
    }


def _text(number: int | None) -> str:
    return "" if number is None else str(number)

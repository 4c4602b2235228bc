from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Protocol

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext, gettext_lazy as _

from console.forms import row_limits
from console.forms.fields import LearningRateField, StepForm
from jobs.models import Dataset, TuningMode

MOST_EPOCHS = 100
ABSOLUTE, MULTIPLIER = "absolute", "multiplier"
RATE_REMEDY = _("Write a number above 0 and up to 1, such as 0.0002.")
MULTIPLIER_REMEDY = _("Write a number above 0, such as 0.5 or 2; the product must not be above 1.")


class Facts(Protocol):
    """What a base model allows, as far as these forms ask."""

    @property
    def modes(self) -> Sequence[str]: ...

    @property
    def adapter_sizes(self) -> Sequence[int]: ...

    @property
    def max_sequence_tokens(self) -> int: ...

    @property
    def defaults(self) -> Mapping[str, Any]:
        """By mode, each with its recommended `learning_rate`."""


class Continued(Protocol):
    """The job whose model is tuned further."""

    tuning_mode: str
    adapter_size: int | None


class TrainingForm(StepForm):
    """`validation_problem` says why two datasets do not go together, or nothing."""

    dataset = forms.ModelChoiceField(
        queryset=Dataset.objects.none(),
        label=_("Training dataset"),
        error_messages={
            "required": _("Choose a dataset, upload one, or use the sample."),
            "invalid_choice": _("This dataset is not one of yours any more. Choose another one."),
        },
    )
    use_validation = forms.BooleanField(
        label=_("Use a validation dataset"),
        required=False,
        help_text=_("Rows that are not trained on; they show whether the model learns more than the training rows."),
        widget=forms.CheckboxInput(attrs={"role": "switch"}),
    )
    validation_dataset = forms.ModelChoiceField(
        queryset=Dataset.objects.none(),
        label=_("Validation dataset"),
        required=False,
        empty_label=_("Choose a dataset"),
        error_messages={
            "required": _("Choose a validation dataset, or switch validation off."),
            "invalid_choice": _("This dataset is not one of yours any more. Choose another one."),
        },
    )
    epochs = forms.IntegerField(
        label=_("Number of epochs"),
        min_value=1,
        max_value=MOST_EPOCHS,
        help_text=_("How often the training goes through all rows, 1 to 100."),
        error_messages=dict.fromkeys(
            ("required", "invalid", "min_value", "max_value"), _("Write a whole number of epochs from 1 to 100.")
        ),
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    learning_rate_kind = forms.ChoiceField(
        label=_("Learning rate"),
        required=False,
        choices=[(ABSOLUTE, _("Absolute")), (MULTIPLIER, _("As a multiple of the recommended rate"))],
        error_messages={"invalid_choice": _("Choose an absolute learning rate or a multiplier.")},
    )
    learning_rate = LearningRateField(
        label=_("Learning rate"),
        required=False,
        help_text=_("How much each training step changes the model: above 0 and up to 1, such as 0.0002."),
        error_messages={"invalid": RATE_REMEDY},
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    learning_rate_multiplier = LearningRateField(
        label=_("Learning rate multiplier"),
        required=False,
        help_text=_(
            "Above 1 learns faster, below 1 more carefully. Vertex AI is sent the product as the learning rate."
        ),
        error_messages={"invalid": MULTIPLIER_REMEDY},
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    tuning_mode = forms.ChoiceField(
        label=_("Tuning mode"),
        choices=TuningMode.choices,
        error_messages=dict.fromkeys(("required", "invalid_choice"), _("Choose LoRA adapter or full fine-tuning.")),
        widget=forms.RadioSelect,
    )
    adapter_size = forms.TypedChoiceField(
        label=_("Adapter size (LoRA rank)"),
        coerce=int,
        empty_value=None,
        required=False,
        help_text=_("A larger adapter can learn harder tasks but needs more rows and more time."),
    )
    batch_size = forms.IntegerField(
        label=_("Batch size"),
        required=False,
        min_value=1,
        max_value=256,
        help_text=_("Rows in one training step. Leave it empty to use the default of Vertex AI."),
        error_messages=dict.fromkeys(
            ("invalid", "min_value", "max_value"), _("Write a whole number from 1 to 256, or leave it empty.")
        ),
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    export_last_checkpoint_only = forms.BooleanField(
        label=_("Keep only the last checkpoint"),
        required=False,
    )

    def __init__(
        self,
        *args: Any,
        datasets: QuerySet[Dataset],
        facts: Facts,
        model_title: str,
        validation_problem: Callable[[Dataset, Dataset], str],
        continued: Continued | None = None,
        missing: Mapping[str, str] = MappingProxyType({}),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.facts, self.model_title, self.validation_problem = facts, model_title, validation_problem
        self.continued = continued
        self._say_what_is_missing(missing)
        self._dataset_field("dataset").queryset = datasets
        self._dataset_field("validation_dataset").queryset = datasets
        sizes = self.fields["adapter_size"]
        assert isinstance(sizes, forms.TypedChoiceField)
        sizes.choices = [(size, str(size)) for size in facts.adapter_sizes]
        sizes.error_messages["invalid_choice"] = _("Choose one of these sizes: %(sizes)s.") % {
            "sizes": ", ".join(map(str, facts.adapter_sizes))
        }

    def _say_what_is_missing(self, missing: Mapping[str, str]) -> None:
        """For datasets that a loaded file names and that this person does not have."""
        for name, words in missing.items():
            message = gettext("You do not have the dataset of the file, %(name)s. Upload it, or choose another one.")
            self.fields[name].error_messages["required"] = message % {"name": words}

    def _dataset_field(self, name: str) -> "forms.ModelChoiceField[Dataset]":
        field = self.fields[name]
        assert isinstance(field, forms.ModelChoiceField)
        return field

    def clean_dataset(self) -> Dataset:
        return self._trainable(self.cleaned_data["dataset"])

    def clean_validation_dataset(self) -> Dataset | None:
        if not self.cleaned_data.get("use_validation"):
            return None
        chosen: Dataset | None = self.cleaned_data["validation_dataset"]
        if chosen is None:
            raise ValidationError(self.fields["validation_dataset"].error_messages["required"])
        return self._trainable(chosen)

    def _trainable(self, dataset: Dataset) -> Dataset:
        tokens = self.facts.max_sequence_tokens
        if row_limits.no_row_fits(usable(dataset), tokens):
            raise ValidationError(f"{row_limits.long_rows(dataset, tokens, self.model_title)} {row_limits.REMEDY}")
        return dataset

    def clean_tuning_mode(self) -> str:
        mode: str = self.cleaned_data["tuning_mode"]
        if reason := mode_problem(mode, self.facts, self.model_title):
            raise ValidationError(reason)
        return mode

    def clean(self) -> None:
        values = self.cleaned_data
        if values.get("tuning_mode") == TuningMode.FULL:
            values["adapter_size"] = None
            self.errors.pop("adapter_size", None)
        elif values.get("tuning_mode") and values.get("adapter_size") is None and "adapter_size" not in self.errors:
            self.add_error("adapter_size", _("Choose an adapter size."))
        self._settle_learning_rate(values)
        self._check_continued(values)
        train, validation = values.get("dataset"), values.get("validation_dataset")
        if train and validation and (problem := self.validation_problem(train, validation)):
            self.add_error("validation_dataset", problem)

    def _settle_learning_rate(self, values: dict[str, Any]) -> None:
        """One rate, absolute: open models take no multiplier, so that a multiple is reckoned here."""
        kind, multiplier = values.pop("learning_rate_kind", ""), values.pop("learning_rate_multiplier", None)
        if kind != MULTIPLIER:
            self.errors.pop("learning_rate_multiplier", None)
            if "learning_rate" not in self.errors and not 0 < (values.get("learning_rate") or 0) <= 1:
                self.add_error("learning_rate", RATE_REMEDY)
            return
        self.errors.pop("learning_rate", None)
        if "learning_rate_multiplier" in self.errors or not values.get("tuning_mode"):
            return
        recommended = self.facts.defaults[values["tuning_mode"]].learning_rate
        values["learning_rate"] = float(Decimal(str(multiplier or 0)) * Decimal(str(recommended)))
        if not 0 < values["learning_rate"] <= 1:
            self.add_error("learning_rate_multiplier", MULTIPLIER_REMEDY)

    def _check_continued(self, values: dict[str, Any]) -> None:
        """An adapter that is trained further keeps its form."""
        mode, size = values.get("tuning_mode"), values.get("adapter_size")
        if self.continued is None or not mode:
            return
        if mode != self.continued.tuning_mode:
            word = TuningMode(self.continued.tuning_mode).label
            message = _("The model that you continue was tuned by %(mode)s. Choose the same.")
            self.add_error("tuning_mode", ValidationError(message, params={"mode": word}))
        elif size and size != self.continued.adapter_size:
            message = _("The adapter that you continue has size %(size)s. Choose the same.")
            self.add_error("adapter_size", ValidationError(message, params={"size": self.continued.adapter_size}))


def usable(dataset: Dataset) -> Dataset:
    if not dataset.is_usable:
        message = _("“%(name)s” has rows with problems. Correct them and upload the file again, or choose another one.")
        raise ValidationError(message, params={"name": dataset.name})
    return dataset


def mode_problem(mode: str, facts: Facts, model_title: str) -> str:
    """Why `model_title` cannot be tuned this way, or nothing."""
    if mode in facts.modes:
        return ""
    if mode == TuningMode.PEFT_ADAPTER:
        return gettext("%(model)s can only be tuned in full here. Choose full fine-tuning.") % {"model": model_title}
    return gettext("%(model)s can only be tuned with a LoRA adapter here. Choose LoRA adapter.") % {
        "model": model_title
    }

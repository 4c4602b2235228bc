from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext, gettext_lazy as _

from console.forms.fields import DecimalField, LearningRateField, lazy_text
from jobs.errors import Problem
from jobs.models import Dataset, TuningMode
from jobs.models.runs.container import Quantization
from jobs.models.runs.settings import Schedule
from jobs.services.catalogue.facts import TuningFacts
from jobs.services.tuning import spec_words as words
from jobs.services.tuning.spec_terms import Terms

from .judged import OfferedField, OfferedNumberField
from .sweep import SweepForm

ABSOLUTE, MULTIPLIER = "absolute", "multiplier"


class TrainingForm(SweepForm):
    """`terms` are those of a base model that can be tuned. `offered` for validation, as far as they can be used for
    it; whoever sends another one of their `datasets` is told why not."""

    dataset = forms.ModelChoiceField(
        queryset=Dataset.objects.none(),
        label=_("Training dataset"),
        error_messages={
            "required": lazy_text(words.no_dataset),
            "invalid_choice": lazy_text(words.dataset),
        },
    )
    use_validation = forms.BooleanField(
        label=_("Use a validation dataset"),
        required=False,
        help_text=_("Rows that aren't used for training. They show how well the model generalizes."),
        widget=forms.CheckboxInput(attrs={"role": "switch"}),
    )
    validation_dataset = forms.ModelChoiceField(
        queryset=Dataset.objects.none(),
        label=_("Validation dataset"),
        required=False,
        empty_label=_("Choose a dataset"),
        error_messages={
            "required": _("Choose a validation dataset, or turn validation off."),
            "invalid_choice": lazy_text(words.dataset),
        },
    )
    epochs = forms.IntegerField(
        label=_("Number of epochs"),
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
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    learning_rate_multiplier = LearningRateField(
        label=_("Learning rate multiplier"),
        required=False,
        help_text=_(
            "Above 1 learns faster, below 1 more slowly. The product is sent to Vertex AI as the learning rate."
        ),
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    tuning_mode = forms.ChoiceField(
        label=_("Tuning mode"),
        choices=TuningMode.choices,
        error_messages=dict.fromkeys(("required", "invalid_choice"), lazy_text(words.tuning_mode)),
        widget=forms.RadioSelect,
    )
    adapter_size = OfferedNumberField(
        label=_("Adapter size (LoRA rank)"),
        coerce=int,
        empty_value=None,
        required=False,
        help_text=_("A larger adapter can learn harder tasks but needs more rows and more time."),
    )
    batch_size = forms.IntegerField(
        label=_("Batch size"),
        required=False,
        help_text=_("Rows per training step. Leave it empty to use the default."),
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    export_last_checkpoint_only = forms.BooleanField(
        label=_("Keep only the last checkpoint"),
        required=False,
    )
    warmup_ratio = DecimalField(
        label=_("Warm-up"),
        required=False,
        help_text=_(
            "The share of all steps in which the learning rate rises from 0 to its full height. 0.05 if empty."
        ),
        error_messages={"invalid": lazy_text(words.warmup_ratio)},
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    lr_scheduler_type = OfferedField(
        label=_("Learning rate schedule"),
        required=False,
        choices=[("", _("Default (cosine)")), *Schedule.choices],
        help_text=_("After the warm-up. Linear and cosine fall to 0 at the last step."),
    )
    weight_decay = DecimalField(
        label=_("Weight decay"),
        required=False,
        help_text=_("Pulls the trained weights toward 0 at each step. 0 if empty."),
        error_messages={"invalid": lazy_text(words.weight_decay)},
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    seed = forms.IntegerField(
        label=_("Seed"),
        required=False,
        help_text=_("Fixes the random choices of the training, such as the order of the rows. 42 if empty."),
        error_messages={"invalid": lazy_text(words.seed)},
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    max_seq_length = forms.IntegerField(
        label=_("Longest row"),
        required=False,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )

    training_machine = OfferedField(
        label=_("Machine for the training"),
        required=False,
        help_text=_(
            "For a LoRA adapter. You pay for the machine for as long as the training takes, including its startup."
        ),
    )
    quantization = OfferedField(
        label=_("Weights of the base model"),
        required=False,
        choices=[("", _("16 bits")), *Quantization.choices],
        help_text=_("Their precision while the adapter is trained. Fewer bits need less GPU memory and take longer."),
    )

    def __init__(
        self,
        *args: Any,
        datasets: QuerySet[Dataset],
        terms: Terms,
        offered: Sequence[Dataset] = (),
        missing: Mapping[str, str] = MappingProxyType({}),
        training_machines: Mapping[str, str] = MappingProxyType({}),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        assert terms.facts is not None
        self.terms, self.facts, self.is_multiple = terms, terms.facts, False
        self._say_what_is_missing(missing)
        self._dataset_field("dataset").queryset = datasets
        self._dataset_field("validation_dataset").queryset = datasets
        self._offer_for_validation(offered)
        self._offer_machines(terms.facts, training_machines)
        self._say_the_ranges(terms.facts)
        self.add_sweep_fields(terms)

    def _say_the_ranges(self, facts: TuningFacts) -> None:
        sizes = self.fields["adapter_size"]
        assert isinstance(sizes, OfferedNumberField)
        sizes.choices = [(size, str(size)) for size in facts.adapter_sizes]
        for name, remedy in {
            "epochs": words.epochs,
            "learning_rate": words.learning_rate,
            "learning_rate_multiplier": words.multiplier,
            "batch_size": words.batch_size,
            "adapter_size": words.adapter_size,
            "max_seq_length": words.max_seq_length,
        }.items():
            said = lazy_text(partial(remedy, facts))
            self.fields[name].error_messages |= dict.fromkeys(("required", "invalid", "invalid_choice"), said)
        self.fields["epochs"].help_text = words.epochs_help(facts)
        self.fields["max_seq_length"].help_text = words.max_seq_length_help(facts)
        self.fields["learning_rate"].help_text = words.learning_rate_help(facts)

    def _offer_for_validation(self, offered: Sequence[Dataset]) -> None:
        train, chosen = (str(self[name].value() or "") for name in ("dataset", "validation_dataset"))
        field = self._dataset_field("validation_dataset")
        keys = [(str(one.pk), one) for one in offered]
        field.choices = [
            ("", str(field.empty_label)),
            *((key, str(one)) for key, one in keys if key == chosen or (one.is_usable and key != train)),
        ]

    def _offer_machines(self, facts: TuningFacts, machines: Mapping[str, str]) -> None:
        """`machines`: their titles, by type."""
        field = self.fields["training_machine"]
        assert isinstance(field, forms.ChoiceField)
        unchosen = [("", _("Managed tuning"))] if TuningMode.PEFT_ADAPTER in facts.managed_modes else []
        if not unchosen and not self["training_machine"].value():
            # A browser would show the first machine as chosen.
            unchosen = [("", _("No machine chosen"))]
        field.choices = [*unchosen, *machines.items()]

    def _say_what_is_missing(self, missing: Mapping[str, str]) -> None:
        """For datasets that a loaded file names and that this person does not have."""
        for name, title in missing.items():
            message = gettext("You don't have the dataset in the file, %(name)s. Upload it, or choose another one.")
            self.fields[name].error_messages["required"] = message % {"name": title}

    def _dataset_field(self, name: str) -> "forms.ModelChoiceField[Dataset]":
        field = self.fields[name]
        assert isinstance(field, forms.ModelChoiceField)
        return field

    def clean_validation_dataset(self) -> Dataset | None:
        if not self.cleaned_data.get("use_validation"):
            return None
        chosen: Dataset | None = self.cleaned_data["validation_dataset"]
        if chosen is None:
            raise ValidationError(self.fields["validation_dataset"].error_messages["required"], code="required")
        return chosen

    def clean(self) -> None:
        values = self.cleaned_data
        if values.get("tuning_mode") == TuningMode.FULL:
            values |= {"adapter_size": None, "training_machine": "", "quantization": ""}
            self.errors.pop("adapter_size", None)
        self._settle_learning_rate(values)
        self.judge(self.terms)
        self.settle_sweep(self.terms)

    def _settle_learning_rate(self, values: dict[str, Any]) -> None:
        """One rate, absolute: open models take no multiplier, so that a multiple is worked out here."""
        multiplier = values.pop("learning_rate_multiplier", None)
        self.is_multiple = values.pop("learning_rate_kind", "") == MULTIPLIER
        if not self.is_multiple:
            self.errors.pop("learning_rate_multiplier", None)
            return
        self.errors.pop("learning_rate", None)
        values.pop("learning_rate", None)
        mode = values.get("tuning_mode")
        if "learning_rate_multiplier" not in self.errors and mode in self.facts.modes:
            recommended = Decimal(str(self.facts.defaults[mode].learning_rate))
            values["learning_rate"] = float(Decimal(str(multiplier or 0)) * recommended)

    def place(self, problem: Problem) -> Problem:
        if problem.field != "learning_rate" or not self.is_multiple:
            return problem
        return replace(problem, field="learning_rate_multiplier", sentence=words.multiplier(self.facts))

"""What a draft can choose from, and what it has chosen."""

from contextlib import suppress
from functools import cached_property
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from console.forms.fields import StepForm
from console.forms.tuning.steps import (
    TUNED,
)
from console.presenters.catalogue import model_families
from console.presenters.catalogue.model_families import Variant
from jobs.models import Dataset, PublisherModel, TuningDraft, TuningMode, preference_of
from jobs.services.tuned_models import continuation
from jobs.services.tuned_models.continuation import Start
from jobs.services.tuning import drafts, spec_words, terms
from jobs.services.tuning.spec_terms import Terms
from jobs.text.numbers import plain

from .proposals import suggest_output, training_defaults

DATASETS_SHOWN = 200


class Choices:
    """Of the person and the draft; asked for once a request."""

    def __init__(self, draft: TuningDraft, user: User) -> None:
        self.draft, self.user = draft, user

    @cached_property
    def variants(self) -> list[Variant]:
        families = model_families.families(PublisherModel.objects.only_listed())
        return [variant for family in families for variant in family.variants]

    @cached_property
    def variant(self) -> Variant | None:
        """The chosen base model, when it is in the catalogue."""
        values = self.values("base-model")
        name = values.get("base_model") if values.get("source") != TUNED else self.start and self.start.job.base_model
        return next((variant for variant in self.variants if variant.name == name), None)

    @cached_property
    def datasets(self) -> list[Dataset]:
        """The latest version of each, and those that the draft names, whichever they are."""
        mine = Dataset.objects.visible_to(self.user)
        latest = list(mine.latest_versions()[:DATASETS_SHOWN])
        named = {str(self.values("training").get(name) or "") for name in ("dataset", "validation_dataset")}
        for key in named - {"", *(str(dataset.pk) for dataset in latest)}:
            with suppress(ValidationError):
                latest += mine.filter(pk=key)
        return latest

    @cached_property
    def start(self) -> Start | None:
        """What was tuned before and is gone on from, when the draft says so."""
        values = self.values("base-model")
        return self._start_at(values.get("custom_base_model", "")) if values.get("source") == TUNED else None

    def _start_at(self, uri: str) -> Start | None:
        return terms.find_start(self.user, uri)

    def _terms_of(self, base_model: str, custom_base_model: str) -> Terms:
        start = self._start_at(custom_base_model)
        name = start.job.base_model if start else base_model
        variant = next((variant for variant in self.variants if variant.name == name), None)
        if variant is None:
            return terms.of_unlisted_model(self.user, self.draft.pk, name, start)
        return terms.of_model(self.user, self.draft.pk, variant.model, start)

    @cached_property
    def terms(self) -> Terms:
        """Of the chosen base model."""
        assert self.variant is not None
        return terms.of_model(self.user, self.draft.pk, self.variant.model, self.start)

    @cached_property
    def starts(self) -> list[Start]:
        """The newest, and what the draft names, however old."""
        found = continuation.starts(self.user)
        return [self.start, *found] if self.start and self.start not in found else found

    @property
    def own(self) -> dict[str, Any]:
        """What the person wants to be proposed."""
        found: dict[str, Any] = preference_of(self.user).defaults
        return found

    @property
    def origin(self) -> dict[str, Any]:
        return self.values(drafts.ORIGIN)

    @property
    def missing_datasets(self) -> dict[str, str]:
        missing = self.origin.get("missing", {})
        return {name: missing[name] for name in ("dataset", "validation_dataset") if name in missing}

    @property
    def free_folder(self) -> str:
        name, prefix = self.values("name").get("display_name", ""), self.own.get("output_prefix", "")
        return suggest_output(self.draft, self.user, name, prefix)

    def dataset_in_form(self, form: StepForm, field: str) -> Dataset | None:
        wanted = str(form[field].value())
        return next((dataset for dataset in self.datasets if str(dataset.pk) == wanted), None)

    def values(self, step: str) -> dict[str, Any]:
        values: dict[str, Any] = self.draft.data.get(step, {})
        return values

    @property
    def default_values(self) -> dict[str, Any]:
        """The training step's values for the chosen base model."""
        facts = self.variant.facts if self.variant else None
        return training_defaults(facts, self.start) if facts else {}

    @property
    def modes(self) -> list[tuple[str, str, str]]:
        """Value, label, and why this base model cannot be tuned that way."""
        assert self.variant is not None
        assert self.variant.facts is not None
        facts, title = self.variant.facts, self.variant.title
        return [(mode.value, str(mode.label), spec_words.why_not_mode(mode.value, facts, title)) for mode in TuningMode]

    @property
    def default_rates(self) -> str:
        """What a multiplier multiplies, of each mode when they differ."""
        facts = self.variant.facts if self.variant else None
        rates = {mode: plain(found.learning_rate) for mode, found in facts.defaults.items()} if facts else {}
        if len(set(rates.values())) == 1:
            return next(iter(rates.values()))
        return ", ".join(f"{TuningMode(mode).label} {rate}" for mode, rate in rates.items())

"""A draft as its five forms: which are done, which may be opened, and what they amount to."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import takewhile
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise

from console.forms.fields import StepForm
from console.forms.tuning.steps import (
    BASE,
    STEPS,
    TUNED,
    BaseModelForm,
    DeploymentForm,
    NameForm,
)
from console.forms.tuning.training import TrainingForm
from console.presenters.catalogue import model_families
from console.presenters.catalogue.model_families import Variant
from jobs.models import Dataset, Endpoint, PublisherModel, TuningDraft, TuningMode, preference_of
from jobs.services.costs import estimates
from jobs.services.datasets import row_limits, token_counts
from jobs.services.tuned_models import continuation
from jobs.services.tuned_models.continuation import Start
from jobs.services.tuning import drafts, jobs, spec_words, terms
from jobs.services.tuning.code import plain
from jobs.services.tuning.spec import TuningSpec
from jobs.services.tuning.spec_terms import Terms
from jobs.services.tuning.sweeps import sweeps
from jobs.services.tuning.sweeps.spec import Varied

from .advanced import changed_words, list_changed
from .fields import FORMS, TITLES, region_choices
from .output_form import output_form
from .proposals import suggest_machine, suggest_output, training_defaults, whole_number
from .review import answers, machine_with_price, note
from .sweep import Plan, plan_of, sweep_line

SENT, SAVED = "sent", "saved"
DATASETS_SHOWN = 200


@dataclass(frozen=True)
class Step:
    slug: str
    title: str | Promise
    url: str
    note: str
    is_done: bool
    is_open: bool
    is_current: bool


class Wizard:
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

    def url(self, step: str) -> str:
        return reverse("tuning-draft", args=[self.draft.pk, step])

    def form(self, step: str, data: Mapping[str, Any] | None = None) -> StepForm:
        """With `data` from the browser; else as it was sent last, with its errors; else with what is proposed."""
        values = self.values(step)
        if data is None and SENT in values:
            data = values
        return self._makers[step](data, initial=self._initial_values(step) | values)

    def shown_form(self, step: str) -> StepForm:
        """As a page shows it: what was typed and not sent yet is there again, with what is wrong with it; what nobody
        has typed is not judged."""
        values = self.values(step)
        if SENT in values or drafts.KEPT not in values:
            return self.form(step)
        whole = self._initial_values(step) | values
        form = self._makers[step](whole, initial=whole)
        typed = {name for name in values[drafts.KEPT] if values.get(name)}
        for name in form.errors.keys() - typed:
            del form.errors[name]
        return form

    @cached_property
    def _makers(self) -> dict[str, Callable[..., StepForm]]:
        return {
            "name": NameForm,
            "base-model": partial(
                BaseModelForm,
                terms_of=self._terms_of,
                regions=region_choices(),
            ),
            "output": partial(output_form, draft=self.draft, user=self.user),
            "training": self._training_form,
            "deployment": self._deployment_form,
        }

    def _training_form(self, data: Mapping[str, Any] | None, initial: dict[str, Any]) -> TrainingForm:
        return TrainingForm(
            data,
            initial=initial,
            datasets=Dataset.objects.visible_to(self.user),
            offered=self.datasets,
            terms=self.terms,
            missing=self.missing_datasets,
        )

    def _deployment_form(self, data: Mapping[str, Any] | None, initial: dict[str, Any]) -> DeploymentForm:
        assert self.variant is not None
        machines = {spec["machine_type"]: machine_with_price(spec) for spec in reversed(self.variant.machine_specs)}
        return DeploymentForm(
            data,
            initial=initial,
            terms=self.terms,
            machines=dict(reversed(machines.items())),
            endpoints=Endpoint.objects.visible_to(self.user).not_deleted(),
            scalable=not all(option.is_local for option in self.variant.machine_options),
        )

    @property
    def default_values(self) -> dict[str, Any]:
        """The training step's values for the chosen base model."""
        facts = self.variant.facts if self.variant else None
        return training_defaults(facts, self.start) if facts else {}

    def _initial_values(self, step: str) -> dict[str, Any]:
        if step == "training":
            return self.default_values
        if step == "base-model":
            tunable = [variant.name for variant in self.variants if not variant.tune_reason]
            chosen = {"base_model": tunable[0]} if len(tunable) == 1 else {}
            return {"source": BASE, "location": settings.VERTEX_LOCATION} | chosen
        if step == "output":
            return {"output_uri": self.free_folder}
        if step == "deployment":
            name, machines = self.values("name").get("display_name", ""), self.variant and self.variant.machine_specs
            machine = suggest_machine(machines or [], self.own.get("machine_type", ""))
            return {"auto_deploy": True, "endpoint_display_name": name, "machine_type": machine}
        return {}

    @cached_property
    def valid_steps(self) -> dict[str, dict[str, Any]]:
        """The values of the steps that are done, parsed: every step up to the first that is not."""
        forms = ((step, self.form(step)) for step in STEPS)
        return {step: form.cleaned_data for step, form in takewhile(lambda pair: pair[1].is_valid(), forms)}

    @property
    def next_open(self) -> str:
        return STEPS[min(len(self.valid_steps), len(STEPS) - 1)]

    def may_open(self, step: str) -> bool:
        return STEPS.index(step) <= len(self.valid_steps)

    def steps(self, current: str) -> list[Step]:
        return [
            Step(
                slug=step,
                title=TITLES[step],
                url=self.url(step),
                note=self.note(step),
                is_done=step in self.valid_steps,
                is_open=self.may_open(step),
                is_current=step == current,
            )
            for step in STEPS
        ]

    def note(self, step: str) -> str:
        """The answer of a finished step in a few words."""
        values = self.valid_steps.get(step, {})
        if step == "base-model" and values and self.variant:
            return self.start.title if self.start else self.variant.title
        return note(step, values)

    @property
    def review(self) -> list[tuple[str | Promise, list[tuple[str, object]], str]]:
        """Title, answers and address of each finished step before the last."""
        found = [
            (TITLES[step], answers(FORMS[step].base_fields, self._said(step)), self.url(step))
            for step in STEPS[:-1]
            if step in self.valid_steps
        ]
        if "training" in self.valid_steps and (changed := list_changed(self.form("training"), self.default_values)):
            found[STEPS.index("training")][1].append(changed_words(changed))
        if self.varied:
            found[STEPS.index("training")][1].append(sweep_line(self.varied))
        return found

    def _said(self, step: str) -> dict[str, Any]:
        """Without what a sweep varies, which is told by itself."""
        return {name: value for name, value in self.valid_steps[step].items() if name not in self.varied}

    @property
    def varied(self) -> Varied:
        """What a sweep tries; empty for a single job."""
        found: Varied = self.valid_steps.get("training", {}).get("sweep", {})
        return found

    @property
    def plan(self) -> Plan | None:
        """Of a sweep, as far as the steps are known."""
        planned = self.preview_spec if self.varied else None
        return plan_of(planned, self.varied) if planned else None

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

    def long_rows(self, dataset: Dataset | None) -> list[str]:
        """That the chosen base model would cut rows, when it would."""
        facts = self.variant.facts if self.variant else None
        if not (dataset and self.variant and facts):
            return []
        sentence = row_limits.long_rows(dataset, facts.max_sequence_tokens, self.variant.title)
        return [sentence] if sentence else []

    def estimate(self, step: str, form: StepForm) -> dict[str, Any]:
        """For what stands in the form of the training step, even before it is sent."""
        training = self.valid_steps.get("training", {})
        dataset, epochs = training.get("dataset"), training.get("epochs", 0)
        mode, batch = training.get("tuning_mode", ""), training.get("batch_size")
        if step == "training" and self.terms.facts:
            dataset = self.dataset_in_form(form, "dataset")
            epochs = whole_number(form["epochs"].value(), self.terms.facts.max_epochs)
            mode = str(form["tuning_mode"].value() or "")
        if not (self.variant and dataset and epochs):
            return {}
        estimate = estimates.of_data(dataset, epochs, self.variant.name, mode, batch)
        pending = token_counts.is_pending(dataset, self.variant.name, timezone.now())
        return {"estimate": estimate, "cut_rows": self.long_rows(dataset), "is_counting": pending}

    def dataset_to_count(self, step: str, form: StepForm) -> Dataset | None:
        """The training data that the estimate is about."""
        if not self.variant:
            return None
        chosen = self.valid_steps.get("training", {}).get("dataset")
        return self.dataset_in_form(form, "dataset") if step == "training" else chosen

    def spec(self, deployment: Mapping[str, Any] | None = None) -> TuningSpec:
        """Every step must be done, the last one unless its parsed values are given."""
        return self._spec(self.valid_steps["deployment"] if deployment is None else deployment)

    @property
    def why_not_start(self) -> str:
        """That it would cost more than may be spent today."""
        planned = self.preview_spec
        if planned and self.varied:
            return sweeps.why_not_start(self.user, planned, self.varied)
        return jobs.why_not_start(self.user, self.draft.pk, planned) if planned else ""

    @property
    def preview_spec(self) -> TuningSpec | None:
        """The job as far as it is known; the last step as it stands, even before it is sent."""
        if len(self.valid_steps) < len(STEPS) - 1:
            return None
        form = self._deployment_form(self._initial_values("deployment") | self.values("deployment"), {})
        form.is_valid()
        return self._spec(form.cleaned_data)

    def _spec(self, deployment: Mapping[str, Any]) -> TuningSpec:
        steps = [*(self.valid_steps[step] for step in STEPS[:-1]), deployment]
        values = {name: value for step in steps for name, value in step.items()}
        del values["use_validation"]
        known = TuningSpec.__dataclass_fields__
        return TuningSpec(**{name: value for name, value in values.items() if name in known})

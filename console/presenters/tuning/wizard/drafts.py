"""A draft as its five forms: which are done, which may be opened, and what they amount to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import takewhile
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise

from console.forms.fields import StepForm
from console.forms.tuning.steps import (
    BASE,
    STEPS,
    BaseModelForm,
    DeploymentForm,
    NameForm,
)
from console.forms.tuning.training import TrainingForm
from console.presenters.catalogue.machines import list_offered_options
from jobs.models import Dataset, Endpoint
from jobs.services.catalogue import regions
from jobs.services.costs import estimates, memory
from jobs.services.datasets import row_limits, token_counts
from jobs.services.tuning import drafts, jobs
from jobs.services.tuning.spec import TuningSpec
from jobs.services.tuning.sweeps import sweeps
from jobs.services.tuning.sweeps.spec import Varied

from . import container
from .advanced import changed_words, list_changed
from .choices import Choices
from .fields import FORMS, TITLES, region_choices
from .output_form import output_form
from .proposals import suggest_machine, whole_number
from .review import answers, machine_with_price, note
from .sweep import Plan, add_up, plan_of, sweep_line

SENT, SAVED = "sent", "saved"
MOST = 1_000_000


@dataclass(frozen=True)
class Step:
    slug: str
    title: str | Promise
    url: str
    note: str
    is_done: bool
    is_open: bool
    is_current: bool


class Wizard(Choices):
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
            training_machines=container.machines_with_prices(self.terms, self.location),
        )

    def _deployment_form(self, data: Mapping[str, Any] | None, initial: dict[str, Any]) -> DeploymentForm:
        assert self.variant is not None
        specs, region = reversed(self.variant.machine_specs), self.location
        machines = {spec["machine_type"]: machine_with_price(spec, region) for spec in specs}
        return DeploymentForm(
            data,
            initial=initial,
            terms=self.terms,
            machines=dict(reversed(machines.items())),
            endpoints=Endpoint.objects.visible_to(self.user).not_deleted(),
            scalable=not all(option.is_local for option in self.variant.machine_options),
            offered=list_offered_options(self.variant.machine_options),
            region=self.region,
        )

    @property
    def region(self) -> str:
        """Where the job is to be tuned; nothing where one is all there is."""
        return self.location if regions.has_choice() else ""

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
    def location(self) -> str:
        """Where it is to be tuned, right or wrong."""
        return str(self.values("base-model").get("location") or settings.VERTEX_LOCATION)

    @property
    def plan(self) -> Plan | None:
        """Of a sweep, as far as the steps are known."""
        planned = self.preview_spec if self.varied else None
        return plan_of(planned, self.varied) if planned else None

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
        machine, varied = training.get("training_machine", ""), self.varied
        if isinstance(form, TrainingForm) and self.terms.facts:
            dataset = self.dataset_in_form(form, "dataset")
            epochs = whole_number(form["epochs"].value(), self.terms.facts.max_epochs)
            mode = str(form["tuning_mode"].value() or "")
            machine = container.machine_in_form(form, self.terms)
            varied = form.read_sweep(self.terms, {"tuning_mode": mode, "training_machine": machine})
        if not (self.variant and dataset and epochs):
            return {}
        base_model, now = self.variant.name, timezone.now()

        def estimate(its_epochs: int | None = None, its_batch: int | None = None) -> estimates.Estimate:
            return estimates.of_data(
                dataset, its_epochs or epochs, base_model, mode, its_batch or batch, machine, self.location
            )

        return {
            "estimate": estimate(),
            "totals": add_up(varied, estimate),
            "fit": None if machine else self._fit(step, form, dataset, mode, varied),
            "varies_batch": "batch_size" in varied,
            "cut_rows": self.long_rows(dataset),
            "is_counting": token_counts.is_pending(dataset, base_model, now) or memory.is_pending(base_model, now),
        }

    def _fit(self, step: str, form: StepForm, dataset: Dataset, mode: str, varied: Varied) -> memory.Fit | None:
        """As the form of the training step stands, even before it is sent. Of a sweep, the job that takes the most."""
        assert self.variant is not None
        values = self.valid_steps.get("training", {})
        names = ("adapter_size", "batch_size", "max_seq_length")
        asked = {name: form[name].value() for name in names} if step == "training" else values
        most = {name: int(max(tried)) for name, tried in varied.items() if name in names}
        adapter, batch, longest = (most.get(name) or whole_number(asked.get(name), MOST) for name in names)
        return memory.of_training(dataset, self.variant.name, mode, adapter, batch, longest)

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

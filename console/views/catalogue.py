"""The catalogue as the pages show it: families of variants, and why something is not offered. Used by two pages."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Any

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from console.forms.catalogue import PROVIDERS
from jobs.models import PublisherModel, TuningMode
from jobs.services import catalogue

LOCAL = "local-cpu"
SIZE = re.compile(r"(\d+(?:\.\d+)?)([mb])(?![a-z])", re.IGNORECASE)
STAGES: dict[str, str | Promise] = {
    "EXPERIMENTAL": gettext_lazy("Experimental"),
    "PRIVATE_PREVIEW": gettext_lazy("Private preview"),
    "PUBLIC_PREVIEW": gettext_lazy("Public preview"),
    "GA": gettext_lazy("GA"),
}
MODALITIES: dict[str, str | Promise] = {"text": gettext_lazy("text")}


@dataclass(frozen=True)
class Variant:
    """One model of the catalogue. A reason is empty when the thing is offered."""

    model: PublisherModel
    size: str

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def title(self) -> str:
        return self.model.display_name

    @property
    def overview(self) -> str:
        return str(self.model.data.get("overview", ""))

    @property
    def summary(self) -> str:
        """The first line that is not a heading."""
        lines = (line.strip() for line in self.overview.splitlines())
        return next((line for line in lines if line and not line.startswith("#")), "")

    @cached_property
    def facts(self) -> catalogue.TuningFacts | None:
        return catalogue.tuning_facts(self.model.name)

    @property
    def tune_reason(self) -> str:
        if not self.model.can_tune:
            return _("This Vertex AI does not offer tuning for it.")
        if self.facts is None:
            return _("Managed tuning does not take this model.")
        return ""

    @property
    def deploy_reason(self) -> str:
        if not self.model.can_deploy or not self.machines:
            return _("This Vertex AI does not offer deployment for it.")
        return ""

    @property
    def modes(self) -> list[str]:
        return [str(TuningMode(mode).label) for mode in self.facts.modes] if self.facts else []

    @property
    def is_pretrained(self) -> bool:
        """It goes on writing where the text stops; it was not taught to answer."""
        return self.model.family.startswith("gemma") and "-it" not in self.model.version

    @property
    def machine_specs(self) -> list[dict[str, Any]]:
        return list(self.model.data.get("machine_specs", []))

    @property
    def machines(self) -> dict[str, str]:
        """A form's choices: key → label, the recommended first."""
        return {machine_key(spec): machine_label(spec) for spec in self.machine_specs}

    def machine(self, key: str) -> dict[str, Any]:
        spec = next(spec for spec in self.machine_specs if machine_key(spec) == key)
        return {name: spec[name] for name in ("machine_type", "accelerator_type", "accelerator_count") if name in spec}

    @property
    def licence(self) -> str:
        return str(self.model.data.get("licence", ""))

    @property
    def licence_url(self) -> str:
        url = str(self.model.data.get("licence_url", ""))
        return url if url.startswith("https://") else ""

    @property
    def stage(self) -> str:
        stage = self.model.launch_stage
        return str(STAGES.get(stage, stage.replace("_", " ").capitalize()))

    @property
    def modality(self) -> str:
        found = getattr(self.facts, "modality", "")
        return str(MODALITIES.get(found, found))

    @property
    def licence_to_accept(self) -> str:
        """Its name while Vertex AI has not said that it is accepted in this project, else nothing."""
        return "" if self.model.licence_acknowledged else self.licence

    @property
    def url(self) -> str:
        return f"{reverse('model-detail', args=[self.model.publisher, self.model.family])}?variant={self.model.version}"


@dataclass(frozen=True)
class Family:
    publisher: str
    slug: str
    title: str
    variants: tuple[Variant, ...]

    @property
    def url(self) -> str:
        return reverse("model-detail", args=[self.publisher, self.slug])

    @property
    def provider(self) -> str:
        return PROVIDERS.get(self.publisher, self.publisher)

    @property
    def can_tune(self) -> bool:
        return any(not variant.tune_reason for variant in self.variants)

    @property
    def can_deploy(self) -> bool:
        return any(not variant.deploy_reason for variant in self.variants)

    @property
    def best(self) -> Variant:
        """The first that can be tuned and deployed, else the first."""
        return min(self.variants, key=lambda variant: bool(variant.tune_reason) + bool(variant.deploy_reason))

    def variant(self, version: str) -> Variant:
        return next((variant for variant in self.variants if variant.model.version == version), self.best)


def families(models: Iterable[PublisherModel]) -> list[Family]:
    groups: dict[tuple[str, str], list[PublisherModel]] = {}
    for model in models:
        groups.setdefault((model.publisher, model.family), []).append(model)
    return [family(group) for group in groups.values()]


def family(models: list[PublisherModel]) -> Family:
    title = common_words([model.display_name for model in models]) or models[0].family
    ordered = sorted(models, key=lambda model: (parameters(model), model.version))
    variants = tuple(Variant(model, model.display_name.removeprefix(title).strip() or title) for model in ordered)
    return Family(models[0].publisher, models[0].family, title, variants)


def common_words(names: list[str]) -> str:
    """What all names begin with, word by word: Gemma 3 1B IT, Gemma 3 270M → Gemma 3."""
    columns = zip(*(name.split() for name in names), strict=False)
    return " ".join(column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns))


def parameters(model: PublisherModel) -> float:
    """In millions, read from the name; models without a size come last."""
    found = SIZE.search(model.version)
    if found is None:
        return float("inf")
    return float(found[1]) * (1000 if found[2].lower() == "b" else 1)


def machine_key(spec: dict[str, Any]) -> str:
    return f"{spec['machine_type']}:{spec.get('accelerator_type', '')}:{spec.get('accelerator_count', 0)}"


def machine_label(spec: dict[str, Any]) -> str:
    """By type and accelerators: the titles of the deploy options are often all the same."""
    machine = _("This computer, without a graphics card") if spec["machine_type"] == LOCAL else spec["machine_type"]
    if not spec.get("accelerator_type"):
        return str(machine)
    accelerator = str(spec["accelerator_type"]).replace("_", " ")
    return f"{machine} · {spec.get('accelerator_count', 1)} × {accelerator}"

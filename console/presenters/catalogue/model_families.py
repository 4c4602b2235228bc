"""The catalogue as the pages show it: families of variants, and why something is not offered. Used by two pages."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from itertools import takewhile
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _, gettext_lazy

from console.forms.catalogue import MODALITIES, PROVIDERS, TASKS
from jobs.models import PublisherModel, TuningMode
from jobs.services.catalogue import facts, policies
from jobs.services.catalogue.purposes import Purpose, find_purpose

from . import context_windows, family_words, machines as on_machines, precisions
from .own_words import translated

SIZE = re.compile(r"(\d+(?:\.\d+)?)([mb])(?![a-z])", re.IGNORECASE)
STAGES: dict[str, str | Promise] = {
    "EXPERIMENTAL": gettext_lazy("Experimental"),
    "PRIVATE_PREVIEW": gettext_lazy("Private preview"),
    "PUBLIC_PREVIEW": gettext_lazy("Public preview"),
    "GA": gettext_lazy("GA"),
}
TUNING_MODALITIES: dict[str, str | Promise] = {
    "text": gettext_lazy("text"),
    "text and image": gettext_lazy("text and images"),
}
NEW_FOR = timedelta(days=30)
COLOURS = 6


def is_pretrained(family: str, version: str) -> bool:
    """It goes on writing where the text stops; it was not taught to answer."""
    if family.startswith("llama"):
        return "instruct" not in version
    return version.endswith(("-pt", "-base")) or (family.startswith("gemma") and "-it" not in version)


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
        return translated(str(self.model.data.get("overview", "")))

    @property
    def summary(self) -> str:
        """The first line that is not a heading."""
        lines = (line.strip() for line in self.overview.splitlines())
        return next((line for line in lines if line and not line.startswith("#")), "")

    @cached_property
    def facts(self) -> facts.TuningFacts | None:
        return facts.tuning_facts(self.model.name)

    @property
    def tune_reason(self) -> str:
        return policies.why_not_tune(self.model)

    @property
    def deploy_reason(self) -> str:
        return policies.why_not_deploy(self.model)

    @property
    def why_no_answer(self) -> str:
        """Why nobody can ask it anything while no endpoint of it is ready, and what to do."""
        if not policies.writes_text(self.model):
            return self.deploy_reason
        if self.deploy_reason:
            return _("You can't try it out here: it isn't offered for deployment, and no endpoint serves it.")
        return _("No endpoint of this model is ready. Deploy it first.")

    @property
    def can_tune(self) -> bool:
        return not self.tune_reason

    @property
    def can_deploy(self) -> bool:
        return not self.deploy_reason

    @property
    def mode_reasons(self) -> list[tuple[str, str]]:
        """Each way of tuning with the reason why it is not offered, empty where it is."""
        modes = self.facts.modes if self.facts and self.can_tune else ()
        return [(str(mode.label), "" if mode in modes else self._mode_reason) for mode in TuningMode]

    @property
    def _mode_reason(self) -> str:
        return self.tune_reason or _("Managed tuning doesn't offer this mode for this model.")

    @property
    def modes(self) -> list[str]:
        return [str(TuningMode(mode).label) for mode in self.facts.modes] if self.facts else []

    @property
    def is_pretrained(self) -> bool:
        return is_pretrained(self.model.family, self.model.version)

    @property
    def machine_specs(self) -> list[dict[str, Any]]:
        return list(self.model.data.get("machine_specs", []))

    @property
    def machines(self) -> dict[str, str]:
        """A form's choices: key → label, the recommended first."""
        return {on_machines.machine_key(spec): on_machines.machine_label(spec) for spec in self.machine_specs}

    @cached_property
    def machine_options(self) -> list[on_machines.MachineOption]:
        return self.machine_options_in("")

    def machine_options_in(self, region: str) -> list[on_machines.MachineOption]:
        """With the prices there; empty: in the configured region."""
        return on_machines.machine_options(self.machine_specs, region)

    @cached_property
    def precision_options(self) -> list[precisions.PrecisionOption]:
        return precisions.list_precisions(self.model)

    def machine(self, key: str) -> dict[str, Any]:
        spec = next(spec for spec in self.machine_specs if on_machines.machine_key(spec) == key)
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
        return str(TUNING_MODALITIES.get(found, found))

    @property
    def licence_to_accept(self) -> str:
        return policies.licence_to_accept(self.model)

    @property
    def url(self) -> str:
        return f"{reverse('model-detail', args=[self.model.publisher, self.model.family])}?variant={self.model.version}"

    @property
    def provider(self) -> str:
        return provider(self.model.publisher)

    @property
    def monogram(self) -> "Monogram":
        return Monogram(self.model.publisher)

    @property
    def context_tokens(self) -> int:
        return int(self.model.data.get("context_tokens") or 0)

    @property
    def context_words(self) -> str:
        """131072 → 128K."""
        count = self.context_tokens
        return f"{count // 1024}K" if count and count % 1024 == 0 else str(count)

    @cached_property
    def served(self) -> context_windows.Served | None:
        return context_windows.served(self.model.data)

    @property
    def modalities(self) -> list[str]:
        """What it reads, in words; empty when the catalogue does not tell."""
        return [str(MODALITIES.get(name, name)) for name in self.model.data.get("modalities", ())]

    @property
    def tasks(self) -> list[str]:
        purpose = find_purpose(self.model.name, self.model.data.get("sample_request") or {})
        if purpose != Purpose.TEXT:
            return [purpose.value]
        vision = ["vision"] if "image" in self.model.data.get("modalities", ()) else []
        return [("completion" if self.is_pretrained else "chat"), *vision]

    @property
    def task_names(self) -> list[str]:
        return [str(TASKS[task]) for task in self.tasks]

    @property
    def parameters(self) -> str:
        found = SIZE.search(self.model.version)
        return str(self.model.data.get("parameters") or (found[0].upper() if found else ""))

    @property
    def documents(self) -> Mapping[str, str]:
        return dict(self.model.data.get("documents") or {})

    @property
    def is_new(self) -> bool:
        seen = self.model.first_seen_at
        return seen is not None and timezone.now() - seen < NEW_FOR

    @cached_property
    def search_text(self) -> str:
        words = (self.name, self.title, self.provider, self.overview, self.model.data.get("overview", ""))
        return " ".join(map(str, words)).casefold()

    @cached_property
    def values(self) -> Mapping[str, frozenset[str]]:
        publisher = self.model.publisher
        features = {"tune": not self.tune_reason, "deploy": not self.deploy_reason}
        return {
            "collection": frozenset([publisher if publisher in ("google", "local") else "partners"]),
            "task": frozenset(self.tasks),
            "modality": frozenset(self.model.data.get("modalities", ())),
            "provider": frozenset([publisher]),
            "feature": frozenset(name for name, offered in features.items() if offered),
        }

    def matching_line(self, words: Iterable[str]) -> str:
        """The line of its description that was searched for, else the first."""
        wanted = list(words)
        lines = (line.strip("#*- ") for line in self.overview.splitlines())
        return next((line for line in lines if any(word in line.casefold() for word in wanted)), self.summary)


@dataclass(frozen=True)
class Monogram:
    """Our own sign of a publisher: a letter on one of six colours."""

    publisher: str

    @property
    def letter(self) -> str:
        return provider(self.publisher)[:1]

    @property
    def colour(self) -> str:
        return f"c{sum(self.publisher.encode()) % COLOURS}"


def provider(publisher: str) -> str:
    return PROVIDERS.get(publisher, publisher)


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
        return provider(self.publisher)

    @property
    def monogram(self) -> Monogram:
        return Monogram(self.publisher)

    @property
    def is_new(self) -> bool:
        return any(variant.is_new for variant in self.variants)

    @property
    def can_tune(self) -> bool:
        return any(variant.can_tune for variant in self.variants)

    @property
    def can_deploy(self) -> bool:
        return any(variant.can_deploy for variant in self.variants)

    @property
    def best(self) -> Variant:
        """The first that can be tuned and deployed, else the first."""
        return max(self.variants, key=lambda variant: variant.can_tune + variant.can_deploy)

    @property
    def summary(self) -> str:
        """Of all of its sizes; of the only one, what the catalogue says."""
        if len(self.variants) == 1:
            return self.variants[0].summary
        sizes = [variant.parameters for variant in self.variants]
        return family_words.of_sizes(sizes, [variant.model.data.get("modalities", ()) for variant in self.variants])

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


machine_label = on_machines.machine_label

"""What is known of base models beside the catalogue of Vertex AI: how each can be tuned, and in which ranges."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings

from jobs.models import TuningMode

FACTS = Path(__file__).with_name("tuning_models.toml")
ABOUT = Path(__file__).with_name("model_facts.toml")
# How names of models begin that the local Vertex AI has from elsewhere. People choose the rest, and it tells which of
# them it can tune.
OWN = ("hf-", "local/")
# Of Gemma 3, by which data of models that are not listed is estimated, too.
TOKENS_PER_CHARACTER = 0.231


@dataclass(frozen=True)
class ModeDefaults:
    """`adapter_size` None with FULL."""

    learning_rate: float
    epochs: int
    adapter_size: int | None = None


@dataclass(frozen=True)
class ContainerFacts:
    """Of a training in a container of the project's own. `weights`: their name on Hugging Face; `gigabytes` in 16
    bits."""

    modes: tuple[str, ...]
    weights: str
    gigabytes: float


@dataclass(frozen=True)
class TuningFacts:
    """`usd_per_million_tokens` None: no price is published; it is that of managed tuning. `defaults` by mode, and
    `tokens_per_character`, as Google's calculator has them; `modes` the recommended first, with those of `container`
    where there is one. There is at least one epoch and one row in a step; a learning rate is above 0.
    `is_listed_for_custom_weights`: Google's documentation names it among those whose tuned models can be deployed."""

    modes: tuple[str, ...]
    managed_modes: tuple[str, ...]
    container: ContainerFacts | None
    adapter_sizes: tuple[int, ...]
    max_sequence_tokens: int
    max_epochs: int
    max_learning_rate: float
    max_batch_size: int
    modality: str
    tokens_per_character: Mapping[str, float]
    usd_per_million_tokens: Decimal | None
    defaults: Mapping[str, ModeDefaults]
    source: str
    as_of: str
    is_listed_for_custom_weights: bool = True


@dataclass(frozen=True)
class Licence:
    """`acceptance`: somebody accepts it for the project before the model is used."""

    name: str
    url: str
    acceptance: bool


@cache
def _all_facts() -> dict[str, Any]:
    return tomllib.loads(FACTS.read_text(encoding="utf-8"))


def tuning_facts(name: str) -> TuningFacts | None:
    """None: managed tuning is not known to offer this model. `-pt` models are never tuned by it."""
    has_container, is_local = bool(settings.VERTEX_TRAINER_IMAGE), bool(settings.VERTEX_API_ENDPOINT)
    return _tuning_facts(name, has_container=has_container, is_local=is_local)


def is_offered_by_managed_tuning(name: str) -> bool:
    """False: only the local server tunes it. What is not known may be."""
    return not _all_facts()["models"].get(name, {}).get("is_only_local")


def engine_family(name: str) -> str:
    """What the engine of this project calls the family of a model of a catalogue; "" for one that it does not know. Of
    models that were imported, the engine finds out by itself."""
    found: str = _all_facts()["families"].get(name.partition("@")[0], {}).get("engine", "")
    return found


def is_known_to_engine(name: str) -> bool:
    """Whether the engine can tune, serve, merge and convert it."""
    return name.startswith(OWN) or bool(engine_family(name))


@cache
def _tuning_facts(name: str, *, has_container: bool, is_local: bool) -> TuningFacts | None:
    everything = _all_facts()
    model = everything["models"].get(name)
    if model is None and is_local and name.startswith(OWN):
        model = everything["own"]
    if model is None:
        return None
    family = everything["families"].get(name.partition("@")[0], {})
    facts = {**everything["defaults"], **family, **model}
    container = _container(facts.get("container"))
    added = container.modes if container and has_container else ()
    managed = () if added and not is_local and facts.get("is_only_local") else tuple(facts["modes"])
    price = facts.get("usd_per_million_tokens") if managed else None
    modes = tuple(dict.fromkeys((*managed, *added)))
    return TuningFacts(
        modes=modes,
        managed_modes=managed,
        container=container,
        adapter_sizes=tuple(facts["adapter_sizes"]) if TuningMode.PEFT_ADAPTER in modes else (),
        max_sequence_tokens=facts["max_sequence_tokens"],
        max_epochs=facts["max_epochs"],
        max_learning_rate=facts["max_learning_rate"],
        max_batch_size=facts["max_batch_size"],
        modality=facts["modality"],
        tokens_per_character={mode: _tokens_per_character(facts, mode) for mode in facts["modes"]},
        usd_per_million_tokens=None if price is None else Decimal(price),
        defaults={mode: _mode_defaults(facts, mode) for mode in modes},
        source=facts["source"],
        as_of=facts["as_of"].isoformat(),
        is_listed_for_custom_weights=facts.get("is_listed_for_custom_weights", True),
    )


def _container(known: Mapping[str, Any] | None) -> ContainerFacts | None:
    return ContainerFacts(tuple(known["modes"]), known["weights"], known["gigabytes"]) if known else None


@cache
def _about() -> dict[str, Any]:
    return tomllib.loads(ABOUT.read_text(encoding="utf-8"))


def facts_of(name: str) -> dict[str, Any]:
    """`context_tokens` and `modalities` of models whose catalogue entry does not tell them; empty when unknown."""
    everything = _about()
    return {**everything["families"].get(name.partition("@")[0], {}), **everything["models"].get(name, {})}


def licence_of(name: str) -> Licence | None:
    """Of a model whose catalogue entry does not tell it, as Google's does not; None when unknown."""
    key = facts_of(name).get("licence")
    return Licence(**_about()["licences"][key]) if key else None


def _tokens_per_character(facts: Mapping[str, Any], mode: str) -> float:
    told = facts.get("tokens_per_character", TOKENS_PER_CHARACTER)
    return float(told[mode] if isinstance(told, Mapping) else told)


def _mode_defaults(facts: Mapping[str, Any], mode: str) -> ModeDefaults:
    defaults = facts[mode]
    return ModeDefaults(defaults["learning_rate"], defaults["epochs"], defaults.get("adapter_size"))

"""The list of base models in the wizard, searched and filtered; the chosen one always stays in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.models import TuningMode

from .model_families import Variant

LONGEST_SEARCH = 200


@dataclass(frozen=True)
class Filter:
    q: str = ""
    mode: str = ""
    modality: str = ""

    def matches(self, variant: Variant) -> bool:
        text = f"{variant.title} {variant.name} {variant.model.publisher}".lower()
        return (
            all(word in text for word in self.q.lower().split())
            and self.mode in ("", *(variant.facts.modes if variant.facts else ()))
            and self.modality in ("", variant.facts.modality if variant.facts else "")
        )


@dataclass(frozen=True)
class BaseModels:
    chosen_filter: Filter
    offered: list[Variant]
    refused: list[Variant]
    modalities: list[tuple[str, str]]
    is_filtered: bool

    @property
    def modes(self) -> list[tuple[str, str]]:
        return [(mode.value, str(mode.label)) for mode in TuningMode]


def filter_of(query: Mapping[str, str]) -> Filter:
    return Filter(query.get("q", "")[:LONGEST_SEARCH], query.get("mode", ""), query.get("modality", ""))


def base_models(variants: Sequence[Variant], chosen: str, wanted: Filter) -> BaseModels:
    shown = [variant for variant in variants if variant.name == chosen or wanted.matches(variant)]
    modalities = {one.facts.modality: one.modality for one in variants if one.facts and not one.tune_reason}
    return BaseModels(
        chosen_filter=wanted,
        offered=[variant for variant in shown if not variant.tune_reason],
        refused=[variant for variant in shown if variant.tune_reason],
        modalities=sorted(modalities.items()) if len(modalities) > 1 else [],
        is_filtered=wanted != Filter(),
    )

"""What a tuning job may be, for one person and one base model at one moment: what `TuningSpec.validate` goes by."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from jobs.models import TuningJob
from jobs.services.catalogue.facts import TuningFacts


def _anywhere(uri: str) -> str:
    return ""


@dataclass(frozen=True)
class Terms:
    """`why_not_tune`: why the base model cannot be tuned, or nothing; only then there are `facts`. `continued` is the
    job whose model is tuned further; None with a `custom_base_model` means that there is none there. `licence` has to
    be accepted. `takes_advanced`: whether managed tuning is told of a warm-up and the like; `has_container`: whether
    there is an image to train in; `learns_from_images`: whether rows may have images; `learns_tools`: whether they may
    have tools, None where that is not known. `why_not_write` answers for the
    output folder."""

    owner_id: int = 0
    base_model: str = ""
    model_title: str = ""
    why_not_tune: str = ""
    facts: TuningFacts | None = None
    continued: TuningJob | None = None
    regions: Collection[str] = ()
    machines: Collection[str] = ()
    licence: str = ""
    takes_advanced: bool = False
    has_container: bool = False
    learns_from_images: bool = False
    learns_tools: bool | None = None
    why_not_write: Callable[[str], str] = field(default=_anywhere)

"""What the five steps propose before anybody types."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils.text import slugify

from console.forms.training import MOST_EPOCHS
from jobs.models import TuningDraft
from jobs.services.catalogue import TuningFacts


def proposed_output(draft: TuningDraft, name: str) -> str:
    """A folder that no other job has: the name, and the beginning of the draft's id."""
    folder = f"{slugify(name)[:40] or 'model'}-{draft.pk.hex[:6]}"
    return f"{settings.VERTEX_BUCKET}/tuning/{folder}" if settings.VERTEX_BUCKET else ""


def whole_number(text: object) -> int:
    """0 for anything that cannot be a number of epochs."""
    try:
        number = int(str(text))
    except ValueError:
        return 0
    return number if 0 < number <= MOST_EPOCHS else 0


def carried(values: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The training step for another base model: what nobody changed follows the new model's recommendation."""
    untouched = {name for name, value in old.items() if str(values.get(name)) == str(value)}
    return {name: new.get(name) if name in untouched else value for name, value in values.items()}


def training_defaults(facts: TuningFacts) -> dict[str, Any]:
    mode = facts.modes[0]
    defaults = facts.defaults[mode]
    return {
        "epochs": defaults.epochs,
        "learning_rate": plain(defaults.learning_rate),
        "tuning_mode": mode,
        "adapter_size": defaults.adapter_size,
    }


def plain(number: float) -> str:
    """0.00002 and not 2e-05."""
    return f"{number:.10f}".rstrip("0").rstrip(".")

"""How far the fold of advanced settings is from what is proposed."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext, ngettext

from console.forms.fields import StepForm
from jobs.models.runs.settings import ADVANCED

# What the trainer takes for what is left empty.
TRAINER = {"lr_scheduler_type": "cosine", "warmup_ratio": "0.05", "weight_decay": "0", "seed": "42"}
CONTAINER = ("training_machine", "quantization")
FOLDED = ("tuning_mode", "adapter_size", "batch_size", "export_last_checkpoint_only", *CONTAINER, *ADVANCED)
OF_ADAPTERS = ("adapter_size", *CONTAINER)


def list_changed(form: StepForm, defaults: Mapping[str, Any]) -> list[str]:
    """Names of the fields, as they stand in the form, right or wrong. What is left empty, or is what the trainer takes
    by itself, is not changed; neither is what is said of an adapter that is not made."""
    names = [name for name in FOLDED if name in form.fields]
    is_full = str(form["tuning_mode"].value()) == "FULL"
    values = {name: form[name].value() for name in names if not (is_full and name in OF_ADAPTERS)}
    return [name for name, value in values.items() if _is_changed(value, defaults.get(name), TRAINER.get(name))]


def _is_changed(value: Any, proposed: Any, taken: str | None) -> bool:
    if isinstance(value, bool):
        return value
    text = _plain(value)
    return text not in ("", _plain(proposed), _plain(taken))


def _plain(value: Any) -> str:
    """0.050 is 0.05."""
    text = "" if value is None else str(value).strip()
    try:
        return repr(float(text))
    except ValueError:
        return text


def changed_words(names: list[str]) -> tuple[str, object]:
    """As a line of the review."""
    count = len(names)
    words = ngettext("%(counter)s differs from the default", "%(counter)s differ from the default", count)
    return gettext("Advanced settings"), words % {"counter": count}

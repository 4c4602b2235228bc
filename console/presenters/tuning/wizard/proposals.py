"""What the five steps propose before anybody types."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from django.utils.text import slugify

from console.forms.tuning.training import ABSOLUTE
from jobs.models import Dataset, TuningDraft, TuningMode
from jobs.services.catalogue import training_machines
from jobs.services.catalogue.facts import TuningFacts
from jobs.services.datasets import policies as dataset_policies
from jobs.services.storage import policies
from jobs.services.tuned_models.continuation import Start
from jobs.text.numbers import plain


def suggest_folder(draft: TuningDraft, name: str) -> str:
    """That no other job has: the name, and the beginning of the draft's id."""
    return f"{slugify(name)[:40] or 'model'}-{draft.pk.hex[:6]}"


def suggest_output(draft: TuningDraft, user: User, name: str, prefix: str = "") -> str:
    """Below `prefix` where this person may write there, else where their jobs write unless told otherwise."""
    prefix = prefix if prefix and not policies.why_not_write(user, prefix) else policies.output_root(user)
    return f"{prefix}/{suggest_folder(draft, name)}" if prefix else ""


def suggest_machine(machines: list[dict[str, Any]], wanted: str) -> str:
    """The person's own where the model is offered on it; else the recommended one, which comes first."""
    names = [spec["machine_type"] for spec in machines]
    return wanted if wanted in names else next(iter(names), "")


def whole_number(text: object, most: int) -> int:
    """0 for anything that cannot be a number up to `most`."""
    try:
        number = int(str(text))
    except ValueError:
        return 0
    return number if 0 < number <= most else 0


def carry_over(values: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The training step for another base model: what nobody changed follows the new model's recommendation."""
    untouched = {name for name, value in old.items() if str(values.get(name)) == str(value)}
    return {name: new.get(name) if name in untouched else value for name, value in values.items()}


def dataset_choice(dataset: Dataset) -> dict[str, Any]:
    """The fields of the training step for who begins at a dataset."""
    train, validation = dataset_policies.split_pair(dataset)
    return {"dataset": str(train.pk)} | proposed_validation(train if validation else None)


def proposed_validation(dataset: Dataset | None) -> dict[str, Any]:
    """The other part of its split, where it can be used; nothing when the dataset is that part itself."""
    train, validation = dataset_policies.split_pair(dataset) if dataset else (None, None)
    if validation is None or train != dataset:
        return {}
    return {"use_validation": True, "validation_dataset": str(validation.pk)}


def _adapter_size(facts: TuningFacts, start: Start | None) -> int | None:
    """Also where full fine-tuning is proposed, for those who choose an adapter then."""
    if start:
        return start.job.adapter_size
    adapter = facts.defaults.get(TuningMode.PEFT_ADAPTER)
    return adapter.adapter_size if adapter else None


def _training_machine(facts: TuningFacts, start: Start | None) -> str:
    """Nothing where managed tuning does it."""
    if start:
        return start.job.training_machine
    is_managed = TuningMode.PEFT_ADAPTER in facts.managed_modes or TuningMode.PEFT_ADAPTER not in facts.modes
    return "" if is_managed or facts.container is None else training_machines.suggest_machine(facts.container)


def training_defaults(facts: TuningFacts, start: Start | None) -> dict[str, Any]:
    """What is recommended for the base model; an adapter that is continued keeps its form."""
    mode = start.job.tuning_mode if start and start.job.tuning_mode in facts.modes else facts.modes[0]
    defaults = facts.defaults[mode]
    return {
        "epochs": defaults.epochs,
        "learning_rate_kind": ABSOLUTE,
        "learning_rate": plain(defaults.learning_rate),
        "learning_rate_multiplier": "1",
        "tuning_mode": mode,
        "adapter_size": _adapter_size(facts, start),
        "training_machine": _training_machine(facts, start),
        "quantization": start.job.quantization if start else "",
    }

"""Which values a sweep may try, and the jobs that come of it. It asks nobody but the terms it is given."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import product
from typing import Any

from jobs.errors import Problem
from jobs.models import TuningMode
from jobs.models.fields.names import LONGEST_NAME
from jobs.models.runs.settings import ADVANCED
from jobs.services.tuning.spec import TuningSpec, find_problems
from jobs.services.tuning.spec_terms import Terms
from jobs.text.deferred import gettext as _

MOST_JOBS, MOST_SETTINGS = 24, 3
# What a job is named after, in the order of the columns.
SHORT = {
    "learning_rate": "lr", "epochs": "epochs", "adapter_size": "rank", "batch_size": "batch", "warmup_ratio": "warmup",
    "weight_decay": "decay", "seed": "seed",
}  # fmt: skip
# What the rules of a setting look at, too.
BESIDE = ("tuning_mode", "training_machine", "quantization", *ADVANCED)
WHOLE = frozenset({"epochs", "adapter_size", "batch_size", "seed"})
Varied = Mapping[str, Sequence[float]]


def settings_for(terms: Terms) -> list[str]:
    """That the trainer takes."""
    return [name for name in SHORT if terms.takes_advanced or name not in ADVANCED]


def count_jobs(varied: Varied) -> int:
    count = 1
    for values in varied.values():
        count *= len(values)
    return count


def read_values(name: str, text: str) -> list[float]:
    """Raises ValueError with a sentence. Between commas, spaces or both."""
    found: list[float] = []
    for word in text.replace(",", " ").split():
        try:
            value = int(word) if name in WHOLE else _finite(word)
        except ValueError:
            raise ValueError(_("“%(value)s” is no value of this setting.") % {"value": word}) from None
        if value in found:
            raise ValueError(_("The value %(value)s is there twice.") % {"value": word})
        found.append(value)
    if len(found) < 2:  # noqa: PLR2004
        raise ValueError(_("Enter at least two values, such as 1, 2."))
    return found


def _finite(word: str) -> float:
    value = float(word)
    if not math.isfinite(value):
        raise ValueError(word)
    return value


def find_sweep_problems(varied: Varied, values: Mapping[str, Any], terms: Terms) -> list[Problem]:
    """`values`: the other answers. The field of a problem is the setting that it is about; empty: all together."""
    problems = [problem for name in varied for problem in _problems_of(name, varied[name], values, terms)]
    if len(varied) > MOST_SETTINGS:
        problems.append(Problem("too_many", "", _("Vary at most %(most)d settings.") % {"most": MOST_SETTINGS}))
    if (count := count_jobs(varied)) > MOST_JOBS:
        words = {"most": MOST_JOBS, "count": count}
        sentence = _("A sweep can have at most %(most)d jobs. These values make %(count)d. Remove some.")
        problems.append(Problem("too_many", "", sentence % words))
    return problems


def _problems_of(name: str, tried: Sequence[float], values: Mapping[str, Any], terms: Terms) -> Iterator[Problem]:
    if name not in settings_for(terms):
        yield Problem("not_offered", name, _("The trainer doesn't take this setting."))
    elif name == "adapter_size" and values.get("tuning_mode") != TuningMode.PEFT_ADAPTER:
        yield Problem("not_offered", name, _("Full fine-tuning has no adapter. Vary another setting."))
    else:
        for value in tried:
            beside = {other: values[other] for other in BESIDE if other in values}
            found = find_problems({**beside, name: value}, terms)
            if own := next((problem for problem in found if problem.field == name), None):
                words = {"value": format_value(value), "reason": own.sentence}
                yield Problem(own.code, name, _("%(value)s: %(reason)s") % words)
                return


def list_combinations(varied: Varied) -> list[dict[str, Any]]:
    """What each job has of the settings that vary."""
    return [dict(zip(varied, values, strict=True)) for values in product(*varied.values())]


def list_variants(spec: TuningSpec, varied: Varied) -> list[TuningSpec]:
    """One a combination, each with a folder of its own below the one of `spec`. None deploys its model by itself: the
    best one is known only when all have ended."""
    return [_variant(spec, place, values) for place, values in enumerate(list_combinations(varied), 1)]


def _variant(spec: TuningSpec, place: int, values: Mapping[str, Any]) -> TuningSpec:
    folder = f"{spec.output_uri.rstrip('/')}/{place:02d}"
    named = replace(spec, display_name=_name(spec.display_name, values), output_uri=folder)
    return replace(named, auto_deploy=False, deploy_endpoint=None, **values)


def _name(stem: str, values: Mapping[str, float]) -> str:
    ending = " ({})".format(", ".join(f"{SHORT[name]} {format_value(value)}" for name, value in values.items()))
    return stem[: LONGEST_NAME - len(ending)].rstrip() + ending


def format_value(value: float) -> str:
    """Every digit that it has, and never 2e-05."""
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text

"""Settings of the training that Google's tuning API has no field for: this server takes them as labels.

They are called as in Hugging Face's libraries. A label has no dot: 0.05 is `5e-2`.
"""

import math
from collections.abc import Mapping
from typing import Any

from jobs.localvertex.api.errors import ApiError, invalid
from jobs.localvertex.engine.job import MOST_SEED, SCHEDULES

PREFIX = "local-tuning-"
KNOWN = ("warmup-ratio", "lr-scheduler-type", "weight-decay", "seed", "max-seq-length")
SHORTEST_ROW = 16


def without(labels: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if not key.startswith(PREFIX)}


def read(labels: Mapping[str, str], max_tokens: int) -> dict[str, Any]:
    """What job.json is to say. Raises INVALID_ARGUMENT for a label of this prefix that is not known, too: nothing that
    was asked for is left out in silence."""
    given = {key.removeprefix(PREFIX): value for key, value in labels.items() if key.startswith(PREFIX)}
    if unknown := sorted(given.keys() - set(KNOWN)):
        raise _bad(unknown[0], f"is no setting of this server, which knows {', '.join(KNOWN)}")
    found: dict[str, Any] = {}
    if "warmup-ratio" in given:
        found["warmup_ratio"] = _number(given, "warmup-ratio", 0.5)
    if "weight-decay" in given:
        found["weight_decay"] = _number(given, "weight-decay", 1.0)
    if "lr-scheduler-type" in given:
        found["lr_scheduler_type"] = _schedule(given["lr-scheduler-type"])
    if "seed" in given:
        found["seed"] = _whole(given, "seed", 0, MOST_SEED)
    if "max-seq-length" in given:
        found["max_length"] = _whole(given, "max-seq-length", SHORTEST_ROW, max_tokens)
    return found


def _schedule(name: str) -> str:
    if name not in SCHEDULES:
        raise _bad("lr-scheduler-type", f"must be one of {', '.join(SCHEDULES)}")
    return name


def _number(given: Mapping[str, str], key: str, most: float) -> float:
    try:
        value = float(given[key])
    except ValueError:
        value = math.nan
    if not 0 <= value <= most:
        raise _bad(key, f"must be a number from 0 to {most:g}, such as 5e-2")
    return value


def _whole(given: Mapping[str, str], key: str, low: int, most: int) -> int:
    text = given[key]
    if not (len(text) < 12 and text.isascii() and text.isdigit() and low <= int(text) <= most):
        raise _bad(key, f"must be a whole number from {low} to {most}")
    return int(text)


def _bad(key: str, what: str) -> ApiError:
    return invalid(f"The label {PREFIX}{key} {what}.", f"labels.{PREFIX}{key}")

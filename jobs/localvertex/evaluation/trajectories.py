"""Whether an agent took the right steps: the tools that it called with what, beside those of a reference."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeAlias

Steps: TypeAlias = Sequence[tuple[str, str]]


def read_steps(trajectory: Any) -> Steps:
    """Of Google's message. Inputs that are JSON are compared as such."""
    return [(call.tool_name, _normalize(call.tool_input)) for call in trajectory.tool_calls]


def score_exact(said: Steps, wanted: Steps) -> float:
    return float(said == wanted)


def score_in_order(said: Steps, wanted: Steps) -> float:
    """Others may be in between."""
    left = iter(said)
    return float(all(step in left for step in wanted))


def score_any_order(said: Steps, wanted: Steps) -> float:
    return float(Counter(wanted) <= Counter(said))


def score_precision(said: Steps, wanted: Steps) -> float:
    return _measure_share(said, wanted)


def score_recall(said: Steps, wanted: Steps) -> float:
    return _measure_share(wanted, said)


def score_single_use(said: Steps, tool: str) -> float:
    return float(any(name == tool for name, _ in said))


def _measure_share(of: Steps, among: Steps) -> float:
    there = set(among)
    return sum(step in there for step in of) / len(of) if of else 0.0


def _normalize(text: str) -> str:
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except (ValueError, RecursionError):
        return text

"""What the local Vertex AI tells of its memory. It comes from outside: whatever is no size in bytes is not taken."""

import json
from typing import Any

from jobs.vertex.machine import Memory, TrainingMemory

MOST_BYTES = 2**60
MOST_ENTRIES = 40


def parse_memory(text: str) -> Memory | None:
    """None for what does not tell what is free."""
    try:
        told = json.loads(text or "{}")
        training = told.get("training") or {}
        return Memory(
            free=_size(told["free"]),
            room=_size(told["room"]),
            contexts=_sizes(told.get("contexts") or {}),
            precisions={
                str(kind): _sizes(found) for kind, found in list((told.get("precisions") or {}).items())[:MOST_ENTRIES]
            },
            batch=_size(training.get("batch", 1)),
            modes={
                str(mode): _mode(found) for mode, found in list((training.get("modes") or {}).items())[:MOST_ENTRIES]
            },
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _mode(told: dict[str, Any]) -> TrainingMemory:
    sizes = {name: _size(told[name]) for name in ("fixed", "rank", "saving", "step", "answer")}
    return TrainingMemory(rows=_sizes(told["rows"]), **sizes)


def _sizes(told: dict[str, Any]) -> dict[int, int]:
    """By tokens, the fewest first."""
    if len(told) > MOST_ENTRIES:
        raise ValueError("Nobody tells so many sizes.")
    return dict(sorted((_size(int(tokens)), _size(size)) for tokens, size in told.items()))


def _size(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_BYTES:
        raise ValueError(f"{value!r} is no size.")
    return value

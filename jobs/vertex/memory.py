"""What the local Vertex AI tells of its memory. It comes from outside: whatever is no size in bytes is not taken."""

import json
from typing import Any

from jobs.text.printable import printable
from jobs.vertex.machine import Memory, TrainingMemory

MOST_BYTES = 2**60
MOST_ENTRIES = 40
MOST_CARDS, MOST_CHARACTERS = 16, 80
SIZES = ("fixed", "rank", "saving", "step", "answer")
# What a server of another version does not tell is none.
OPTIONAL_SIZES = ("mask", "even_mask", "shown", "image", "image_tokens", "free")


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
            batch=_count(training.get("batch", 1)),
            modes=_modes(training.get("modes")),
            with_images=_modes(training.get("with_images")),
            cards=tuple(_name(card) for card in list(told.get("cards") or ())[:MOST_CARDS]),
            room_on_cards=_size(told.get("room_on_cards", 0)),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _modes(told: dict[str, Any] | None) -> dict[str, TrainingMemory]:
    return {str(mode): _mode(found) for mode, found in list((told or {}).items())[:MOST_ENTRIES]}


def _mode(told: dict[str, Any]) -> TrainingMemory:
    sizes = {name: _size(told[name]) for name in SIZES} | {name: _size(told.get(name, 0)) for name in OPTIONAL_SIZES}
    card, too_small = (_name(told.get(name, "")) for name in ("card", "too_small"))
    is_padded = told.get("padded") is True
    return TrainingMemory(rows=_sizes(told["rows"]), padded=is_padded, card=card, too_small=too_small, **sizes)


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no name.")
    return printable(value[:MOST_CHARACTERS])


def _sizes(told: dict[str, Any]) -> dict[int, int]:
    """By tokens, the fewest first."""
    if len(told) > MOST_ENTRIES:
        raise ValueError("Nobody tells so many sizes.")
    return dict(sorted((_count(int(tokens)), _size(size)) for tokens, size in told.items()))


def _count(value: Any) -> int:
    if not _size(value):
        raise ValueError("None of what is there.")
    return int(value)


def _size(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_BYTES:
        raise ValueError(f"{value!r} is no size.")
    return value

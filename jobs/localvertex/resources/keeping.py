"""What is kept of a request: all that was asked for. What is not kept is refused, or set by the server only."""

from collections.abc import Collection, Iterator
from typing import Any, TypeVar

from google.protobuf.message import Message as RawMessage
from proto import Message as PlusMessage

from jobs.localvertex.api.behaviours import children_of, is_output_only
from jobs.localvertex.api.errors import invalid
from jobs.localvertex.api.wire import raw

Plus = TypeVar("Plus", bound=PlusMessage)


def keep_asked(wanted: Plus, **ours: Any) -> Plus:
    """A new resource: `wanted` without what only the server sets, and `ours`. Google ignores the former (AIP-203)."""
    kept: Plus = type(wanted)(wanted)
    _clear_outputs(raw(kept))
    if "etag" in raw(kept).DESCRIPTOR.fields_by_name:
        raw(kept).ClearField("etag")
    for name, value in ours.items():
        setattr(kept, name, value)
    return kept


def refuse_others(message: PlusMessage, known: Collection[str], where: str = "") -> None:
    """Raises INVALID_ARGUMENT for the first field that was sent and is not `known`: it would have no effect. Paths
    such as `generation_config.seed` are known by themselves, with what is below them."""
    for path in _list_given(raw(message), ""):
        if not any(f"{path}.".startswith(f"{one}.") for one in known):
            field = f"{where}{path}"
            raise invalid(f"{field} is not supported by this server: leave it out.", field)


def refuse_changes(given: PlusMessage, stored: PlusMessage, changeable: Collection[str], where: str) -> None:
    """Raises INVALID_ARGUMENT for the first field that was sent, differs from the stored one, is not `changeable`."""
    ours, theirs = raw(stored), raw(given)
    for found, value in theirs.ListFields():
        if found.name not in changeable and not is_output_only(found) and value != getattr(ours, found.name):
            field = f"{where}{found.name}"
            raise invalid(f"{field} cannot be updated. What can: {', '.join(sorted(changeable))}.", field)


def _list_given(message: RawMessage, above: str) -> Iterator[str]:
    """The ends of what was sent: values, lists and maps, and empty messages."""
    for found, value in message.ListFields():
        path = f"{above}{found.name}"
        inner = children_of(found, value)
        if len(inner) == 1 and not found.is_repeated and inner[0].ListFields():
            yield from _list_given(inner[0], f"{path}.")
        else:
            yield path


def _clear_outputs(message: RawMessage) -> None:
    for found, value in message.ListFields():
        if is_output_only(found):
            message.ClearField(found.name)
        else:
            for child in children_of(found, value):
                _clear_outputs(child)

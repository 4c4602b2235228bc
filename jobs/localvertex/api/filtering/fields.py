"""Paths of fields in a message: what is there, for filters and orders. An unknown field is refused, not empty."""

from dataclasses import dataclass
from typing import Any, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message as RawMessage
from proto import Message as PlusMessage

from jobs.localvertex.api.easing import field_named
from jobs.localvertex.api.errors import invalid
from jobs.localvertex.api.filtering.expressions import segments
from jobs.localvertex.api.wire import descriptor_of

Kind: TypeAlias = type[PlusMessage | RawMessage]
TEXT, NUMBER, FLAG, TIME, ENUM, MANY = "text", "number", "flag", "time", "enum", "many"
NAMED_BY_KIND = ("Endpoint", "Model")
_FREE = ("google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.Any")
_FORMS = {
    FieldDescriptor.TYPE_STRING: TEXT,
    FieldDescriptor.TYPE_BYTES: TEXT,
    FieldDescriptor.TYPE_BOOL: FLAG,
    FieldDescriptor.TYPE_ENUM: ENUM,
}


@dataclass(frozen=True)
class Path:
    """`keys` lead through the JSON of a message to a value of the `form`; with `last`, to the end of a name."""

    keys: tuple[str, ...]
    form: str = TEXT
    names: frozenset[str] = frozenset()
    last: bool = False

    def value(self, body: Any) -> Any:
        for key in self.keys:
            body = body.get(key) if isinstance(body, dict) else None
        return body.rpartition("/")[2] if self.last and isinstance(body, str) else body


@dataclass(frozen=True)
class _Place:
    """`message` can be gone into by its fields, what is `free` by any key."""

    key: str
    form: str = TEXT
    message: Descriptor | None = None
    free: bool = False
    names: frozenset[str] = frozenset()

    def inside(self, part: str) -> "_Place | None":
        if self.free:
            return _Place(part, free=True)
        found = field_named(self.message, part)
        return None if found is None else _place(found)


def resolve_path(kind: Kind, path: str, field: str) -> Path:
    """Raises INVALID_ARGUMENT about `field` of the request when there is no such path. As Google has it, the id of an
    endpoint is called `endpoint` and that of a model `model`."""
    parts = segments(path)
    if kind.__name__ in NAMED_BY_KIND and parts == [kind.__name__.lower()]:
        return Path(("name",), last=True)
    here: _Place | None = _Place("", message=descriptor_of(kind))
    keys = []
    for part in parts:
        here = here.inside(part) if here else None
        keys.append(here.key if here else "")
    if here is None or not keys:
        raise invalid(f"Unknown field {path!r} of a {kind.__name__}.", field)
    return Path(tuple(keys), here.form, here.names)


def _place(found: FieldDescriptor) -> _Place:
    key = found.json_name
    if found.type == FieldDescriptor.TYPE_MESSAGE:
        inner = found.message_type
        if inner.full_name == "google.protobuf.Timestamp":
            return _Place(key, TIME)
        if inner.full_name in _FREE or inner.GetOptions().map_entry:
            return _Place(key, MANY, free=True)
        return _Place(key, MANY, message=None if found.is_repeated else inner)
    if found.is_repeated:
        return _Place(key, MANY)
    names = found.enum_type.values_by_name if found.type == FieldDescriptor.TYPE_ENUM else ()
    return _Place(key, _FORMS.get(found.type, NUMBER), names=frozenset(names))

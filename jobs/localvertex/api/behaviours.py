"""What Google documents of each field of a message, in its own package: required, or set by the server only.

These are the texts of classes, which `python -OO` takes away: then nothing is required and all is kept."""

import importlib
import inspect
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message as RawMessage

from jobs.localvertex.api.errors import invalid

REQUIRED, OUTPUT_ONLY = "Required", "Output only"
# Google's clients leave these out: a variable may be empty, and a change of replicas says nothing of machines.
ALSO_EMPTY = ("EnvVar.value", "DedicatedResources.machine_spec")
_TELLING = (FieldDescriptor.CPPTYPE_STRING, FieldDescriptor.CPPTYPE_ENUM, FieldDescriptor.CPPTYPE_MESSAGE)
_PACKAGE = re.compile(r"google\.cloud\.aiplatform\.(v1|v1beta1)\.(.+)")
_ATTRIBUTE = re.compile(r"^ {4}(\w+) \(.*\):\n\s+(.*(?:\n {8}.*)?)", re.MULTILINE)
_WORD = re.compile(rf"\s*({REQUIRED}|{OUTPUT_ONLY}|Optional|Immutable|Input only|Identifier|Deprecated)\.(?:\s|$)")


@cache
def behaviours_of(message: Descriptor) -> Mapping[str, frozenset[str]]:
    """By the field's name. Empty for messages of other packages, whose texts say nothing of it."""
    kind = _kind_of(message)
    text = inspect.getdoc(kind) or "" if kind else ""
    return {name: frozenset(_words(words)) for name, words in _ATTRIBUTE.findall(text)}


def is_required(found: FieldDescriptor) -> bool:
    return REQUIRED in behaviours_of(found.containing_type).get(found.name, ())


def is_output_only(found: FieldDescriptor) -> bool:
    return OUTPUT_ONLY in behaviours_of(found.containing_type).get(found.name, ())


def children_of(found: FieldDescriptor, value: Any) -> list[RawMessage]:
    """The messages that a field holds, one or many, those of a map too."""
    if found.type != FieldDescriptor.TYPE_MESSAGE:
        return []
    if found.message_type.GetOptions().map_entry:
        inner = found.message_type.fields_by_name["value"]
        return list(value.values()) if inner.type == FieldDescriptor.TYPE_MESSAGE else []
    return list(value) if found.is_repeated else [value]


def _words(text: str) -> Iterator[str]:
    text = " ".join(text.split())
    while found := _WORD.match(text):
        yield found[1]
        text = text[found.end() :]


def _kind_of(message: Descriptor) -> Any:
    found = _PACKAGE.fullmatch(message.full_name)
    if found is None:
        return None
    kind = importlib.import_module(f"google.cloud.aiplatform_{found[1]}.types")
    for part in found[2].split("."):
        kind = getattr(kind, part, None)  # type: ignore[assignment]
    return kind


def check_required(
    message: RawMessage, where: str = "", but: Collection[str] = (), changed: Collection[str] = ()
) -> None:
    """Raises INVALID_ARGUMENT for the first field that must be there and is not, where zero is no value of its own.
    `but`: fields of `message` itself that may be missing. `changed`: its fields that say only what is to change."""
    for one in message.DESCRIPTOR.fields:
        if one.name not in but and _must_be_given(one) and not _has(message, one):
            field = f"{where}{one.name}"
            raise invalid(f"The {field} field is required.", field)
    for found, value in message.ListFields():
        for number, child in enumerate(children_of(found, value)):
            place = f"[{number}]" if isinstance(value, Sequence) else ""
            free = child.DESCRIPTOR.fields_by_name if found.name in changed else ()
            check_required(child, f"{where}{found.name}{place}.", free)


def _must_be_given(found: FieldDescriptor) -> bool:
    """Numbers and flags can be zero, and JSON leaves zeros out."""
    asked = found.cpp_type in _TELLING or found.is_repeated
    return asked and is_required(found) and f"{found.containing_type.name}.{found.name}" not in ALSO_EMPTY


def _has(message: RawMessage, found: FieldDescriptor) -> bool:
    return message.HasField(found.name) if found.has_presence else bool(getattr(message, found.name))

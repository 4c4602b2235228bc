"""Values that Google takes and the protobuf library does not: flags and numbers of enums in quotes, names of enums in
small letters, masks with underscores."""

import re
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

MASK = "google.protobuf.FieldMask"
_FLAGS = {"true": True, "false": False}


def ease(body: Any, descriptor: Descriptor) -> Any:
    """The same body with such values in the library's form. What is wrong stays as it is, to be refused by it."""
    if not isinstance(body, dict) or descriptor.full_name.startswith("google.protobuf."):
        return body
    return {key: _ease_field(value, field_named(descriptor, key)) for key, value in body.items()}


def to_camel(paths: str) -> str:
    """A mask may be written either way; its JSON form has no underscores."""
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), paths)


def find_fraction(body: Any, descriptor: Descriptor | None, above: str = "") -> str:
    """The path of an enum that is given as 1.5, which the library would round; empty when none is."""
    for key, value in body.items() if isinstance(body, dict) and descriptor else ():
        found = field_named(descriptor, key)
        path = f"{above}{found.name if found else key}"
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict) and found and (inner := find_fraction(one, found.message_type, f"{path}.")):
                return inner
            if isinstance(one, float) and found and found.enum_type and not one.is_integer():
                return path
    return ""


def field_named(descriptor: Descriptor | None, name: str) -> FieldDescriptor | None:
    if descriptor is None:
        return None
    return next((f for f in descriptor.fields if name in (f.name, f.json_name)), None)


def _ease_field(value: Any, found: FieldDescriptor | None) -> Any:
    if found is None:
        return value
    if found.message_type is not None and found.message_type.GetOptions().map_entry:
        inner = found.message_type.fields_by_name["value"]
        return {key: _ease_one(one, inner) for key, one in value.items()} if isinstance(value, dict) else value
    if found.is_repeated:
        return [_ease_one(one, found) for one in value] if isinstance(value, list) else value
    return _ease_one(value, found)


def _ease_one(value: Any, found: FieldDescriptor) -> Any:
    if found.type == FieldDescriptor.TYPE_MESSAGE and found.message_type.full_name == MASK:
        return to_camel(value) if isinstance(value, str) else value
    if found.type == FieldDescriptor.TYPE_MESSAGE:
        return ease(value, found.message_type)
    if found.type == FieldDescriptor.TYPE_BOOL and isinstance(value, str):
        return _FLAGS.get(value, value)
    if found.type == FieldDescriptor.TYPE_ENUM and isinstance(value, str):
        return _ease_enum(value, found.enum_type)
    return value


def _ease_enum(value: str, kind: EnumDescriptor) -> Any:
    name = value.upper().replace("-", "_")
    if name in kind.values_by_name:
        return name
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 10 else value

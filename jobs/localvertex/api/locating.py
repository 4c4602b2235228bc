"""Where in a body the wrong value is: the protobuf library names the innermost field only, Google the whole path."""

import json
import re
from typing import Any

from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from jobs.localvertex.api.easing import field_named
from jobs.localvertex.api.errors import ApiError, invalid

_GOOGLES = "google.protobuf."
_TYPES = {number: name for name, number in vars(FieldDescriptor).items() if name.startswith("TYPE_")}
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/_-]{4})*(?:[A-Za-z0-9+/_-]{2}(?:==)?|[A-Za-z0-9+/_-]{3}=?)?")
LONGEST_SHOWN = 100


def find_wrong_value(body: Any, descriptor: Descriptor, above: str) -> ApiError | None:
    """The first value that its field cannot hold. `above` is the path of the body. Unknown fields are left out."""
    for key, value in body.items() if isinstance(body, dict) else ():
        found = field_named(descriptor, key)
        if found is not None and value is not None and (wrong := _check(found, key, value, above)):
            return wrong
    return None


def find_dropped_value(body: Any, descriptor: Descriptor | None, above: str) -> ApiError | None:
    """The first value that the library takes and forgets: an empty list or text where a message belongs, or bytes that
    are not in base64."""
    for key, value in body.items() if isinstance(body, dict) and descriptor else ():
        found = field_named(descriptor, key)
        if found is None or value is None or (found.message_type and found.message_type.GetOptions().map_entry):
            continue
        path = join(above, found.name)
        for number, one in enumerate(value) if found.is_repeated and isinstance(value, list) else [(None, value)]:
            where = path if number is None else f"{path}[{number}]"
            if _is_dropped(found, one):
                return _check(found, key, value, above) or _wrong(found, one, where)
            if inner := find_dropped_value(one, found.message_type, where):
                return inner
    return None


def _is_dropped(found: FieldDescriptor, value: Any) -> bool:
    if found.type == FieldDescriptor.TYPE_BYTES:
        return isinstance(value, str) and not _BASE64.fullmatch(value)
    kind = found.message_type
    return kind is not None and not kind.full_name.startswith(_GOOGLES) and not isinstance(value, dict)


def join(above: str, name: str) -> str:
    return f"{above}.{name}" if above else name


def _check(found: FieldDescriptor, key: str, value: Any, above: str) -> ApiError | None:
    path = join(above, found.name)
    if found.message_type is not None and found.message_type.GetOptions().map_entry:
        return _check_map(found, value, path)
    if not found.is_repeated:
        if isinstance(value, list) and not _takes_lists(found):
            at = f" at '{above}'" if above else ""
            message = f'Unknown name "{key}"{at}: Proto field is not repeating, cannot start list.'
            return invalid(f"Invalid JSON payload received. {message}", path)
        return _check_one(found, value, path)
    if not isinstance(value, list):
        return _wrong(found, value, path)
    checked = (_check_one(found, one, f"{path}[{number}]") for number, one in enumerate(value))
    return next((wrong for wrong in checked if wrong), None)


def _check_map(found: FieldDescriptor, value: Any, path: str) -> ApiError | None:
    if not isinstance(value, dict):
        return _wrong(found, value, path)
    inner = found.message_type.fields_by_name["value"]
    checked = (_check_one(inner, one, f"{path}[{number}].value") for number, one in enumerate(value.values()))
    return next((wrong for wrong in checked if wrong), None)


def _check_one(found: FieldDescriptor, value: Any, path: str) -> ApiError | None:
    kind = found.message_type
    if kind is not None and not kind.full_name.startswith(_GOOGLES):
        return find_wrong_value(value, kind, path) if isinstance(value, dict) else _wrong(found, value, path)
    return None if _fits(found, value) else _wrong(found, value, path)


def _fits(found: FieldDescriptor, value: Any) -> bool:
    """Whether the library takes it, in a message that has this value only."""
    message = message_factory.GetMessageClass(found.containing_type)()
    single = [value] if found.is_repeated else value
    try:
        json_format.ParseDict({found.json_name: single}, message)
    except (json_format.ParseError, RecursionError, OverflowError, ValueError, TypeError, AttributeError):
        return False
    return value is not None


def _takes_lists(found: FieldDescriptor) -> bool:
    return found.message_type is not None and found.message_type.full_name in (
        f"{_GOOGLES}ListValue", f"{_GOOGLES}Value",
    )  # fmt: skip


def _wrong(found: FieldDescriptor, value: Any, path: str) -> ApiError:
    kind = found.message_type or found.enum_type
    named = f"type.googleapis.com/{kind.full_name}" if kind else _TYPES[found.type]
    shown = json.dumps(value, ensure_ascii=False, default=str)
    shown = shown if len(shown) <= LONGEST_SHOWN else f"{shown[:LONGEST_SHOWN]}…"
    return invalid(f"Invalid value at '{path}' ({named}), {shown}", path)

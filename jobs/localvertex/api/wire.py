"""JSON on the wire ↔ the real protobuf messages of Vertex AI."""

import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, TypeVar

from google.longrunning import operations_proto_pb2 as operations_pb2
from google.protobuf import any_pb2, json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message as RawMessage
from proto import Message as PlusMessage

from jobs.localvertex.api.easing import MASK, ease, field_named, find_fraction, to_camel
from jobs.localvertex.api.errors import ApiError, invalid
from jobs.localvertex.api.locating import find_dropped_value, find_wrong_value

Json = dict[str, Any]
Plus = TypeVar("Plus", bound=PlusMessage)
AnyMessage = TypeVar("AnyMessage", bound=PlusMessage | RawMessage)
Operation = operations_pb2.Operation

_UNKNOWN = re.compile(r'has no field named "(?P<name>[^"]*)" at "(?P<path>[^"]*)"')
_FIELD = re.compile(r"Failed to parse (\w+) field: ")
_SYSTEM_QUERY = {
    "alt", "key", "fields", "prettyPrint", "quotaUser", "callback", "access_token", "oauth_token", "uploadType",
    "upload_protocol",
}  # fmt: skip


def now() -> datetime:
    return datetime.now(UTC)


def raw(message: PlusMessage | RawMessage) -> Any:
    return type(message).pb(message) if isinstance(message, PlusMessage) else message


def render(message: PlusMessage | RawMessage, *, enums_as_ints: bool = False) -> Json:
    body: Json = json_format.MessageToDict(raw(message), use_integers_for_enums=enums_as_ints)
    return body


def load(kind: type[AnyMessage], body: Json) -> AnyMessage:
    """Trusts `body`, which this server wrote itself; unknown fields of an older version are dropped."""
    if issubclass(kind, PlusMessage):
        plus: AnyMessage = kind.wrap(json_format.ParseDict(body, kind.pb()(), ignore_unknown_fields=True))
        return plus
    message: AnyMessage = json_format.ParseDict(body, kind(), ignore_unknown_fields=True)
    return message


def parse(kind: type[Plus], body: object) -> Plus:
    """A message from JSON of a stranger. Raises INVALID_ARGUMENT that names the field."""
    if not isinstance(body, dict):
        raise invalid("Invalid JSON payload received. The request body must be a JSON object.")
    message = kind.pb()()
    root = "" if kind.__name__.endswith("Request") else snake(kind.__name__)
    try:
        if fraction := find_fraction(body, message.DESCRIPTOR):
            raise invalid(f"Invalid JSON payload received. Invalid value at '{fraction}' (TYPE_ENUM).", fraction)
        try:
            json_format.ParseDict(body, message)
        except json_format.ParseError:
            body = ease(body, message.DESCRIPTOR)
            message = json_format.ParseDict(body, kind.pb()())
    except json_format.ParseError as error:
        wrong = find_wrong_value(body, message.DESCRIPTOR, root)
        raise wrong or _explain(str(error), root) from None
    except (RecursionError, OverflowError, ValueError, TypeError, AttributeError) as error:
        raise invalid(f"Invalid JSON payload received. {error}") from None
    if dropped := find_dropped_value(body, message.DESCRIPTOR, root):
        raise dropped
    _refuse_unknown_enums(message, "")
    parsed: Plus = kind.wrap(message)
    return parsed


def parse_query(kind: type[Plus], pairs: list[tuple[str, str]], fixed: Json) -> Plus:
    """A request message from the query string and from what the path said."""
    body: Json = {}
    for key, value in own(pairs):
        _put(body, descriptor_of(kind), key, value)
    return parse(kind, body | fixed)


def own(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of a query string, what is not for Google's front end."""
    return [(key, value) for key, value in pairs if not key.startswith("$") and key not in _SYSTEM_QUERY]


def refuse_query(pairs: list[tuple[str, str]], known: Collection[str] = ()) -> None:
    """Whatever the call does not read, by names in snake case."""
    for key, _ in own(pairs):
        if snake(key) not in known:
            raise _unbound(key)


def pack(message: PlusMessage | RawMessage) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(raw(message))
    return packed


def descriptor_of(kind: type[PlusMessage | RawMessage]) -> Descriptor:
    found: Descriptor = kind.pb().DESCRIPTOR if issubclass(kind, PlusMessage) else kind.DESCRIPTOR
    return found


def with_whole_numbers(value: Any) -> Any:
    """In a free structure every number is a double, and counts come as 1.0."""
    if isinstance(value, dict):
        found: Json = {key: with_whole_numbers(one) for key, one in value.items()}
        return found
    if isinstance(value, list):
        return [with_whole_numbers(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _unbound(key: str) -> ApiError:
    return invalid(f'Invalid JSON payload received. Unknown name "{key}": Cannot bind query parameter.', key)


def _put(body: Json, descriptor: Descriptor, key: str, value: str) -> None:
    head, _, rest = key.partition(".")
    found = field_named(descriptor, head)
    if found is None:
        raise _unbound(key)
    if rest:
        _put(body.setdefault(found.json_name, {}), found.message_type, rest, value)
    elif found.is_repeated:
        body.setdefault(found.json_name, []).append(value)
    elif found.message_type and found.message_type.full_name == MASK:
        body[found.json_name] = to_camel(value)
    elif found.type == FieldDescriptor.TYPE_BOOL:
        body[found.json_name] = {"true": True, "false": False}.get(value.lower(), value)
    else:
        body[found.json_name] = int(value) if _is_enum_number(found, value) else value


def _is_enum_number(found: FieldDescriptor, value: str) -> bool:
    return bool(found.type == FieldDescriptor.TYPE_ENUM and value.isdecimal())


def _explain(text: str, root: str) -> ApiError:
    if unknown := _UNKNOWN.search(text):
        inner = unknown["path"].split(".")[1:]
        path = ".".join([*([root] if root else []), *map(snake, inner)])
        at = f" at '{path}'" if path else ""
        message = f'Invalid JSON payload received. Unknown name "{unknown["name"]}"{at}: Cannot find field.'
        return invalid(message, ".".join([*inner, unknown["name"]]))
    fields = _FIELD.findall(text)
    reason = re.sub(r" at [A-Z][\w.]*\.*$", "", _FIELD.sub("", text)).strip(" .\n")
    where = ".".join(snake(name) for name in fields)
    at = f" at '{where}'" if where else ""
    return invalid(f"Invalid JSON payload received. Invalid value{at}: {reason}.", where)


def _refuse_unknown_enums(message: RawMessage, path: str) -> None:
    for found, value in message.ListFields():
        where = f"{path}{found.name}"
        if found.type == FieldDescriptor.TYPE_ENUM:
            _check_enum(found, value, where)
        elif found.type == FieldDescriptor.TYPE_MESSAGE and not found.message_type.GetOptions().map_entry:
            for child in value if found.is_repeated else [value]:
                _refuse_unknown_enums(child, f"{where}.")


def _check_enum(found: FieldDescriptor, value: Any, where: str) -> None:
    for number in value if found.is_repeated else [value]:
        if number not in found.enum_type.values_by_number:
            kind = found.enum_type.full_name
            raise invalid(f"Invalid value at '{where}' (type.googleapis.com/{kind}), {number}", where)


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()

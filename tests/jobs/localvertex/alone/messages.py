"""Every field of a request message, one by one, and a value for it that is right by its type and by Google's texts."""

from collections.abc import Iterator
from typing import Any

from google.cloud import aiplatform_v1beta1 as vertex
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from jobs.localvertex.api.behaviours import is_output_only, is_required
from jobs.localvertex.grpc_api.methods import camel
from tests.jobs.localvertex.servers import BUCKET, PARENT

MAX_DEPTH = 7
Path = tuple[FieldDescriptor, ...]
FREE = {  # messages with a JSON of their own
    "google.protobuf.Timestamp": "2026-01-02T03:04:05Z",
    "google.protobuf.Duration": "61s",
    "google.protobuf.FieldMask": "displayName",
    "google.protobuf.Struct": {"sent": "sent-alone"},
    "google.protobuf.Value": "sent-alone",
    "google.protobuf.Any": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "61s"},
    "google.protobuf.ListValue": ["sent-alone"],
}
_NUMBERS = {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT32}
_REALS = {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}
# by name, for texts that have a form
TEXTS = {
    "kms_key_name": f"{PARENT}/keyRings/r/cryptoKeys/k",
    "labels": {"sent": "alone"},
    "system_labels": {"sent": "alone"},
    "etag": "sent-alone",
    "machine_type": "n1-standard-4",
    "tuning_mode": "TUNING_MODE_FULL",
    "gcs_uri": f"gs://{BUCKET}/not-there",
    "version_aliases": ["sent-alone"],
    "public_model_name": "publishers/local/models/tiny",
    "output_uri_prefix": f"gs://{BUCKET}/sent-alone",
    "uris": [f"gs://{BUCKET}/sent-alone"],
}


def request_of(method: str, package: Any = vertex) -> Descriptor:
    found: Descriptor = getattr(package.types, f"{camel(method)}Request").pb().DESCRIPTOR
    return found


def paths(message: Descriptor, depth: int = MAX_DEPTH, above: Path = ()) -> Iterator[Path]:
    """Each message is gone into once on the way down: one that holds itself is not gone into again."""
    for found in message.fields:
        path = (*above, found)
        yield path
        inner = found.message_type
        if is_message(found) and len(path) < depth and inner not in [one.message_type for one in above]:
            yield from paths(inner, depth, path)


def is_message(found: FieldDescriptor) -> bool:
    """One that has fields which can be sent by their names."""
    kind = found.message_type
    return bool(kind and not kind.GetOptions().map_entry and kind.full_name not in FREE)


def spell(path: Path) -> str:
    return ".".join(found.name for found in path)


def value_of(found: FieldDescriptor, path: Path = ()) -> Any:
    """As JSON has it; a message holds what Google says it must."""
    if f"{found.containing_type.name}.{found.name}" == "Event.artifact":
        return f"{PARENT}/metadataStores/default/artifacts/f-one"
    if found.name in TEXTS:
        return TEXTS[found.name]
    if found.message_type and found.message_type.GetOptions().map_entry:
        return {"sent": value_of(found.message_type.fields_by_name["value"], path)}
    one = _single(found, path)
    return [one] if found.is_repeated else one


def _single(found: FieldDescriptor, path: Path) -> Any:
    kind = found.message_type
    if kind:
        return FREE[kind.full_name] if kind.full_name in FREE else required_of(kind, (*path, found))
    if found.enum_type:
        return found.enum_type.values[-1].name
    if found.cpp_type in _NUMBERS or found.cpp_type == FieldDescriptor.CPPTYPE_UINT64:
        return 3
    if found.cpp_type in _REALS:
        return 0.25
    if found.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return True
    if found.type == FieldDescriptor.TYPE_BYTES:
        return "c2VudA=="
    return f"gs://{BUCKET}/sent-alone" if "uri" in found.name.split("_") or "dataset" in found.name else "sent-alone"


def required_of(kind: Descriptor, path: Path = ()) -> dict[str, Any]:
    inside = [one.message_type for one in path]
    fields = [
        one for one in kind.fields if is_required(one) and (not one.message_type or one.message_type not in inside)
    ]
    return {one.json_name: value_of(one, path) for one in fields if one.containing_oneof is None}


def with_field(body: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """`body` with that one field too. What its oneof had is away, and messages on the way hold what they must."""
    found, rest = path[0], path[1:]
    kept = {key: one for key, one in body.items() if key not in _rivals(found)}
    if not rest:
        has_more = is_message(found) and found.json_name in kept
        return {**kept, found.json_name: _filled(kept[found.json_name], value) if has_more else value}
    before = kept.get(found.json_name)
    inside = (before[0] if isinstance(before, list) else before) or required_of(found.message_type, path[:1])
    inside = with_field(inside, rest, value)
    return {**kept, found.json_name: [inside] if found.is_repeated else inside}


def _filled(before: Any, value: Any) -> Any:
    """Of a message that is there already, what it must hold is there too."""
    if isinstance(before, list) and isinstance(value, list) and before and value and isinstance(value[0], dict):
        return [_filled(before[0], value[0]), *before[1:]]
    if isinstance(before, dict) and isinstance(value, dict):
        return value | {key: _filled(one, value[key]) if key in value else one for key, one in before.items()}
    return before if isinstance(value, str) and isinstance(before, str) else value


def has_message(body: Any, path: Path) -> bool:
    """Whether a message is there already: then its fields say what it does, one by one."""
    for found in path:
        body = body[0] if isinstance(body, list) else body
        if not isinstance(body, dict) or found.json_name not in body:
            return False
        body = body[found.json_name]
    return is_message(path[-1])


def _rivals(found: FieldDescriptor) -> set[str]:
    group = found.containing_oneof
    return {one.json_name for one in group.fields if one is not found} if group else set()


def is_ignored(path: Path, method: str) -> bool:
    """By Google's rules: what only the server sets is ignored when a client sends it (AIP-203), and so are the name and
    the etag of what is still to be made (AIP-133)."""
    made = method.removeprefix("batch_").startswith(("create_", "upload_"))
    depth = 3 if method.startswith("batch_") else 2
    is_new = made and len(path) == depth and path[-1].name in ("name", "etag")
    return is_new or any(is_output_only(found) for found in path)


def leaves(content: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Each key and value of a JSON document, as text; of messages the key alone."""
    if isinstance(content, list):
        for one in content:
            yield from leaves(one, key)
    elif isinstance(content, dict):
        yield key, "{}"
        for name, one in content.items():
            yield from leaves(one, name)
    else:
        yield key, str(content)


def flat(content: Any, above: str = "") -> Iterator[tuple[str, str]]:
    """As a query string has it."""
    for name, one in content.items():
        for value in one if isinstance(one, list) else [one]:
            if isinstance(value, dict):
                yield from flat(value, f"{above}{name}.")
            else:
                yield f"{above}{name}", str(value).lower() if isinstance(value, bool) else str(value)

"""v1 beside v1beta1: the older API lacks calls and fields, and its operations wrap types of its own."""

import importlib
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any, TypeAlias, TypeVar

from google.longrunning import operations_proto_pb2 as operations_pb2
from google.protobuf import any_pb2, json_format
from google.protobuf.message import Message as RawMessage
from proto import Message as PlusMessage

from jobs.localvertex.api.wire import Operation, pack, raw, render

Message: TypeAlias = PlusMessage | RawMessage
Plus = TypeVar("Plus", bound=PlusMessage)
ALSO_V1 = ("list_publisher_models",)  # v1's client lacks it, v1's address answers
BETA = "google.cloud.aiplatform.v1beta1."


def has_call(method: str) -> bool:
    """`list_publisher_models` has no `ListPublisherModelsRequest` in v1, and so on."""
    return method in ALSO_V1 or hasattr(
        _types("v1"), "".join(word.capitalize() for word in method.split("_")) + "Request"
    )


def counterpart(kind: type[Plus]) -> type[Plus]:
    """v1's message of the same name, which lacks some fields; the same kind where v1 has none."""
    older: type[Plus] = getattr(_types("v1"), kind.__name__, kind)
    return older


def only_v1(kind: type[PlusMessage]) -> set[str]:
    """Fields that v1beta1's message of the same name lacks."""
    return set(counterpart(kind).meta.fields) - set(kind.meta.fields)


def as_v1(message: Message) -> Message:
    if isinstance(message, operations_pb2.ListOperationsResponse):
        shown = [as_v1(operation) for operation in message.operations]
        return operations_pb2.ListOperationsResponse(operations=shown, next_page_token=message.next_page_token)
    if isinstance(message, Operation):
        return _operation(message)
    older = getattr(_types("v1"), type(message).__name__, None)
    if older is None or type(message).__module__.startswith("google.protobuf"):
        return message
    body = json_format.ParseDict(render(message), older.pb()(), ignore_unknown_fields=True)
    converted: Message = older.wrap(body)
    return converted


def _operation(operation: Operation) -> Operation:
    converted = Operation()
    converted.CopyFrom(operation)
    for name in ("metadata", "response"):
        if operation.HasField(name) and getattr(operation, name).TypeName().startswith(BETA):
            getattr(converted, name).CopyFrom(_convert_any(getattr(operation, name)))
    return converted


def _convert_any(content: any_pb2.Any) -> any_pb2.Any:
    kind: Callable[[], Any] = getattr(_types("v1beta1"), content.TypeName().removeprefix(BETA)).pb()
    beta = kind()
    content.Unpack(beta)
    older = getattr(_types("v1"), content.TypeName().removeprefix(BETA), None)
    if older is None:
        return content
    return pack(raw(json_format.ParseDict(render(beta), older.pb()(), ignore_unknown_fields=True)))


@cache
def _types(version: str) -> ModuleType:
    """Read when the first such request comes: a second set of six thousand messages costs memory and a second."""
    return importlib.import_module(f"google.cloud.aiplatform_{version}.types")

"""Messages of gRPC as the HTTP requests that Google's front end would make of them, and errors as statuses."""

import importlib
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlencode

from google.api_core import path_template, rest_helpers
from google.longrunning import operations_pb2
from google.protobuf import any_pb2, json_format
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from jobs.localvertex.api.errors import CODES, ApiError, invalid
from jobs.localvertex.api.wire import Json
from jobs.localvertex.grpc_api.methods import Rpc

LONGEST_MESSAGE = 2000  # bytes; clients take 8 KB of trailers
LARGEST_STATUS = 3000
DETAILS = error_details_pb2.DESCRIPTOR  # its types are found by their names in the details of an error
JSON_TYPE = "application/json"
EVENT_END = b"\n\n"
# Of the predictions whose answers are messages.
REPLIES = {
    "predict": "PredictResponse",
    "generate_content": "GenerateContentResponse",
    "stream_generate_content": "GenerateContentResponse",
}


class Refusal(Exception):
    """In the middle of an answer."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.status = status


@dataclass(frozen=True)
class HttpRequest:
    verb: str
    path: str
    query: bytes = b""
    body: bytes = b""
    content_type: str = JSON_TYPE


def types_of(version: str) -> Any:
    return importlib.import_module(f"google.cloud.aiplatform_{version}.types")


def parse(rpc: Rpc, data: bytes) -> Any:
    """The raw message. Raises ApiError when it is none."""
    module = operations_pb2 if rpc.version == "ui" else types_of(rpc.version)
    kind = getattr(module, _streamed_name(rpc))
    try:
        return (kind.pb() if hasattr(kind, "pb") else kind).FromString(data)
    except DecodeError as error:
        raise invalid(f"The request is no {kind.__name__}: {error}") from None


def http_request(rpc: Rpc, data: bytes) -> HttpRequest:
    message = parse(rpc, data)
    return _transcode(rpc, message) if rpc.rules else _prediction(rpc, message)


def _transcode(rpc: Rpc, message: Message) -> HttpRequest:
    try:
        found = path_template.transcode(list(rpc.rules), message)  # type: ignore[no-untyped-call]
    except ValueError:
        fields = rpc.rules[0]["uri"].split("{")[1].partition("=")
        text = f"The field {fields[0]} is not of the form {fields[2].partition('}')[0]}."
        raise invalid(text, fields[0]) from None
    query = _json(found["query_params"])
    pairs = rest_helpers.flatten_query_params(query, strict=True)  # type: ignore[no-untyped-call]
    body = json.dumps(_json(found["body"])).encode() if "body" in found else b""
    return HttpRequest(found["method"], unquote(found["uri"]), urlencode(pairs).encode(), body)


def _prediction(rpc: Rpc, message: Any) -> HttpRequest:
    field = "endpoint" if "endpoint" in message.DESCRIPTOR.fields_by_name else "model"
    name = getattr(message, field)
    if not name:
        raise invalid(f"The {field} field is required.", field)
    path = f"/{rpc.version}/{name}{rpc.end}"
    if "http_body" in message.DESCRIPTOR.fields_by_name:
        sent = message.http_body
        return HttpRequest("POST", path, body=sent.data, content_type=sent.content_type or JSON_TYPE)
    body = _json(message)
    del body[field]
    return HttpRequest("POST", path, query=b"alt=sse", body=json.dumps(body).encode())


def prediction(rpc: Rpc, content: bytes) -> bytes:
    """In the chat form, `predictions` is one object; the message has a list."""
    body = json.loads(content)
    if rpc.method == "predict" and not isinstance(body.get("predictions"), list):
        body["predictions"] = [body.get("predictions")]
    kind = getattr(types_of(rpc.version), REPLIES[rpc.method])
    reply = json_format.ParseDict(body, kind.pb()(), ignore_unknown_fields=True)
    return bytes(reply.SerializeToString())


def predictions(rpc: Rpc, events: bytes) -> tuple[list[bytes], bytes]:
    """The messages of whole events, and what is left of the next one. Raises Refusal for an event that is an error."""
    *whole, rest = events.split(EVENT_END)
    found = [event.removeprefix(b"data: ") for event in whole]
    for content in found:
        if content.startswith(b'{"error"'):
            raise Refusal(status_of(content))
    return [prediction(rpc, content) for content in found], rest


def status_of(content: bytes) -> status_pb2.Status:
    """google.rpc.Status from the envelope of an HTTP answer."""
    with suppress(ValueError, TypeError, KeyError):
        error = json.loads(content)["error"]
        code = CODES.get(error["status"], CODES["INTERNAL"])[1]
        return _status(code, str(error["message"]), error.get("details", []))
    return _status(CODES["INTERNAL"][1], "Internal error encountered.", [])


def status_of_refusal(error: ApiError) -> status_pb2.Status:
    return _status(error.grpc_code, error.message, error.details)


def _status(code: int, message: str, details: list[Json]) -> status_pb2.Status:
    cut = message.encode()[:LONGEST_MESSAGE].decode(errors="ignore")
    status = status_pb2.Status(code=code, message=cut)
    for detail in details:
        with suppress(json_format.ParseError):
            status.details.append(json_format.ParseDict(detail, any_pb2.Any()))
    if status.ByteSize() > LARGEST_STATUS:
        del status.details[:]
    return status


def _json(message: Message) -> Json:
    body: Json = json_format.MessageToDict(message, use_integers_for_enums=True)
    return body


def _streamed_name(rpc: Rpc) -> str:
    others = {
        "server_streaming_predict": "StreamingPredictRequest",
        "stream_generate_content": "GenerateContentRequest",
    }
    return others.get(rpc.method, rpc.request)

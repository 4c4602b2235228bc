"""chat/completions over HTTP, streamed: GAPIC cannot stream it over REST. The other side is not trusted to behave."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from urllib.parse import urlsplit

from django.conf import settings

from jobs.text.deferred import gettext as _
from jobs.vertex.errors import Refused, Unavailable, VertexError
from jobs.vertex.sdk.watch import Watch
from jobs.vertex.values import ChatChunk, ChatRequest

from .connections import explain, open_connection
from .sse import events
from .turns import MAX_BODY, chunks, refusal

FIRST_SECONDS, IDLE_SECONDS, TOTAL_SECONDS = 60.0, 30.0, 600.0
PART = 64 * 1024
DEPLOYED_MODEL = "X-Vertex-AI-Deployed-Model-Id"
OWN_FIELDS = {"model": "", "stream": True, "stream_options": {"include_usage": True}}

_ENDPOINT = re.compile(r"projects/[a-z0-9:.-]+/locations/([a-z0-9-]+)/endpoints/[a-z0-9_-]+")
_DEDICATED = re.compile(r"[a-z0-9.-]+\.prediction\.vertexai\.goog")


class Chat:
    def __init__(
        self, *, first: float = FIRST_SECONDS, idle: float = IDLE_SECONDS, total: float = TOTAL_SECONDS
    ) -> None:
        self._first, self._idle, self._total = first, idle, total

    def stream(self, request: ChatRequest) -> "Stream":
        return Stream(request, Watch(self._first, self._idle, self._total))


class Stream:
    """A connection of its own, so that cutting it ends this stream and none of the others. It is the standard
    library's, since httpx takes three times as long for a connection and for a token."""

    def __init__(self, request: ChatRequest, watch: Watch) -> None:
        self._request, self._watch = request, watch
        self._opened = ExitStack()

    def __enter__(self) -> Iterator[ChatChunk]:
        base = _base(self._request)
        with ExitStack() as opened:
            opened.enter_context(self._watch)
            connection = opened.enter_context(closing(open_connection(base)))
            response = opened.enter_context(self._send(connection, base))
            opened.callback(self.cut)
            self._opened = opened.pop_all()
        return self._chunks(response)

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def cut(self) -> None:
        self._watch.cut()

    def _send(self, connection: HTTPConnection, base: str) -> HTTPResponse:
        url = f"{base}/v1beta1/{self._request.endpoint}/chat/completions"
        body = {**self._request.parameters, "messages": list(self._request.messages), **OWN_FIELDS}
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        with _as_errors(self._watch):
            self._watch.holds(_connect(connection, base))
            connection.request("POST", urlsplit(url).path, content, _headers(url))
            response = connection.getresponse()
            if response.status != 200:
                with response:
                    raise refusal(response.status, _beginning(response), response.getheader("Retry-After", ""))
            if response.getheader("Content-Encoding", "identity") != "identity":
                raise Unavailable(
                    _("The endpoint sent a compressed response, which the console didn't request."), "UNKNOWN"
                )
        return response

    def _chunks(self, response: HTTPResponse) -> Iterator[ChatChunk]:
        if told := response.getheader(DEPLOYED_MODEL, "")[:64]:
            yield ChatChunk(deployed_model_id=told)
        with _as_errors(self._watch):
            yield from chunks(events(_parts(response), self._watch.saw_event))


def _base(request: ChatRequest) -> str:
    """The token goes to Google's hosts only."""
    found = _ENDPOINT.fullmatch(request.endpoint)
    if found is None:
        raise Refused(_("%r is not the name of an endpoint.") % request.endpoint, "INVALID_ARGUMENT")
    if settings.VERTEX_API_ENDPOINT:
        return str(settings.VERTEX_API_ENDPOINT)
    if not request.dedicated_dns:
        return f"https://{found[1]}-aiplatform.googleapis.com"
    if not _DEDICATED.fullmatch(request.dedicated_dns):
        raise Refused(_("%r is not a host of Vertex AI.") % request.dedicated_dns, "INVALID_ARGUMENT")
    return f"https://{request.dedicated_dns}"


def _headers(url: str) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream", "Accept-Encoding": "identity"}
    if settings.VERTEX_API_ENDPOINT:
        return headers
    from jobs.vertex.sdk.clients import authorise  # noqa: PLC0415  # Google's clients are wanted only where a token is

    return authorise(url) | headers


def _connect(connection: HTTPConnection, base: str) -> socket.socket:
    try:
        connection.connect()
    except TimeoutError:
        raise
    except OSError as error:
        raise explain(error, base) from error
    return connection.sock


def _parts(response: HTTPResponse) -> Iterator[bytes]:
    """What there is, as soon as there is something."""
    return iter(lambda: response.read1(PART), b"")


def _beginning(response: HTTPResponse) -> bytes:
    body = b""
    for part in _parts(response):
        body += part
        if len(body) >= MAX_BODY:
            break
    return body[:MAX_BODY]


@contextmanager
def _as_errors(watch: Watch) -> Iterator[None]:
    try:
        yield
    except VertexError as error:
        raise watch.verdict() or error from None
    except TimeoutError as error:
        raise watch.verdict() or _silent() from error
    except (HTTPException, OSError) as error:
        raise watch.verdict() or _cut_off() from error


def _silent() -> Unavailable:
    return Unavailable(_("The endpoint did not answer in time. Try again in a moment."), "DEADLINE_EXCEEDED")


def _cut_off() -> Unavailable:
    return Unavailable(_("The connection to the endpoint broke before the answer was complete."), "UNAVAILABLE")

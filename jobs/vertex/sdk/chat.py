"""chat/completions over HTTP, streamed: GAPIC cannot stream it over REST. The other side is not trusted to behave."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx
from django.conf import settings

from jobs.sentences import gettext as _
from jobs.vertex.errors import Refused, Unavailable, VertexError
from jobs.vertex.port import ChatChunk, ChatRequest

from .sse import events
from .turns import MAX_BODY, chunks, refusal
from .watch import Watch

CONNECT_SECONDS, FIRST_SECONDS, IDLE_SECONDS, TOTAL_SECONDS = 10.0, 60.0, 30.0, 600.0
DEPLOYED_MODEL = "X-Vertex-AI-Deployed-Model-Id"
OWN_FIELDS = {"model": "", "stream": True, "stream_options": {"include_usage": True}}

_ENDPOINT = re.compile(r"projects/[a-z0-9:.-]+/locations/([a-z0-9-]+)/endpoints/[a-z0-9_-]+")
_DEDICATED = re.compile(r"[a-z0-9.-]+\.prediction\.vertexai\.goog")


class Chat:
    def __init__(
        self, *, first: float = FIRST_SECONDS, idle: float = IDLE_SECONDS, total: float = TOTAL_SECONDS
    ) -> None:
        self._first, self._idle, self._total = first, idle, total
        self._tls = httpx.create_ssl_context(trust_env=False)

    def stream(self, request: ChatRequest) -> "Stream":
        return Stream(request, Watch(self._first, self._idle, self._total), self._client)

    def _client(self) -> httpx.Client:
        """One connection a stream, so that cutting it ends this stream and none of the others."""
        timeout = httpx.Timeout(self._first, connect=CONNECT_SECONDS)
        return httpx.Client(verify=self._tls, timeout=timeout, trust_env=False, follow_redirects=False)


class Stream:
    def __init__(self, request: ChatRequest, watch: Watch, client: Callable[[], httpx.Client]) -> None:
        self._request, self._watch, self._client = request, watch, client
        self._opened = ExitStack()

    def __enter__(self) -> Iterator[ChatChunk]:
        url = _base(self._request) + f"/v1beta1/{self._request.endpoint}/chat/completions"
        with ExitStack() as opened:
            opened.enter_context(self._watch)
            response = self._send(opened.enter_context(self._client()), url)
            opened.callback(response.close)
            opened.callback(self.cut)
            self._opened = opened.pop_all()
        return self._chunks(response)

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def cut(self) -> None:
        self._watch.cut()

    def _send(self, client: httpx.Client, url: str) -> httpx.Response:
        body = {**self._request.parameters, "messages": list(self._request.messages), **OWN_FIELDS}
        with _as_errors(self._watch):
            outgoing = client.build_request(
                "POST", url, json=body, headers=_headers(), extensions={"trace": self._watch.trace}
            )
            response = client.send(outgoing, stream=True)
            if response.status_code != 200:
                raise refusal(response.status_code, _beginning(response), response.headers.get("Retry-After", ""))
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise Unavailable(_("The endpoint sent a compressed answer, which was not asked for."), "UNKNOWN")
        return response

    def _chunks(self, response: httpx.Response) -> Iterator[ChatChunk]:
        if told := response.headers.get(DEPLOYED_MODEL, "")[:64]:
            yield ChatChunk(deployed_model_id=told)
        with _as_errors(self._watch):
            yield from chunks(events(response.iter_raw(), self._watch.saw_event))


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


def _headers() -> dict[str, str]:
    headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
    if settings.VERTEX_API_ENDPOINT:
        return headers
    from .clients import bearer_token  # noqa: PLC0415  # Google's clients are wanted only where a token is

    return headers | {"Authorization": f"Bearer {bearer_token()}"}


def _beginning(response: httpx.Response) -> bytes:
    body = b""
    for part in response.iter_raw():
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
    except httpx.ConnectError as error:
        raise Unavailable(_("The endpoint cannot be reached."), "UNAVAILABLE") from error
    except httpx.TimeoutException as error:
        raise watch.verdict() or _silent() from error
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError) as error:
        raise watch.verdict() or _cut_off() from error


def _silent() -> Unavailable:
    return Unavailable(_("The endpoint did not answer in time. Try again in a moment."), "DEADLINE_EXCEEDED")


def _cut_off() -> Unavailable:
    return Unavailable(_("The connection to the endpoint broke before the answer was complete."), "UNAVAILABLE")

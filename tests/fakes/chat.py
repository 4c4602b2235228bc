import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from jobs.vertex.errors import NotFound, Refused, Unavailable
from jobs.vertex.values import ChatChunk, ChatRequest
from tests.fakes.base import Part, remote

if TYPE_CHECKING:
    from tests.fakes import FakeGateway


SILENCE = object()
SILENT_SECONDS = 10


class FakeStream:
    """As an answer without words it may be cut; one that is cut breaks."""

    def __init__(self, chat: "FakeChat", request: ChatRequest) -> None:
        self.chat, self.request = chat, request
        self.is_cut = threading.Event()

    def __enter__(self) -> Iterator[ChatChunk]:
        script = self.chat.script
        self.chat._open(self.request)
        parts = script.pop(0) if script else self.chat._echo(self.request)
        if parts and parts[0] is SILENCE:
            self._be_silent()
        return self._chunks(parts)

    def __exit__(self, *_: object) -> None:
        self.chat.closed += 1

    def cut(self) -> None:
        self.is_cut.set()

    def _be_silent(self) -> None:
        self.is_cut.wait(SILENT_SECONDS)
        raise Unavailable("The connection broke.", "UNAVAILABLE")

    def _chunks(self, parts: Sequence[object]) -> Iterator[ChatChunk]:
        for part in parts:
            self.chat.on_chunk()
            if part is SILENCE:
                self._be_silent()
            if isinstance(part, BaseException):
                raise part
            yield part if isinstance(part, ChatChunk) else ChatChunk(text=str(part))


class FakeChat(Part):
    """`script` is what the next answers stream: texts, chunks, errors to raise, and SILENCE until the stream is cut (as
    the first of them: no headers come). Empty: an echo of the last turn.

    `requests` holds what was asked, `closed` how many streams were left; `on_chunk` runs before each chunk.
    """

    noun = "chat"

    def __init__(self, world: "FakeGateway") -> None:
        super().__init__(world)
        self.script: list[Sequence[object]] = []
        self.requests: list[ChatRequest] = []
        self.closed = 0
        self.on_chunk: Callable[[], None] = lambda: None

    def stream(self, request: ChatRequest) -> FakeStream:
        return FakeStream(self, request)

    @remote
    def _open(self, request: ChatRequest) -> None:
        self.requests.append(request)
        endpoint = self.world.deployment.endpoints.get(request.endpoint)
        if endpoint is None:
            raise NotFound(f"The endpoint {request.endpoint} does not exist.", "NOT_FOUND")
        if not endpoint.deployed_models:
            raise Refused(f"Nothing is deployed on {request.endpoint}.", "FAILED_PRECONDITION")
        self.world.monitoring.requests.setdefault(request.endpoint, []).append((datetime.now(UTC), False, 0.1))

    def _echo(self, request: ChatRequest) -> list[str | ChatChunk]:
        words = str(request.messages[-1]["content"]).split()
        usage = {"prompt_tokens": len(words), "completion_tokens": len(words)}
        return [*(f"{word} " for word in words), ChatChunk(finish_reason="stop", usage=usage)]

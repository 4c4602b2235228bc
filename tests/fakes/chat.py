from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jobs.vertex.errors import NotFound, Refused
from jobs.vertex.port import ChatChunk, ChatRequest
from tests.fakes.base import Part, remote

if TYPE_CHECKING:
    from tests.fakes import FakeGateway


class FakeChat(Part):
    """`script` is what the next answers stream: texts, chunks, and errors to raise. Empty: an echo of the last turn.

    `requests` holds what was asked, `closed` how many streams were left; `on_chunk` runs before each chunk.
    """

    noun = "chat"

    def __init__(self, world: "FakeGateway") -> None:
        super().__init__(world)
        self.script: list[Sequence[str | ChatChunk | BaseException]] = []
        self.requests: list[ChatRequest] = []
        self.closed = 0
        self.on_chunk: Callable[[], None] = lambda: None

    @contextmanager
    def stream(self, request: ChatRequest) -> Iterator[Iterator[ChatChunk]]:
        self._open(request)
        try:
            yield self._chunks(self.script.pop(0) if self.script else self._echo(request))
        finally:
            self.closed += 1

    @remote
    def _open(self, request: ChatRequest) -> None:
        self.requests.append(request)
        endpoint = self.world.deployment.endpoints.get(request.endpoint)
        if endpoint is None:
            raise NotFound(f"The endpoint {request.endpoint} does not exist.", "NOT_FOUND")
        if not endpoint.deployed_models:
            raise Refused(f"Nothing is deployed on {request.endpoint}.", "FAILED_PRECONDITION")

    def _echo(self, request: ChatRequest) -> list[str | ChatChunk]:
        words = str(request.messages[-1]["content"]).split()
        usage = {"prompt_tokens": len(words), "completion_tokens": len(words)}
        return [*(f"{word} " for word in words), ChatChunk(finish_reason="stop", usage=usage)]

    def _chunks(self, parts: Sequence[str | ChatChunk | BaseException]) -> Iterator[ChatChunk]:
        for part in parts:
            self.on_chunk()
            if isinstance(part, BaseException):
                raise part
            yield ChatChunk(text=part) if isinstance(part, str) else part

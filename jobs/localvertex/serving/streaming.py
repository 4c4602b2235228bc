"""Answers that are sent while they are made, to a client that may leave."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.serving.upstream import EVENT_END, Upstream

Result = TypeVar("Result")
EVENTS = "text/event-stream"
DONE_EVENT = b"data: [DONE]\n\n"
USAGE_ONLY = b'"choices":[]'


class ClientLeft(Exception):
    """Nobody is there to answer."""


def build_event(content: Any) -> bytes:
    return b"data: " + json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode() + EVENT_END


def build_error_event(error: ApiError) -> bytes:
    return f"data: {json.dumps(error.envelope())}\n\n".encode()


class Streamed(Response):
    """A client who leaves ends `parts`. `close` ends what feeds them, also when nothing was ever read of them."""

    def __init__(
        self,
        parts: AsyncGenerator[bytes],
        close: Callable[[], Awaitable[None]],
        *,
        media_type: str = EVENTS,
        show_error: Callable[[ApiError], bytes] = build_error_event,
    ) -> None:
        super().__init__(media_type=media_type)
        del self.headers["content-length"]
        self._parts = parts
        self._close = close
        self._show_error = show_error
        self._ends: list[Callable[[], object]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await while_there(receive, self._write(send))
        finally:
            await self.waste()

    async def waste(self) -> None:
        await self._parts.aclose()
        await self._close()
        ends, self._ends = self._ends, []
        for tell in ends:
            tell()

    def at_end(self, tell: Callable[[], object]) -> None:
        """Once, when all was sent or the client has left."""
        self._ends.append(tell)

    async def _write(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            async for part in self._parts:
                await _say(send, part)
        except ApiError as error:
            await _say(send, self._show_error(error))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def pass_on(upstream: Upstream, *, usage: bool) -> Streamed:
    """Events as the model server sends them, byte for byte."""

    async def parts() -> AsyncGenerator[bytes]:
        async for events in upstream.events():
            kept = events if usage else [event for event in events if USAGE_ONLY not in event]
            yield b"".join(event + EVENT_END for event in kept)

    return Streamed(parts(), upstream.close)


async def while_there(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """Cancels `work` when the client closes the connection."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_wait_for_disconnect(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientLeft
        return task.result()
    finally:
        for waiting in (task, gone):
            waiting.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _say(send: Send, text: bytes) -> None:
    if text:
        await send({"type": "http.response.body", "body": text, "more_body": True})

"""One request to the application, within this process."""

import asyncio
from collections.abc import AsyncIterator, Iterable

from starlette.types import ASGIApp, Message, Scope

from jobs.localvertex.api.wire import raw
from jobs.localvertex.app import TAKE_MESSAGE
from jobs.localvertex.grpc_api.transcoding import HttpRequest
from jobs.localvertex.resources.call import Reply

WAITING = 16  # parts of an answer that nobody has taken yet; then the model waits
Headers = Iterable[tuple[str, str]]


class Gone(Exception):
    """The application closed the connection, as the fault switch makes it do."""


class Exchange:
    """`start` sends the request; `parts` is the answer's body. Left early, it tells the application of the client's
    leave, which then stops what works for it."""

    def __init__(self, request: HttpRequest, headers: Headers) -> None:
        self.code = 0
        self.content_type = ""
        self.message: bytes | None = None  # what a call answered, when it was no prediction
        self.transport = self  # as uvicorn's `send` has one, to be closed
        self._request = request
        self._headers = [("content-type", request.content_type), *headers]
        self._parts: asyncio.Queue[bytes | None] = asyncio.Queue(WAITING)
        self._begun = asyncio.Event()
        self._left = asyncio.Event()
        self._asked = self._closed = False
        self._task: asyncio.Task[None] | None = None

    async def start(self, application: ASGIApp) -> None:
        """Returns when the answer begins. Raises Gone instead of it."""
        self._task = asyncio.create_task(self._run(application))
        await self._begun.wait()
        if not self.code:
            raise Gone

    async def parts(self) -> AsyncIterator[bytes]:
        while (part := await self._parts.get()) is not None:
            if part:
                yield part
        if self._closed:
            raise Gone

    async def whole(self) -> bytes:
        return b"".join([part async for part in self.parts()])

    def leave(self) -> None:
        self._left.set()
        while not self._parts.empty():
            self._parts.get_nowait()

    def close(self) -> None:
        self._closed = True

    async def _run(self, application: ASGIApp) -> None:
        try:
            await application(self._scope(), self._receive, self._send)
        finally:
            self._begun.set()
            await self._put(None)

    def _scope(self) -> Scope:
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "2",
            "method": self._request.verb.upper(),
            "scheme": "http",
            "path": self._request.path,
            "query_string": self._request.query,
            "headers": [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in self._headers],
            TAKE_MESSAGE: self._take,
        }

    def _take(self, reply: Reply) -> None:
        self.message = raw(reply).SerializeToString()

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._request.body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.code = message["status"]
            named = {name.lower(): value for name, value in message.get("headers", [])}
            self.content_type = named.get(b"content-type", b"").decode("latin-1")
            self._begun.set()
        elif body := message.get("body", b""):
            await self._put(body)

    async def _put(self, part: bytes | None) -> None:
        if not self._left.is_set():
            await self._parts.put(part)

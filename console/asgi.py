"""The way in: caps the request body, sends `/streams/…` to the tailing app and the rest to Django in threads."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from typing import Any, Final

from a2wsgi import WSGIMiddleware
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
django: Any = get_wsgi_application()

from console import streams  # noqa: E402  settings must be loaded first
from console.middleware import SECURITY_HEADERS  # noqa: E402
from console.streams import Message, Receive, Scope, Send  # noqa: E402

THREADS: Final = 10
KILOBYTE: Final = 1024
BODY_LIMIT: Final = 64 * KILOBYTE
BODY_LIMITS: Final = {
    "/datasets/": 60 * KILOBYTE**2,
    "/tuning/drafts/": 60 * KILOBYTE**2,
    "/studio/chat/": 12 * KILOBYTE**2,
}
TOO_LARGE: Final = b"This is more than the console takes in one request. Choose a smaller file and try again."


class BodyTooLarge(OSError):
    """An OSError, because Django takes it for a broken connection and never acts on half a body."""


def body_limit(path: str) -> int:
    return next((limit for prefix, limit in BODY_LIMITS.items() if path.startswith(prefix)), BODY_LIMIT)


def declared_length(scope: Scope) -> int:
    value = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(value) if value.isdigit() else 0


async def refuse(send: Send) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
    headers += [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": TOO_LARGE})


class CappedBody:
    """`receive` and `send` of one request: counts what comes in; past the limit the only answer left is 413."""

    def __init__(self, limit: int, receive: Receive, send: Send) -> None:
        self.left, self.receive_more, self.send_on = limit, receive, send
        self.started = self.refused = False

    async def receive(self) -> Message:
        message = await self.receive_more()
        self.left -= len(message.get("body", b""))
        if self.left < 0:
            await self.refuse_once()
            raise BodyTooLarge(TOO_LARGE.decode())
        return message

    async def refuse_once(self) -> None:
        if not self.started and not self.refused:
            self.refused = True
            await refuse(self.send_on)

    async def send(self, message: Message) -> None:
        if not self.refused:
            self.started = True
            await self.send_on(message)


class Application:
    def __init__(self, pages: Any, live: streams.Streams) -> None:
        self.pages, self.live = pages, live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.lifespan(receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
        elif scope["path"].startswith("/streams/"):
            await self.live(scope, receive, send)
        else:
            await self.page(scope, receive, send)

    async def page(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = body_limit(scope["path"])
        if declared_length(scope) > limit:
            await refuse(send)
            return
        capped = CappedBody(limit, receive, send)
        await self.pages(scope, capped.receive, capped.send)

    async def lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        end_on_signal(self.live.closing)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.live.close()
        await send({"type": "lifespan.shutdown.complete"})


def end_on_signal(closing: asyncio.Event) -> None:
    """A server that stops waits for open answers before it says so; streams have to end at the signal itself."""
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)
        signal.signal(number, chained(lambda: loop.call_soon_threadsafe(closing.set), before))


def chained(first: Callable[[], object], then: Any) -> Callable[[int, Any], None]:
    def handle(number: int, frame: Any) -> None:
        first()
        if callable(then):
            then(number, frame)

    return handle


application = Application(WSGIMiddleware(django, workers=THREADS), streams.app)

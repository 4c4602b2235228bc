"""The way in: takes in bodies within limits, gives `/streams/…` to the tailing app, the rest to Django in threads."""

import asyncio
import gc
import io
import logging
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final, cast

from a2wsgi import WSGIMiddleware
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
django: Any = get_wsgi_application()

from django.conf import settings  # noqa: E402  settings must be loaded first
from django.core.handlers.asgi import ASGIRequest  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.utils import translation  # noqa: E402
from django.utils.functional import Promise  # noqa: E402
from django.utils.translation import gettext_lazy as _  # noqa: E402
from django_htmx.middleware import HtmxDetails  # noqa: E402

from console import streams  # noqa: E402
from console.http import HtmxRequest  # noqa: E402
from console.middleware import SECURITY_HEADERS, refusal  # noqa: E402
from console.proxies import TrustedProxies  # noqa: E402
from console.streams import Message, Receive, Scope, Send  # noqa: E402

THREADS: Final = 10
KILOBYTE: Final = 1024
MEGABYTE: Final = 1024 * KILOBYTE
# What is read of a body that is refused: a browser shows an answer only once it has sent everything.
DRAINED_BYTES: Final = 1024 * MEGABYTE
DRAINED_SECONDS: Final = 60
# A body may take this long altogether, and a second more for each so many bytes.
SILENT_SECONDS: Final = 30
SLOWEST_PACE: Final = 4 * KILOBYTE

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limit:
    """Bytes that one request may have, and what to do when there are more."""

    size: int
    remedy: str | Promise

    @property
    def text(self) -> str:
        size = f"{self.size // MEGABYTE} MB" if self.size >= MEGABYTE else f"{self.size // KILOBYTE} KB"
        sentence = _("This is larger than %(size)s, the most that the console takes at once.") % {"size": size}
        remedy = self.remedy % {"dataset": f"{settings.DATASET_MAX_BYTES // MEGABYTE} MB"}
        return f"{sentence} {remedy}"


BODY_LIMIT: Final = Limit(64 * KILOBYTE, _("Shorten the text and try again."))
UPLOAD_LIMIT: Final = Limit(
    60 * MEGABYTE, _("A dataset may have %(dataset)s: split the file or take fewer rows, then upload it again.")
)
BODY_LIMITS: Final = {
    "/datasets/": UPLOAD_LIMIT,
    "/tuning/drafts/": UPLOAD_LIMIT,
    "/studio/": Limit(12 * MEGABYTE, _("Shorten the text or choose smaller pictures, then send it again.")),
}


def body_limit(path: str, cookies: bytes = b"") -> Limit:
    """Only who has a session may send more than a form: whose it is, Django finds out once all of it is here."""
    if settings.SESSION_COOKIE_NAME.encode() + b"=" not in cookies:
        return BODY_LIMIT
    return next((limit for prefix, limit in BODY_LIMITS.items() if path.startswith(prefix)), BODY_LIMIT)


def header(scope: Scope, wanted: bytes) -> bytes:
    return next((value for name, value in scope["headers"] if name == wanted), b"")


def declared_length(scope: Scope) -> int:
    value = header(scope, b"content-length")
    return int(value) if value.isdigit() else 0


def has_body(scope: Scope) -> bool:
    return declared_length(scope) > 0 or bool(header(scope, b"transfer-encoding"))


def refused(scope: Scope, limit: Limit) -> HttpResponse:
    """As every refusal looks, in the language of the browser; who is asking was not found out."""
    request = cast(HtmxRequest, ASGIRequest(dict(scope), io.BytesIO()))
    request.htmx = HtmxDetails(request)
    with translation.override(translation.get_language_from_request(request)):
        response = refusal(request, limit.text, 413)
    for name, value in {**SECURITY_HEADERS, "Cache-Control": "no-store", "Connection": "close"}.items():
        response[name] = value
    response["Content-Length"] = str(len(response.content))
    return response


async def refuse(scope: Scope, limit: Limit, send: Send, receive: Receive | None = None) -> None:
    """Answers at once, and reads what is still coming before the connection is closed: else the answer is lost."""
    response = await asyncio.to_thread(refused, scope, limit)
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in response.items()]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": response.content, "more_body": True})
    if receive:
        with suppress(TimeoutError):
            await asyncio.wait_for(drain(receive), DRAINED_SECONDS)
    await send({"type": "http.response.body", "body": b""})


async def drain(receive: Receive) -> None:
    left, more = DRAINED_BYTES, True
    while more and left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        more = message.get("more_body", False)


class Gone(Exception):
    """The client left, or sends so slowly that it counts as gone."""


class TooLarge(Exception):
    pass


async def collect(receive: Receive, limit: Limit, kept: IO[bytes]) -> None:
    """All of the body, before a page's thread is taken: ten slow uploads would hold all ten of them."""
    size, more, began = 0, True, asyncio.get_running_loop().time()
    while more:
        try:
            message = await asyncio.wait_for(receive(), SILENT_SECONDS)
        except TimeoutError:
            raise Gone from None
        elapsed = asyncio.get_running_loop().time() - began
        size += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or elapsed > SILENT_SECONDS + size / SLOWEST_PACE:
            raise Gone
        if size > limit.size:
            raise TooLarge
        kept.write(message.get("body", b""))
        more = message.get("more_body", False)
    kept.seek(0)


def replay(kept: IO[bytes], receive: Receive) -> Receive:
    ended = False

    async def again() -> Message:
        nonlocal ended
        if ended:
            return await receive()
        chunk = kept.read(64 * KILOBYTE)
        ended = len(chunk) < 64 * KILOBYTE
        return {"type": "http.request", "body": chunk, "more_body": not ended}

    return again


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
        if not has_body(scope):
            await self.pages(scope, receive, send)
            return
        limit = body_limit(scope["path"], header(scope, b"cookie"))
        if declared_length(scope) > limit.size:
            await refuse(scope, limit, send, receive)
            return
        with SpooledTemporaryFile(max_size=MEGABYTE) as kept:
            try:
                await collect(receive, limit, kept)
            except TooLarge:
                await refuse(scope, limit, send, receive)
            except Gone:
                logger.info("A body for %s did not arrive; the request is dropped", scope["path"])
            else:
                await self.pages(scope, replay(kept, receive), send)

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


import_module(settings.ROOT_URLCONF)
# What is loaded now stays: looking through it for garbage would stop all pages and streams for a tenth of a second.
gc.freeze()
application = TrustedProxies(
    Application(WSGIMiddleware(django, workers=THREADS), streams.app), settings.TRUSTED_PROXIES
)

"""The way in: gives `/streams/…` to the tailing app, the rest to Django in threads; console/entrance has the limits."""

import asyncio
import io
import logging
import os
import re
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from tempfile import SpooledTemporaryFile
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
django: Any = get_wsgi_application()

from django.conf import settings  # noqa: E402  settings must be loaded first

from console import garbage, json_lines  # noqa: E402
from console.entrance import bodies, requests, static_files  # noqa: E402
from console.entrance.answers import send_answer  # noqa: E402
from console.entrance.bodies import Refused, body_limit, declared_length  # noqa: E402
from console.entrance.clients import Clients, ask  # noqa: E402
from console.entrance.limits import MEGABYTE, Account, Full, Ledger  # noqa: E402
from console.entrance.pages import Pages, watchers  # noqa: E402
from console.proxies import TrustedProxies  # noqa: E402
from console.reporter import Life  # noqa: E402
from console.web import streams  # noqa: E402
from console.web.measuring import NO_ROUTE, count_answers  # noqa: E402
from console.web.sessions import find_alive  # noqa: E402
from console.web.streams import Receive, Scope, Send, session_of  # noqa: E402

logger = logging.getLogger(__name__)
WATCHED = re.compile("/metrics|/readyz(?:/[a-z]+)?")


class Application:
    """`django`: the WSGI application."""

    def __init__(
        self, django: Any, live: streams.Streams, life: Life | None = None, ledger: Ledger | None = None
    ) -> None:
        self.ledger, self.clients, self.live, self.life = ledger or Ledger(), Clients(), live, life
        self.pages, self.watchers = Pages(django, self.ledger), watchers(django, self.ledger)
        self.files = static_files.StaticFiles()
        live.find_alive = partial(ask, find_alive)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.lifespan(receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
        elif problem := requests.why_not_serve(scope):
            answering = count_answers(send, NO_ROUTE, scope["method"])
            await streams.answer(answering, *problem, (b"connection", b"close"))
        else:
            requests.clean(scope)
            await self.serve(scope, receive, send)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if path.startswith("/streams/"):
            await self.live(scope, receive, count_answers(send, "stream", method))
        elif (path == "/healthz" or path.startswith(settings.STATIC_URL)) and static_files.is_plain(scope):
            answer = static_files.health(self.pages.work.is_hanging()) if path == "/healthz" else self.files.find(scope)
            answering = count_answers(send, "healthz" if path == "/healthz" else "static", method)
            await (send_answer(answer, receive, answering) if answer else self.page(scope, receive, send))
        else:
            await self.page(scope, receive, send)

    async def page(self, scope: Scope, receive: Receive, send: Send) -> None:
        client, refusing = self.clients.name(scope), count_answers(send, NO_ROUTE, scope["method"])
        with ExitStack() as held:
            try:
                body = await self.body(scope, client, receive, held)
                pages = self.watchers if WATCHED.fullmatch(scope["path"]) else self.pages
                person = await pages(scope, body, client, receive, send, held.close)
                self.clients.learn(session_of(scope), person)
            except Full:
                await bodies.refuse(scope, Refused(503, str(bodies.BUSY)), refusing, receive)
            except Refused as refused:
                await bodies.refuse(scope, refused, refusing, receive)
            except bodies.Gone:
                logger.info("A body for %s did not arrive; the request is dropped", scope["path"])

    async def body(self, scope: Scope, client: str, receive: Receive, held: ExitStack) -> Any:
        """The whole of it, and its length in the headers. `held` gives back what it takes."""
        length = declared_length(scope)
        if length == 0:
            return io.BytesIO()
        may_be_long = length is None or length > bodies.BODY_LIMIT.size
        is_signed_in = may_be_long and await self.clients.has_session(scope)
        limit = body_limit(scope["path"], is_signed_in)
        if length and length > limit.size:
            raise bodies.too_large(limit, is_signed_in)
        account = Account(self.ledger, client)
        held.callback(account.close)
        kept = held.enter_context(SpooledTemporaryFile(max_size=MEGABYTE))  # noqa: SIM115
        size = await bodies.collect(receive, limit, kept, account, is_signed_in)
        if length is None:
            scope["headers"] = [*scope["headers"], (b"content-length", b"%d" % size)]
        return kept

    async def lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        if self.life and (problem := await self.life.begin()):
            await send({"type": "lifespan.startup.failed", "message": problem})
            return
        logging.captureWarnings(True)
        end_on_signal(self.live.closing)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.live.close()
        if self.life:
            await self.life.end()
        await send({"type": "lifespan.shutdown.complete"})


def end_on_signal(closing: asyncio.Event) -> None:
    """A server that stops waits for open answers before it says so; streams have to end at the signal itself."""
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)
        signal.signal(number, chain_handlers(lambda: loop.call_soon_threadsafe(closing.set), before))


def chain_handlers(first: Callable[[], object], then: Any) -> Callable[[int, Any], None]:
    def handle(number: int, frame: Any) -> None:
        first()
        if callable(then):
            then(number, frame)

    return handle


json_lines.Process.kind = "web"
import_module(settings.ROOT_URLCONF)
# What is loaded now stays: looking through it for garbage would stop all pages and streams for a tenth of a second.
garbage.freeze_imported()
application = TrustedProxies(Application(django, streams.app, Life()), settings.TRUSTED_PROXIES)

"""Event streams that are open while a test does something else: the real application, in a loop of its own thread."""

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.test import Client

from console.asgi import Application
from console.web.streams import Streams

LIVE = re.compile(r'hx-sse:connect="(/streams/live\?ticket=[^"]+)"')


class Stream:
    """One connection of a browser: what it got so far."""

    def __init__(self) -> None:
        self.status, self.body, self.is_over = 0, b"", threading.Event()

    async def run(self, app: Application, address: str, session: str, method: str) -> None:
        path, _, query = address.partition("?")
        cookie = f"{settings.SESSION_COOKIE_NAME}={session}".encode()
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
        }
        try:
            await app({**scope, "headers": [(b"host", b"localhost"), (b"cookie", cookie)]}, self.receive, self.send)
        finally:
            self.is_over.set()

    async def receive(self) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")

    def wait_until_open(self) -> "Stream":
        until = time.monotonic() + 10
        while not self.body and time.monotonic() < until:
            time.sleep(0.01)
        assert (self.status, self.is_over.is_set()) == (200, False)
        return self


class Server:
    def __init__(self, url: str) -> None:
        self.loop, self.streams = asyncio.new_event_loop(), Streams(url)
        self.app = Application(None, self.streams)
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def connect(self, address: str, session: str, method: str = "GET") -> Stream:
        stream = Stream()
        asyncio.run_coroutine_threadsafe(stream.run(self.app, address, session, method), self.loop)
        return stream

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.streams.close(), self.loop).result(10)
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.05), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


@contextmanager
def serving(url: str) -> Iterator[Server]:
    server = Server(url)
    try:
        yield server
    finally:
        server.close()


def live_address(client: Client) -> str:
    """Of the stream that the dashboard opens."""
    found = LIVE.search(client.get("/").content.decode())
    assert found
    return found[1]

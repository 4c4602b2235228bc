"""Who asks how the console is hears it also while pages hang, and what is answered without Django is counted, too."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse

from console.asgi import Application
from console.entrance import limits
from console.web.streams import Streams
from jobs import telemetry

LONGEST = 3.0


@pytest.fixture(autouse=True)
def _nothing_counted():
    telemetry.shared.forget()
    yield
    telemetry.shared.forget()


class Hanging:
    """Stands for Django with a database that does not answer: a page hangs until it is let go."""

    def __init__(self, *hanging: str) -> None:
        self.hanging, self.let_go, self.begun = hanging, threading.Event(), 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> HttpResponse:
        if environ["PATH_INFO"].startswith(self.hanging):
            self.begun += 1
            self.let_go.wait(30)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return HttpResponse("here")


async def status_of(application: Application, path: str, method: str = "GET", **more: Any) -> int:
    sent: list[dict[str, Any]] = []

    to_come = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not to_come:
            await asyncio.Event().wait()
        return to_come.pop()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "http_version": "1.1", "method": method, "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": b"", "client": ("127.0.0.1", 1),
        "headers": [(b"host", b"localhost")],
    }  # fmt: skip
    await application(scope | more, receive, send)
    return int(sent[0]["status"])


def play(django: Hanging, story: Callable[[Application], Any]) -> Any:
    application = Application(django, Streams())
    application.watchers.seconds = application.watchers.lanes.seconds = 0.3

    async def run() -> Any:
        try:
            return await story(application)
        finally:
            django.let_go.set()

    return asyncio.run(run())


@pytest.mark.fault("F20")
@pytest.mark.parametrize("path", ["/metrics", "/readyz", "/readyz/chat"])
def test_a_database_that_hangs_is_told_within_seconds_and_takes_few_threads(path):
    django = Hanging("/metrics", "/readyz")

    async def story(application: Application) -> tuple[set[int], float, int]:
        began = time.monotonic()
        statuses = {await status_of(application, path) for _ in range(5)}
        return statuses, time.monotonic() - began, await status_of(application, "/tuning/")

    statuses, took, page = play(django, story)
    assert (statuses, page) == ({503}, 200)
    assert (took < 5 * 0.3 + LONGEST, django.begun <= limits.WATCH_THREADS) == (True, True)


@pytest.mark.threat("T12")
def test_pages_that_hang_keep_nobody_from_asking(monkeypatch):
    """All threads of all clients."""
    django = Hanging("/tuning/")

    async def story(application: Application) -> list[int]:
        pages = [
            asyncio.ensure_future(status_of(application, "/tuning/", client=(f"192.0.2.{number}", 1)))
            for number in range(20)
        ]
        while django.begun < limits.THREADS:
            await asyncio.sleep(0.01)
        found = [await status_of(application, path) for path in ("/metrics", "/readyz", "/readyz/all")]
        django.let_go.set()
        await asyncio.gather(*pages)
        return found

    assert play(django, story) == [200, 200, 200]


def counted() -> dict[tuple[str, ...], float]:
    with telemetry.shared._lock:
        return {key[2:]: number for key, number in telemetry.shared._new.items() if key[0] == "garden_http_requests"}


def test_what_never_reaches_django_is_counted():
    async def story(application: Application) -> list[int]:
        long = [(b"host", b"localhost"), (b"content-length", b"99999999")]
        return [
            await status_of(application, "/healthz"),
            await status_of(application, "/static/console.css"),
            await status_of(application, "/streams/live"),
            await status_of(application, "/tuning/", "POST", headers=long),
            await status_of(application, "/tuning/", headers=[(b"x", b"y")] * 200),
        ]

    assert play(Hanging("/never"), story) == [200, 200, 403, 413, 431]
    assert counted() == {
        ("healthz", "GET", "2xx"): 1, ("static", "GET", "2xx"): 1, ("stream", "GET", "4xx"): 1,
        ("none", "POST", "4xx"): 1, ("none", "GET", "4xx"): 1,
    }  # fmt: skip

import asyncio
import os
import signal
import time
from collections.abc import Iterable
from functools import partial
from typing import Any

import pytest
from django.http import HttpResponse

from console.asgi import Application, chain_handlers, end_on_signal
from console.entrance import limits
from console.entrance.bodies import BODY_LIMIT, body_limit
from console.entrance.clients import find_person
from console.entrance.limits import Ledger
from console.web.streams import Streams

# Threads that look for sessions may have a connection since an earlier test, and look whether it still works.
pytestmark = pytest.mark.django_db


def django(environ: dict[str, Any], start_response: Any) -> HttpResponse:
    """Stands for Django: reads the whole body, then answers with its path and length."""
    length = len(environ["wsgi.input"].read())
    start_response("200 OK", [("Content-Type", "text/plain")])
    return HttpResponse(f"{environ['PATH_INFO']} {length} {environ.get('CONTENT_LENGTH', '')}".strip())


def ask(
    path: str,
    chunks: Iterable[bytes],
    length: int | None = None,
    known: bool = False,
    ledger: Ledger | None = None,
    **more_headers: str,
) -> list[dict[str, Any]]:
    """What was sent. `known`: the session of the cookie exists. Each of `chunks` is made when it is asked for."""
    headers = [] if length is None else [(b"content-length", str(length).encode())]
    headers += [(name.replace("_", "-").encode(), value.encode()) for name, value in more_headers.items()]
    scope = scope_of(path, headers, "POST")
    waiting = iter(chunks)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        chunk = next(waiting, None)
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    async def send(message: Any) -> None:
        sent.append(message)

    async def play() -> None:
        application = Application(django, Streams(), ledger=ledger)
        application.clients.find = lambda session: "1" if known else ""
        await application(scope, receive, send)

    asyncio.run(play())
    return sent


def scope_of(path: str, headers: list[tuple[bytes, bytes]], method: str = "GET") -> dict[str, Any]:
    address = {"path": path, "raw_path": path.encode(), "query_string": b"", "client": ("127.0.0.1", 1)}
    headers = [(b"host", b"localhost"), *headers]
    return {"type": "http", "http_version": "1.1", "method": method, "scheme": "http", "headers": headers, **address}


def test_a_body_within_the_limit_reaches_the_pages():
    assert ask("/tuning/", [b"x" * 1000, b"y" * 1000], length=2000)[-1]["body"] == b"/tuning/ 2000 2000"


def test_a_declared_length_over_the_limit_is_refused_before_anything_is_read():
    assert ask("/tuning/", [], length=BODY_LIMIT.size + 1)[0]["status"] == 413


def test_a_refusal_is_a_page_that_names_the_limit_and_leads_back():
    back = "http://localhost/tuning/drafts/1/name/"
    sent = ask("/tuning/", [], length=BODY_LIMIT.size + 1, referer=back)
    page = sent[1]["body"].decode()
    assert "This request is larger than the maximum of 64 KB. Shorten the text and try again." in page
    assert f'<a class="btn filled" href="{back}">' in page
    assert page.startswith("<!doctype html>")


@pytest.mark.parametrize(("chunks", "length"), [([], BODY_LIMIT.size + 1), ([b"x" * BODY_LIMIT.size, b"y"], 10)])
def test_a_refusal_speaks_the_language_of_the_browser(chunks, length):
    sent = ask("/tuning/", chunks, length=length, accept_language="ko")
    assert "이 요청이 최대 크기인 64 KB보다 큽니다." in sent[1]["body"].decode()


def test_a_refusal_carries_the_security_headers():
    headers = dict(ask("/tuning/", [], length=BODY_LIMIT.size + 1)[0]["headers"])
    assert b"content-security-policy" in headers
    assert (headers[b"cache-control"], headers[b"connection"]) == (b"no-store", b"close")


def test_htmx_shows_a_refusal_in_the_banner_and_leaves_the_form_alone():
    more: dict[str, Any] = {"hx_request": "true", "cookie": "sessionid=a"}
    sent = ask("/datasets/upload/", [], length=70 * 1024 * 1024, known=True, **more)
    headers, note = dict(sent[0]["headers"]), sent[1]["body"].decode()
    assert (headers[b"hx-retarget"], headers[b"hx-reswap"]) == (b"#banner", b"innerHTML")
    assert headers[b"content-length"] == str(len(sent[1]["body"])).encode()
    assert note.lstrip().startswith('<div class="note bad">')
    assert "A dataset can have up to 50 MB. Split the file or remove rows, then upload it again." in note


def test_a_refused_body_of_somebody_is_read_to_its_end_before_the_connection_is_closed():
    sent = ask("/tuning/", [b"x" * 100_000] * 3, length=BODY_LIMIT.size + 1, known=True, cookie="sessionid=a")
    assert [message.get("more_body") for message in sent] == [None, True, None]


@pytest.mark.threat("T12")
def test_of_a_refused_body_of_nobody_little_is_read():
    received: list[int] = []

    async def receive() -> dict[str, Any]:
        received.append(50_000)
        return {"type": "http.request", "body": b"x" * 50_000, "more_body": True}

    async def send(message: Any) -> None:
        pass

    headers = [(b"transfer-encoding", b"chunked"), (b"cookie", b"sessionid=made-up")]
    application = Application(django, Streams())
    application.clients.find = lambda session: ""
    asyncio.run(application(scope_of("/datasets/upload/", headers, "POST"), receive, send))
    assert sum(received) <= 2 * BODY_LIMIT.size + 2 * 50_000


def test_a_body_that_lies_about_its_length_never_reaches_the_pages():
    sent = ask("/tuning/", [b"x" * BODY_LIMIT.size, b"y"], length=10)
    assert [message.get("status") for message in sent] == [413, None, None]


def test_a_body_arrives_whole_and_with_its_length_however_it_was_cut():
    chunks = [b"x" * 700_000] * 5
    sent = ask("/datasets/upload/", chunks, known=True, transfer_encoding="chunked", cookie="sessionid=a")
    assert sent[-1]["body"] == b"/datasets/upload/ 3500000 3500000"


@pytest.mark.threat("T12")
def test_a_body_that_comes_too_slowly_is_refused_before_a_page_waits_for_it(monkeypatch):
    clock, ahead = time.monotonic, [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock() + ahead[0])

    def drip():
        yield b"x"
        ahead[0] += limits.SILENT_SECONDS + 1
        yield b"x"

    sent = ask("/tuning/", drip(), length=2)
    assert (sent[0]["status"], b"The request took too long to arrive" in sent[1]["body"]) == (408, True)


@pytest.mark.threat("T12")
def test_bodies_of_one_client_have_a_limit_together():
    sent = ask(
        "/datasets/upload/", [b"x" * 700_000] * 300, known=True, cookie="sessionid=a", transfer_encoding="chunked"
    )
    assert sent[0]["status"] == 413
    headers: dict[str, Any] = {"cookie": "sessionid=a", "transfer_encoding": "chunked"}
    small = Ledger(each=1_000_000)
    sent = ask("/datasets/upload/", [b"x" * 700_000] * 2, known=True, ledger=small, **headers)
    assert (sent[0]["status"], dict(sent[0]["headers"])[b"retry-after"]) == (503, b"5")


@pytest.mark.parametrize(
    ("path", "megabytes"),
    [("/datasets/upload/", 60), ("/studio/chat/0/send/", 12), ("/studio/compare/0/send/", 12), ("/tuning/", 1 / 16)],
)
def test_each_path_has_its_limit(path, megabytes):
    assert body_limit(path, True).size == megabytes * 1024 * 1024


@pytest.mark.threat("T12")
def test_who_has_no_session_may_send_a_form_and_no_file():
    assert body_limit("/datasets/upload/", False) == BODY_LIMIT
    assert ask("/datasets/upload/", [], length=100_000)[0]["status"] == 413
    assert ask("/datasets/upload/", [], length=100_000, cookie="sessionid=made-up")[0]["status"] == 413


def test_a_session_that_exists_is_found_in_the_database(client, owner):
    client.force_login(owner)
    assert (find_person(client.session.session_key), find_person("made-up")) == (str(owner.pk), "")


def test_streams_never_reach_the_pages():
    assert ask("/streams/live", [])[0]["status"] == 405


def test_a_websocket_is_closed():
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Application(django, Streams())({"type": "websocket", "path": "/"}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1000}]


def test_a_signal_ends_the_streams_and_goes_on_to_the_server():
    heard: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    async def play() -> bool:
        closing = asyncio.Event()
        signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
        end_on_signal(closing)
        os.kill(os.getpid(), signal.SIGTERM)
        return await asyncio.wait_for(closing.wait(), 2)

    try:
        assert (asyncio.run(play()), heard) == (True, [signal.SIGTERM])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_signal_without_a_handler_of_its_own_is_still_taken():
    called: list[str] = []
    chain_handlers(lambda: called.append("closing"), signal.SIG_IGN)(signal.SIGTERM, None)
    assert called == ["closing"]


def test_startup_and_shutdown_are_confirmed():
    sent: list[str] = []
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    try:
        asyncio.run(Application(django, Streams())({"type": "lifespan"}, receive, send))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.parametrize(("is_hanging", "status"), [(False, 200), (True, 503)])
def test_its_health_includes_the_threads_that_make_pages(is_hanging, status):
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def play() -> None:
        application = Application(django, Streams())
        if is_hanging:
            since = time.monotonic() - limits.HUNG_SECONDS - 1
            application.pages.work.began.update({thread: (since, None) for thread in range(limits.THREADS)})
        await application(scope_of("/healthz", []), receive, partial(keep, sent))

    asyncio.run(play())
    assert sent[0]["status"] == status


async def keep(sent: list[Any], message: Any) -> None:
    sent.append(message)

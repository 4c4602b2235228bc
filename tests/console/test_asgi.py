import asyncio
import os
import signal
from typing import Any

import pytest

from console import asgi
from console.asgi import BODY_LIMIT, Application, body_limit, chained, end_on_signal
from console.streams import Streams


class Pages:
    """Stands for Django: reads the whole body, then answers with its length."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.paths.append(scope["path"])
        length, more = 0, True
        while more:
            message = await receive()
            length, more = length + len(message["body"]), message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(length).encode()})


def ask(
    path: str, chunks: list[bytes], length: int | None = None, **more_headers: str
) -> tuple[Pages, list[dict[str, Any]]]:
    pages, sent = Pages(), []
    headers = [] if length is None else [(b"content-length", str(length).encode())]
    headers += [(name.replace("_", "-").encode(), value.encode()) for name, value in more_headers.items()]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    waiting = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    async def play() -> None:
        await Application(pages, Streams())(scope, receive, send)

    asyncio.run(play())
    return pages, sent


def test_a_body_within_the_limit_reaches_the_pages():
    pages, sent = ask("/tuning/", [b"x" * 1000, b"y" * 1000], length=2000)
    assert (pages.paths, sent[-1]["body"]) == (["/tuning/"], b"2000")


def test_a_declared_length_over_the_limit_is_refused_before_anything_is_read():
    pages, sent = ask("/tuning/", [], length=BODY_LIMIT.size + 1)
    assert (pages.paths, sent[0]["status"]) == ([], 413)


def test_a_refusal_is_a_page_that_names_the_limit_and_leads_back():
    back = "http://localhost/tuning/drafts/1/name/"
    _, sent = ask("/tuning/", [], length=BODY_LIMIT.size + 1, referer=back)
    page = sent[1]["body"].decode()
    assert "This is larger than 64 KB, the most that the console takes at once. Shorten the text and try again." in page
    assert f'<a class="btn filled" href="{back}">' in page
    assert page.startswith("<!doctype html>")


def test_a_refusal_carries_the_security_headers():
    _, sent = ask("/tuning/", [], length=BODY_LIMIT.size + 1)
    headers = dict(sent[0]["headers"])
    assert b"content-security-policy" in headers
    assert (headers[b"cache-control"], headers[b"connection"]) == (b"no-store", b"close")


def test_htmx_shows_a_refusal_in_the_banner_and_leaves_the_form_alone():
    _, sent = ask("/datasets/upload/", [], length=70 * 1024 * 1024, hx_request="true", cookie="sessionid=a")
    headers, note = dict(sent[0]["headers"]), sent[1]["body"].decode()
    assert (headers[b"hx-retarget"], headers[b"hx-reswap"]) == (b"#banner", b"innerHTML")
    assert headers[b"content-length"] == str(len(sent[1]["body"])).encode()
    assert note.startswith('<div class="note bad">')
    assert "A dataset may have 50 MB: split the file or take fewer rows, then upload it again." in note


def test_a_refused_body_is_read_to_its_end_before_the_connection_is_closed():
    pages, sent = ask("/tuning/", [b"x" * 1000] * 3, length=BODY_LIMIT.size + 1)
    assert (pages.paths, [message.get("more_body") for message in sent]) == ([], [None, True, None])


def test_a_body_that_lies_about_its_length_never_reaches_the_pages():
    pages, sent = ask("/tuning/", [b"x" * BODY_LIMIT.size, b"y"], length=10)
    assert [message.get("status") for message in sent] == [413, None, None]
    assert pages.paths == []


def test_a_body_arrives_whole_and_in_order_however_it_was_cut():
    pages, sent = ask("/datasets/upload/", [b"x" * 700_000] * 5, transfer_encoding="chunked", cookie="sessionid=a")
    assert (pages.paths, sent[-1]["body"]) == (["/datasets/upload/"], b"3500000")


def test_a_body_that_comes_too_slowly_is_dropped_before_a_page_waits_for_it(monkeypatch):
    monkeypatch.setattr(asgi, "SILENT_SECONDS", -1)
    pages, sent = ask("/tuning/", [b"x"], length=1)
    assert (pages.paths, sent) == ([], [])


@pytest.mark.parametrize(
    ("path", "megabytes"),
    [("/datasets/upload/", 60), ("/studio/chat/0/send/", 12), ("/studio/compare/0/send/", 12), ("/tuning/", 1 / 16)],
)
def test_each_path_has_its_limit(path, megabytes):
    assert body_limit(path, b"theme=dark; sessionid=a").size == megabytes * 1024 * 1024


def test_who_has_no_session_may_send_a_form_and_no_file():
    assert body_limit("/datasets/upload/", b"csrftoken=a") == BODY_LIMIT


def test_streams_never_reach_the_pages():
    pages, sent = ask("/streams/live", [])
    assert (pages.paths, sent[0]["status"]) == ([], 405)


def test_a_websocket_is_closed():
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Application(Pages(), Streams())({"type": "websocket", "path": "/"}, send, send))
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
    chained(lambda: called.append("closing"), signal.SIG_IGN)(signal.SIGTERM, None)
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
        asyncio.run(Application(Pages(), Streams())({"type": "lifespan"}, receive, send))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

"""What the console asks others for: a webhook follows nobody elsewhere, and an endpoint that does harm is cut off."""

import json
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from jobs.models import Delivery, NotificationChoice, Problem
from jobs.services.notifications import webhook
from jobs.services.notifications.delivery_errors import NotDelivered
from jobs.vertex.errors import VertexError
from jobs.vertex.sdk.chat.answers import Chat
from jobs.vertex.values import ChatRequest
from tests.support import factories
from tests.support.misbehaving_server import BadServer, Behaviour, answer, bad_server, hang
from tests.support.share import one_of

ENDPOINT = "projects/garden-local/locations/us-central1/endpoints/endpoint-1"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
MEGABYTES_MORE = 20
KILOBYTES = 65536


@contextmanager
def redirecting(canary: str) -> Iterator[BadServer]:
    """To the canary, by the status that its path names, and by all else that a client might follow."""

    def behave(connection: Any) -> None:
        status = int(server.requests[-1].path.rpartition("/")[2])
        page = f'<meta http-equiv="refresh" content="0;url={canary}">'.encode()
        more = (f"Refresh: 0;url={canary}", f"Link: <{canary}>; rel=preload", f"Content-Location: {canary}")
        answer(status, page, f"Location: {canary}", f'Alt-Svc: h2="{canary.rpartition("/")[2]}"', *more)(connection)

    with bad_server(behave) as server:
        yield server


def try_webhook(owner: Any, url: str) -> tuple[str, str] | None:
    """Why it was not delivered."""
    told = factories.notification()
    delivery = Delivery.objects.create(notification=told, way="webhook")
    choice = NotificationChoice(user=owner, webhook_url=url, webhook_nonce="nonce")
    try:
        webhook.send(delivery, choice, timezone.now())
    except NotDelivered as refused:
        return refused.problem, refused.detail
    return None


@pytest.mark.django_db
@pytest.mark.threat("T8")
@pytest.mark.parametrize("status", [201, 300, 301, 302, 303, 305, 307, 308, 401, 407, 503])
def test_a_webhook_is_not_led_elsewhere(owner: Any, settings: Any, status: int) -> None:
    settings.WEBHOOK_PRIVATE = True
    with bad_server(answer(200)) as canary, redirecting(canary.address) as server:
        outcome = try_webhook(owner, f"{server.address}/{status}")
    expected = None if status < 300 else (Problem.REDIRECT if status < 400 else Problem.ANSWER, str(status))
    assert (outcome, len(server.requests), canary.requests) == (expected, 1, [])


LOCAL = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001", "0", "0.0.0.0", "localhost", "LOCALHOST.",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "127.0.0.1.",
    "①②⑦.⓪.⓪.①", "127。0。0。1", "example.com@127.0.0.1", "127.0.0.1#@example.com", "127.0.0.1?@example.com",
    "127.0.0.1\\@example.com", "[::1%25lo]", "0177.0.0.1", "127.0.0.1%00.example.com",
]  # fmt: skip


@pytest.mark.django_db
@pytest.mark.threat("T8")
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", LOCAL)
def test_nothing_on_this_machine_is_connected_to(owner: Any, settings: Any, names: Any, host: str, scheme: str) -> None:
    """Whatever the system makes of a name: here each leads to this machine."""
    settings.WEBHOOK_PRIVATE = False
    names.answer = lambda _name: ["127.0.0.1"]
    with counting() as canary:
        port = canary.address.rpartition(":")[2]
        place, mark, rest = next((host.partition(sign) for sign in "#?\\" if sign in host), (host, "", ""))
        outcome = try_webhook(owner, f"{scheme}://{place}:{port}{mark}{rest}/hook")
    assert outcome is not None
    assert outcome[0] in {Problem.NOT_PUBLIC, Problem.NO_SUCH_NAME}
    assert canary.accepted == 0


class Counting:
    """Counts connections, also those over which nothing is said."""

    def __init__(self, listener: Any) -> None:
        self.listener, self.accepted = listener, 0
        self.address = f"http://127.0.0.1:{listener.getsockname()[1]}"

    def count(self) -> None:
        self.listener.settimeout(0.05)
        while True:
            try:
                self.listener.accept()[0].close()
            except TimeoutError:
                return
            self.accepted += 1


@contextmanager
def counting() -> Iterator[Counting]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        canary = Counting(listener)
        yield canary
        canary.count()


@pytest.mark.django_db
@pytest.mark.threat("T8")
def test_a_name_that_changes_its_mind_is_asked_once(owner: Any, settings: Any, names: Any) -> None:
    """Public when it is checked, this machine when it is connected to."""
    settings.WEBHOOK_PRIVATE = False
    asked: list[str] = []

    def resolve(name: str) -> list[str]:
        asked.append(name)
        return ["192.0.2.1" if len(asked) > 1 else "127.0.0.1"]

    names.answer = resolve
    with counting() as canary:
        outcome = try_webhook(owner, f"https://rebind.example:{canary.address.rpartition(':')[2]}/")
    assert outcome == (Problem.NOT_PUBLIC, "127.0.0.1")
    assert (asked, canary.accepted) == (["rebind.example"], 0)


def for_ever(part: bytes, head: bytes = HEAD) -> Behaviour:
    def behave(connection: Any) -> None:
        connection.settimeout(5)
        connection.sendall(head)
        while True:
            connection.sendall(part)

    return behave


def text(content: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {"content": content}}]}).encode() + b"\n\n"


HUGE: dict[str, Behaviour] = {
    "a line": for_ever(b"x" * KILOBYTES, HEAD + b"data: "),
    "a line of nothing": for_ever(b"\0" * KILOBYTES),
    "a comment": for_ever(b"x" * KILOBYTES, HEAD + b": "),
    "an event of many lines": for_ever(b"data: x\n" * 8192),
    "an event of many lines of nothing": for_ever(b"data:\n" * 8192),
    "an answer in large parts": for_ever(text("x" * 100_000)),
    "an answer in small parts": for_ever(text("x") * 1000),
    "events without words": for_ever(b'data: {"choices": []}\n\n' * 1000),
    "pings": for_ever(b": ping\n\n" * 8192),
    "line ends": for_ever(b"\n" * KILOBYTES),
    "names of fields": for_ever(b"id: 1\nretry: 1\nevent: x\n" * 1000),
    "an error page": for_ever(b"x" * KILOBYTES, b"HTTP/1.1 500 X\r\nContent-Type: text/html\r\n\r\n"),
    "an error page with a length": for_ever(b"x" * KILOBYTES, b"HTTP/1.1 400 X\r\nContent-Length: 99999999999\r\n\r\n"),
    "one header": for_ever(b"x" * KILOBYTES, b"HTTP/1.1 200 OK\r\nX-A: "),
    "headers": for_ever(b"X-A: x\r\n" * 1000, b"HTTP/1.1 200 OK\r\n"),
    "chunks": for_ever(b"10000\r\n" + b"x" * KILOBYTES + b"\r\n", HEAD[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"),
    "the length of a chunk": for_ever(b"0" * KILOBYTES, HEAD[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"),
    "a hundred early answers": for_ever(b"HTTP/1.1 103 Early\r\n\r\n" * 1000, b""),
}


def read(total: float) -> int:
    """Letters of an answer that came before it was cut off."""
    request = ChatRequest(
        endpoint=ENDPOINT, dedicated_dns="", messages=[{"role": "user", "content": "a"}], parameters={}
    )
    letters = 0
    with Chat(first=5.0, idle=5.0, total=total).stream(request) as chunks:
        for chunk in chunks:
            letters += len(chunk.text)
    return letters


@pytest.mark.threat("T9")
@pytest.mark.parametrize("name", one_of(3, HUGE))
def test_what_has_no_end_is_cut_off_with_little_memory(settings: Any, name: str) -> None:
    with bad_server(HUGE[name]) as server, growth() as grown:
        settings.VERTEX_API_ENDPOINT = server.address
        began = time.monotonic()
        with pytest.raises(VertexError):
            read(total=3.0)
        assert time.monotonic() - began < 12
    assert grown() < MEGABYTES_MORE


@contextmanager
def growth() -> Iterator[Callable[[], float]]:
    """How much more memory this process had at most since then, in megabytes. By the highest of samples: the record of
    the system may be that of an earlier test."""
    before, most, over = resident(), [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.005):
            most[0] = max(most[0], resident() - before)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lambda: most[0]
    finally:
        over.set()
        thread.join()


def resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


@pytest.mark.threat("T9")
def test_others_are_answered_while_some_do_harm(settings: Any) -> None:
    """Ten that hang, drip or flood, and one that answers at once."""
    good = HEAD + text("Hello") + b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'

    def behave(connection: Any) -> None:
        number = len(server.requests)
        if number > 10:
            connection.sendall(good)
            connection.shutdown(2)
        else:
            (hang, HUGE["pings"], HUGE["events without words"])[number % 3](connection)

    with bad_server(behave) as server, ExitStack() as stack:
        settings.VERTEX_API_ENDPOINT = server.address
        threads = [threading.Thread(target=pytest.raises, args=(VertexError, read, 6.0)) for _ in range(10)]
        for thread in threads:
            thread.start()
            stack.callback(thread.join)
        while len(server.requests) < 10:
            time.sleep(0.01)
        began = time.monotonic()
        assert read(total=5.0) == len("Hello")
        assert time.monotonic() - began < 4

"""Attacks on the web process, bounded in number and time, from another address of this machine.

Each is a context manager: the attack has begun inside it, and all of its connections are closed after it. `probe`
looks meanwhile, from connections of its own, at what everybody else needs.

    with attacks.slow_readers(target):
        figures = attacks.probe(address, session, seconds=5)
"""

import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

ATTACKER = "127.0.0.2"
SMALL_WINDOW = 4096


@dataclass(frozen=True)
class Target:
    """`source` is the address that the attack comes from; every address of 127.0.0.0/8 is this machine."""

    host: str
    port: int
    source: str = ATTACKER
    session: str = ""

    def headers(self, **more: str) -> str:
        given = {"Host": f"{self.host}:{self.port}", **more}
        if self.session:
            given["Cookie"] = f"sessionid={self.session}"
        return "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items()) + "\r\n"

    def connect(self, window: int = 0) -> socket.socket:
        """`window`: how little of an answer the system may take for a client that does not read."""
        connection = socket.socket()
        if window:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        connection.bind((self.source, 0))
        connection.settimeout(10)
        connection.connect((self.host, self.port))
        return connection


def target_of(address: str, source: str = ATTACKER, session: str = "") -> Target:
    parts = urlsplit(address)
    return Target(parts.hostname or "127.0.0.1", parts.port or 80, source, session)


@contextmanager
def _open(target: Target, count: int, window: int = 0) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        yield [stack.enter_context(target.connect(window)) for _ in range(count)]


@contextmanager
def slow_readers(
    target: Target, path: str = "/static/console.css", connections: int = 60, requests: int = 100
) -> Iterator[list[socket.socket]]:
    """Asks for much on each connection at once, and reads nothing; begins when no more can be sent to it."""
    request = f"GET {path} HTTP/1.1\r\n{target.headers()}".encode()
    with _open(target, connections, SMALL_WINDOW) as opened:
        for connection in opened:
            connection.sendall(request * requests)
        wait_until_stalled(target)
        yield opened


def wait_until_stalled(target: Target, patience: float = 20) -> None:
    """Until what the system holds for these connections, sent and not taken, has stopped growing."""
    seen, since, until = -1, time.monotonic(), time.monotonic() + patience
    while time.monotonic() < until and time.monotonic() - since < 1:
        held = unread_bytes(target)
        if held != seen:
            seen, since = held, time.monotonic()
        time.sleep(0.05)


def unread_bytes(target: Target) -> int:
    """By Linux's own table: of each connection between the two, how much is queued at the server's end."""
    here = f":{target.port:04X}"
    there = socket.inet_aton(target.source)[::-1].hex().upper()
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(row[4][:8], 16) for row in rows if row[1].endswith(here) and row[2].startswith(there))


@contextmanager
def half_open(target: Target, connections: int = 200) -> Iterator[list[socket.socket]]:
    """A request that never gets to the end of its headers."""
    with _open(target, connections) as opened:
        for connection in opened:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {target.host}\r\nX-A".encode())
        yield opened


@contextmanager
def dripped_headers(target: Target, connections: int = 100, pause: float = 1) -> Iterator[list[socket.socket]]:
    """As `half_open`, with a byte more every now and then."""
    with half_open(target, connections) as opened, _repeat(lambda: [_send(one, b"a") for one in opened], pause):
        yield opened


@contextmanager
def silent(target: Target, connections: int = 500) -> Iterator[list[socket.socket]]:
    """Connections on which nothing is ever asked."""
    with _open(target, connections) as opened:
        yield opened


@contextmanager
def slow_bodies(
    target: Target, path: str = "/accounts/sign-in/", connections: int = 50, length: int = 60_000, pause: float = 1
) -> Iterator[list[socket.socket]]:
    """Forms of which a byte comes every now and then."""
    kind = "application/x-www-form-urlencoded"
    head = f"POST {path} HTTP/1.1\r\n{target.headers(Content_Length=str(length), Content_Type=kind)}".encode()
    with _open(target, connections) as opened:
        for connection in opened:
            _send(connection, head)
        with _repeat(lambda: [_send(one, b"a") for one in opened], pause):
            yield opened


@contextmanager
def large_bodies(
    target: Target, path: str = "/datasets/upload/", connections: int = 4, megabytes: int = 50
) -> Iterator[list[int]]:
    """Sends large bodies in chunks, without their end, as fast as they are taken. Yields how many bytes each sent."""
    head = f"POST {path} HTTP/1.1\r\n{target.headers(Transfer_Encoding='chunked')}".encode()
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    sent = [0] * connections
    with _open(target, connections) as opened:

        def pour(number: int) -> None:
            opened[number].settimeout(2)
            with suppress(OSError):
                opened[number].sendall(head)
                while sent[number] < megabytes * 1024 * 1024:
                    opened[number].sendall(chunk)
                    sent[number] += 65536

        with _threads([partial(pour, number) for number in range(connections)]):
            yield sent


@contextmanager
def page_flood(
    target: Target, path: str = "/accounts/sign-in/", clients: int = 16, body: bytes = b""
) -> Iterator[list[int]]:
    """As many pages as the console makes, on connections that are used again. Yields how often each status came."""
    stop, statuses = threading.Event(), [0] * 600
    method = "POST" if body else "GET"
    more = {"Content_Length": str(len(body))} if body else {}
    request = f"{method} {path} HTTP/1.1\r\n{target.headers(**more)}".encode() + body

    def flood() -> None:
        while not stop.is_set():
            with suppress(OSError), target.connect() as connection, connection.makefile("rb") as answers:
                while not stop.is_set() and (status := _ask(connection, answers, request)):
                    statuses[status] += 1

    with _threads([flood] * clients):
        try:
            yield statuses
        finally:
            stop.set()


def _ask(connection: socket.socket, answers: BinaryIO, request: bytes) -> int:
    """The status; 0 when the connection ended."""
    connection.sendall(request)
    line = answers.readline()
    if not line:
        return 0
    length, closes = 0, False
    while (header := answers.readline()) not in (b"\r\n", b""):
        name, _, value = header.lower().partition(b":")
        length = int(value) if name == b"content-length" else length
        closes = closes or (name == b"connection" and b"close" in value)
    answers.read(length)
    status = int(line.split()[1])
    if closes:
        raise ConnectionAbortedError
    return status


def _send(connection: socket.socket, data: bytes) -> None:
    with suppress(OSError):
        connection.sendall(data)


@contextmanager
def _repeat(action: Callable[[], object], pause: float) -> Iterator[None]:
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(pause):
            action()

    with _threads([run]):
        try:
            yield
        finally:
            stop.set()


@contextmanager
def _threads(jobs: list[Callable[[], object]]) -> Iterator[None]:
    threads = [threading.Thread(target=job, daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join(15)


@dataclass
class Figures:
    """Milliseconds of every request that was answered as it should be; what went wrong of the others."""

    took: dict[str, list[float]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def p95(self, path: str) -> float:
        times = sorted(self.took[path])
        return times[math.ceil(0.95 * len(times)) - 1]

    @property
    def slowest_p95(self) -> float:
        return max(self.p95(path) for path in self.took)

    def __str__(self) -> str:
        parts = [f"{path} p95 {self.p95(path):.0f} ms of {len(self.took[path])}" for path in self.took]
        return ", ".join([*parts, *self.failures[:3]])


HEALTH, SIGN_IN, SIGNED_IN = "/healthz", "/accounts/sign-in/", "/datasets/"


def probe(address: str, session: str, seconds: float = 4, pause: float = 0.05, timeout: float = 5) -> Figures:
    """Asks for health, the sign-in page and a page of somebody who signed in, by turns, as a browser does."""
    figures, until = Figures(), time.monotonic() + seconds
    cookies = {HEALTH: "", SIGN_IN: "", SIGNED_IN: f"sessionid={session}"}
    while time.monotonic() < until:
        for path, cookie in cookies.items():
            began = time.perf_counter()
            try:
                status = fetch(address, path, cookie, timeout)
            except (OSError, HTTPException) as error:
                figures.failures.append(f"{path}: {type(error).__name__}")
                continue
            figures.took.setdefault(path, []).append((time.perf_counter() - began) * 1000)
            if status != 200:
                figures.failures.append(f"{path}: {status}")
        time.sleep(pause)
    return figures


def fetch(address: str, path: str, cookie: str = "", timeout: float = 5) -> int:
    """Over a connection of its own: one that is open already would not show whether new ones get in."""
    parts = urlsplit(address)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    with closing(connection):
        connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
        answer = connection.getresponse()
        answer.read()
        return answer.status

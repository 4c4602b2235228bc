"""How quick the pages stay under attack, how many streams a process holds, and how soon a process is back.

`make bench-reliability`, on a machine with nothing else to do; `ARGS=--write` puts the figures into
docs/reliability.md.
"""

import argparse
import http.client
import os
import selectors
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.signing import TimestampSigner

from console.web.streams import LIVE_SALT
from jobs.live import seal
from tests.support import attacks
from tests.support.attacks import Figures, probe, target_of
from tests.support.running import ROOT, Running, running, with_tiny_model
from tests.support.web import make_dataset, make_people, running_web

PAGE = ROOT / "docs/reliability.md"
BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->"
PROCESSES = ("web", "worker", "chat", "cache", "storage", "vertex")
SECONDS, PATIENCE = 8.0, 90.0
Attack = Callable[[], AbstractContextManager[Any]]


def measure_attacks(console: Running, people: list[dict[str, Any]]) -> Iterator[str]:
    sessions = [person["session"] for person in people]
    dataset = make_dataset(console, "bench-1", 30)
    stranger = target_of(console.address)
    download = f"/datasets/{dataset}/file/"
    person = target_of(console.address, session=sessions[1])
    kinds: dict[str, Attack | None] = {
        "none": None,
        "11 connections that ask for 60 files each and read nothing": lambda: attacks.slow_readers(stranger),
        "12 downloads that nobody reads": lambda: attacks.slow_readers(person, download, connections=12, requests=1),
        "200 half-sent headers": lambda: attacks.half_open(stranger),
        "1,000 silent connections": lambda: attacks.silent(stranger, 1000),
        "slow bodies": lambda: attacks.slow_bodies(stranger),
        "a flood of pages": lambda: attacks.page_flood(stranger),
    }
    yield "| attack | `/healthz` p95 | sign-in p95 | a signed-in page p95 | failed |"
    yield "|---|---|---|---|---|"
    for name, attack in kinds.items():
        yield describe(name, watch(console, sessions[0], attack))


def watch(console: Running, session: str, attack: Attack | None) -> Figures:
    with ExitStack() as begun:
        if attack:
            begun.enter_context(attack())
        return probe(console.address, session, SECONDS)


def describe(name: str, figures: Figures) -> str:
    columns = " | ".join(f"{figures.p95(path):.0f} ms" for path in figures.took)
    return f"| {name} | {columns} | {len(figures.failures)} |"


def measure_streams(console: Running, people: list[dict[str, Any]], count: int) -> str:
    """All are asked for at once; when each one's first event comes is seen as it comes."""
    session = people[2]["session"]
    with ExitStack() as opened, closing(selectors.DefaultSelector()) as waiting:
        asked = {}
        for number in range(count):
            connection = opened.enter_context(socket.create_connection(address_of(console)))
            connection.sendall(stream_request(console, session, number))
            asked[connection] = time.perf_counter()
            waiting.register(connection, selectors.EVENT_READ)
        took: list[float] = []
        while len(took) < count and (ready := waiting.select(20)):
            for key, _events in ready:
                if b"200 OK" in key.fileobj.recv(4096):  # type: ignore[union-attr]
                    took.append(1000 * (time.perf_counter() - asked[key.fileobj]))  # type: ignore[index]
                waiting.unregister(key.fileobj)
        memory = memory_of(console.pids()["web"])
    p95 = sorted(took)[int(0.95 * len(took))]
    return (
        f"| {count:,} event streams at once | {len(took)} open, first byte p95 {p95:.0f} ms, process {memory:.0f} MB |"
    )


def address_of(console: Running) -> tuple[str, int]:
    parts = urlsplit(console.address)
    return parts.hostname or "", parts.port or 0


def stream_request(console: Running, session: str, number: int) -> bytes:
    key = (console.data_dir / "secret-key").read_text()
    ticket = TimestampSigner(key=key, salt=LIVE_SALT).sign(f"{number}:{time.time_ns() // 1_000_000}:{seal(session)}")
    head = f"GET /streams/live?ticket={ticket} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: sessionid={session}\r\n\r\n"
    return head.encode()


def memory_of(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def measure_recovery(console: Running) -> Iterator[str]:
    yield "| process | killed: ready again after | stopped (SIGSTOP): ready again after |"
    yield "|---|---|---|"
    for name in PROCESSES:
        killed = strike(console, name, signal.SIGKILL)
        stopped = strike(console, name, signal.SIGSTOP)
        yield f"| {name} | {killed:.1f} s | {stopped:.1f} s |"


def strike(console: Running, name: str, number: signal.Signals) -> float:
    """Seconds until another process of that name runs and everything is ready."""
    pid = console.pids()[name]
    began = time.monotonic()
    os.kill(pid, number)
    while console.pids().get(name) in (pid, None) or not is_ready(console):
        if time.monotonic() - began > PATIENCE:
            raise TimeoutError(f"{name} is not back:\n{console.output()[-2000:]}")
        time.sleep(0.05)
    took = time.monotonic() - began
    time.sleep(3)
    return took


def is_ready(console: Running) -> bool:
    with closing(http.client.HTTPConnection(*address_of(console), timeout=2)) as connection:
        try:
            connection.request("GET", "/readyz/all")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False


def measure() -> Iterator[str]:
    load = os.getloadavg()[0]
    yield f"Measured {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores, load {load:.1f} before it began.\n"
    with tempfile.TemporaryDirectory() as folder, running_web(Path(folder) / "data") as console:
        people = make_people(console, 3)
        yield from measure_attacks(console, people)
        yield "\n| streams | |\n|---|---|"
        yield measure_streams(console, people, 200)
        time.sleep(2)
        yield measure_streams(console, people, 1000)
    yield ""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "data", with_tiny_model()) as console:
        yield from measure_recovery(console)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put the figures into docs/reliability.md")
    options = parser.parse_args()
    lines = []
    for line in measure():
        print(line, flush=True)
        lines.append(line)
    if options.write:
        before, _begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        text = "\n".join(lines)
        PAGE.write_text(f"{before}{BEGIN}{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    sys.exit(main())

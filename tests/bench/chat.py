"""Measures how an answer gets from an endpoint to a page: `python -m tests.bench.chat [--write] [--gradio PYTHON]`.

The endpoint is a clock (tests/bench/chat_endpoint.py) that sends words at fixed times. Clients read it directly and
through the console, in turns, and compare when each word arrived. `--gradio` names a Python that has Gradio: its
ChatInterface is read as well.
`--write` puts the table into docs/performance.md; it is refused when the machine was busy with other things before.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.chat_clients import Read, compare_with_stored, direct, get, through_console
from tests.bench.chat_endpoint import question
from tests.bench.chat_gradio import chat_function, through_gradio
from tests.bench.page import BUSY, write
from tests.support.running import ROOT, Running, environment, running

FIRST_MS, GAP_MS, WORDS, ROUNDS = 100.0, 50.0, 400, 3
LEVELS = (1, 20, 100)
# Answers of one round start so far apart: a page of a chat is not opened by all at the same moment.
ARRIVALS_SECONDS = 0.1
FIRST_TOKENS = 40
LONG, FAST_GAP_MS = (4000, 8000), 4.0
PEOPLE, PATH = 10, "/v1beta1/projects/garden-local/locations/us-central1/endpoints/bench/chat/completions"


@dataclass(frozen=True)
class Figure:
    """`low` and `high` are the goal; without one it is told for comparison only."""

    what: str
    value: float
    unit: str = ""
    low: float | None = None
    high: float | None = None
    note: str = ""

    @property
    def met(self) -> bool:
        above = self.low is None or self.value >= self.low
        return above and (self.high is None or self.value <= self.high)

    def row(self) -> str:
        goal = "" if self.high is None else f"≤ {self.high:g} {self.unit}"
        goal = f"{self.low:g} to {self.high:g}" if self.low is not None else goal
        met = "" if not goal else "yes" if self.met else "**no**"
        value = f"{self.value:.1f} {self.unit}" if self.unit else f"{self.value:.2f}"
        return f"| {self.what} | {value} | {goal} | {met} | {self.note} |"


Ask = Callable[[str, str], Awaitable[Read]]


@dataclass
class Way:
    """One way to the endpoint, and what was read over it: by number of streams, all delays of words and first words.
    `again` asks in the chat that was asked last."""

    name: str
    ask: Ask
    again: Ask | None = None
    first: list[float] = field(default_factory=list)
    later: list[float] = field(default_factory=list)
    delays: dict[int, list[float]] = field(default_factory=dict)
    wrong: int = 0
    words: int = 0


@dataclass
class Bench:
    endpoint: int
    console: int
    ways: list[Way]
    names: int = 0

    async def read(self, way: Way, words: int, gap: float, ask: Ask | None = None) -> Read:
        self.names += 1
        name = f"{way.name}-{self.names}"
        return await asyncio.wait_for((ask or way.ask)(question(words, gap, FIRST_MS, name), name), 300)

    async def lateness(self, way: Way, read: Read, words: int) -> list[float]:
        """Of each word, in milliseconds after it was sent. Looked up afterwards: it costs time, too."""
        sent = json.loads(await get(self.endpoint, f"/times/{read.name}", {}))
        if read.turn:
            await compare_with_stored(self.console, read)
        way.words += words
        way.wrong += read.out_of_order + sum(a != b for a, b in zip(read.words, range(words), strict=False))
        way.wrong += abs(words - len(read.words)) + abs(words - len(read.seen))
        return [(seen - at) * 1000 for seen, at in zip(read.seen, sent, strict=False)]

    async def first_words(self) -> None:
        for _ in range(FIRST_TOKENS):
            for way in self.ways:
                await self.first_word(way, way.first)
                if way.again:
                    await self.first_word(way, way.later, way.again)

    async def first_word(self, way: Way, found: list[float], ask: Ask | None = None) -> None:
        read = await self.read(way, 10, GAP_MS, ask)
        found.append((read.seen[0] - read.began) * 1000)
        await self.lateness(way, read, 10)

    async def level(self, streams: int) -> None:
        for _ in range(ROUNDS):
            for way in self.ways:
                reads = await asyncio.gather(*(self.later(way, number) for number in range(streams)))
                for read in reads:
                    way.delays.setdefault(streams, []).extend(await self.lateness(way, read, WORDS))

    async def later(self, way: Way, number: int) -> Read:
        await asyncio.sleep(number * ARRIVALS_SECONDS)
        return await self.read(way, WORDS, GAP_MS)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    parser.add_argument("--gradio", help="a Python that has Gradio: measure its ChatInterface in the same run")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        figures = measure(Path(folder) / "data", options.gradio or "")
    text = table(figures, load)
    print(text)
    if options.write:
        if load > BUSY:
            sys.exit(f"Not written: the load was {load:.1f} before the start, more than {BUSY}.")
        write("chat figures", text)
    return 0 if all(figure.met for figure in figures) else 1


def measure(data_dir: Path, gradio_python: str) -> list[Figure]:
    with ExitStack() as started:
        endpoint = started.enter_context(printing_its_port("tests.bench.chat_endpoint"))
        console = started.enter_context(running(data_dir, {"VERTEX_API_ENDPOINT": f"http://127.0.0.1:{endpoint}"}))
        chats = Chats(console)
        ways = [
            Way("direct", lambda text, name: direct(endpoint, PATH, text, name)),
            Way("console", chats.ask, chats.again),
        ]
        if gradio_python:
            ways.append(started.enter_context(gradio(endpoint, gradio_python)))
        return asyncio.run(figures_of(Bench(endpoint, port_of(console), ways), console))


def port_of(console: Running) -> int:
    return int(console.address.rpartition(":")[2])


@contextmanager
def printing_its_port(module: str, *arguments: str, python: str = sys.executable) -> Iterator[int]:
    command = [python, "-m", module, *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env=environment({}), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(10)


class Chats:
    """A new chat for each question, of each person in turn: one person may have thirty streams."""

    def __init__(self, console: Running) -> None:
        self.port = port_of(console)
        answers = 2 * FIRST_TOKENS + ROUNDS * sum(LEVELS) + 2 * len(LONG) + 20
        command = [sys.executable, "-m", "tests.bench.chat_seed", str(PEOPLE), str(answers // PEOPLE + 1)]
        given = environment({"CONSOLE_DATA_DIR": str(console.data_dir)})
        people = json.loads(subprocess.run(command, cwd=ROOT, env=given, stdout=subprocess.PIPE, check=True).stdout)
        rows = zip(*([(person["session"], chat) for chat in person["chats"]] for person in people), strict=True)
        self.left = [each for row in rows for each in row]
        self.last = self.left[0]

    async def ask(self, text: str, name: str) -> Read:
        self.last = self.left.pop(0)
        return await self.again(text, name)

    async def again(self, text: str, name: str) -> Read:
        session, chat = self.last
        return await through_console(self.port, session, chat, text, name)


@contextmanager
def gradio(endpoint: int, python: str) -> Iterator[Way]:
    with printing_its_port("tests.bench.chat_gradio", str(endpoint), python=python) as port:
        function = asyncio.run(chat_function(port))
        yield Way("Gradio", lambda text, name: through_gradio(port, function, text, name))


async def figures_of(bench: Bench, console: Running) -> list[Figure]:
    for way in bench.ways:
        for _ in range(3):
            await bench.read(way, 10, GAP_MS)
    await bench.first_words()
    for streams in LEVELS:
        await bench.level(streams)
    plain, ours, *others = bench.ways
    figures = [*first_figures(plain, ours, others), *(delay_figure(n, plain, ours, others) for n in LEVELS)]
    figures += await linear(bench, ours, console)
    note = f"of {ours.words:,} words, each compared with the endpoint's and with the stored answer"
    return [*figures, Figure("words lost, doubled or out of order", ours.wrong, "words", None, 0, note)]


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def first_figures(plain: Way, ours: Way, others: list[Way]) -> list[Figure]:
    base = statistics.median(plain.first)
    notes = [
        f"{other.name}: {fn([first - base for first in other.first]):.1f} ms"
        for fn in (statistics.median, lambda values: percentile(values, 0.95))
        for other in others
    ] or ["", ""]
    told = f"{len(ours.first)} messages; the endpoint alone takes {base:.1f} ms"
    notes[0] = "; ".join(filter(None, [told, notes[0]]))
    what = "→ first word, added"
    return [
        *first_figures_of(f"sending the first message of a chat {what}", [first - base for first in ours.first], notes),
        *first_figures_of(f"sending the second message of a chat {what}", [first - base for first in ours.later]),
    ]


def first_figures_of(what: str, added: list[float], notes: Sequence[str] = ("", "")) -> list[Figure]:
    return [
        Figure(f"{what}, median", statistics.median(added), "ms", None, 20, notes[0]),
        Figure(f"{what}, 95th percentile", percentile(added, 0.95), "ms", None, 50, notes[1]),
    ]


def delay_figure(streams: int, plain: Way, ours: Way, others: list[Way]) -> Figure:
    base = statistics.median(plain.delays[streams])
    added = [delay - base for delay in ours.delays[streams]]
    notes = [f"median {statistics.median(added):.1f} ms, longest {max(added):.0f} ms"]
    for other in others:
        theirs = percentile([delay - base for delay in other.delays[streams]], 0.95)
        notes.append(f"{other.name}: {theirs:.1f} ms")
    what = f"a word's added delay, 95th percentile, {streams} stream{'s' if streams > 1 else ''}"
    return Figure(what, percentile(added, 0.95), "ms", None, 60 if streams > 20 else 30, "; ".join(notes))


async def linear(bench: Bench, ours: Way, console: Running) -> list[Figure]:
    """Twice the answer at the same pace costs twice as much, or a little less."""
    sizes, seconds = [], []
    for words in LONG:
        before = processor_seconds(console)
        read = await bench.read(ours, words, FAST_GAP_MS)
        seconds.append(processor_seconds(console) - before)
        await bench.lateness(ours, read, words)
        sizes.append(read.size)
    what = f"{LONG[1]:,} words ÷ {LONG[0]:,} words"
    pace = f"at {1000 / FAST_GAP_MS:.0f} words/s"
    return [
        Figure(f"{what}, bytes to the page", sizes[1] / sizes[0], "", 1.8, 2.2, f"{sizes[1] / 1024:.0f} kB {pace}"),
        Figure(f"{what}, processor time", seconds[1] / seconds[0], "", 1.8, 2.2, f"{seconds[1]:.2f} s {pace}"),
    ]


def processor_seconds(console: Running) -> float:
    """Of those that an answer goes through."""
    ticks = 0
    for name in ("web", "chat", "cache"):
        fields = Path(f"/proc/{console.pids()[name]}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def table(figures: list[Figure], load: float) -> str:
    head = "| what | measured | goal | met | |\n|---|--:|--:|---|---|"
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    taken = f"Taken {datetime.now(UTC):%Y-%m-%d} by `make bench-chat`: {machine}, load before the start {load:.1f}."
    return "\n".join([taken, "", head, *(figure.row() for figure in figures)])


if __name__ == "__main__":
    sys.exit(main())

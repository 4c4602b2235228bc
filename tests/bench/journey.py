"""Measures the main journey as a person's browser would see it: `python -m tests.bench.journey [--write]`.

Everything is timed by the client. Server, training and client share the machine, so the figures are upper bounds.
`--write` puts the table into docs/performance.md; it is refused when the machine was busy with other things before.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.page import BUSY, write
from tests.bench.weights import wait_for_weights
from tests.support import journey
from tests.support.headless_client import Visitor
from tests.support.running import GEMMA, Running, processes_of, running

QUESTIONS = (
    "What is snow?",
    "Good evening",
    "What colour is a lemon?",
    "Name the capital of Thailand.",
    "How do I cook rice?",
)
ROUNDS = 4


@dataclass(frozen=True)
class Figure:
    what: str
    value: float
    goal: float
    unit: str
    note: str = ""

    def row(self) -> str:
        value = f"{self.value:.0f}" if self.value >= 100 else f"{self.value:.1f}"
        met = "yes" if self.value <= self.goal else "**no**"
        return f"| {self.what} | {value} {self.unit} | ≤ {self.goal:g} {self.unit} | {met} | {self.note} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        figures = measure(Path(folder) / "data")
    text = table(figures, load)
    print(text)
    if options.write:
        if load > BUSY:
            sys.exit(f"Not written: the load was {load:.1f} before the start, more than {BUSY}.")
        write("figures", text)
    return 0 if all(figure.value <= figure.goal for figure in figures) else 1


def measure(data_dir: Path) -> list[Figure]:
    with running(data_dir) as console:
        figures = [first_page(console, "`make up` after installing → first page, new data directory")]
        prepared = wait_for_weights(console)
    with running(data_dir) as console, Visitor(console.address) as visitor:
        figures.append(first_page(console, "`make up` → first page, again", visitor))
        journey.wait_for_catalogue(visitor)
        time.sleep(10)
        figures.append(memory(console))
        figures += tuning(visitor, f"the weights were prepared before, once, in {prepared:.0f} s")
    return figures


def first_page(console: Running, what: str, visitor: Visitor | None = None) -> Figure:
    person = visitor or Visitor(console.address)
    person.sign_in(console.link)
    return Figure(what, time.monotonic() - console.started, 10, "s")


def memory(console: Running) -> Figure:
    pids = {*processes_of(console.data_dir), *console.pids().values(), console.process.pid}
    pss, rss = (sum(kilobytes(pid, name) for pid in pids) / 1024 for name in ("Pss", "Rss"))
    return Figure(
        "memory of all processes, idle, no model loaded (PSS)",
        pss,
        700,
        "MB",
        f"{len(pids)} processes; RSS {rss:.0f} MB",
    )


def kilobytes(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def tuning(visitor: Visitor, note: str) -> list[Figure]:
    tune = journey.Tune(GEMMA, "Bench", training={"epochs": "3"})
    review, started = journey.fill_in(visitor, tune), time.monotonic()
    job = journey.start(visitor, review, tune)
    journey.wait_for_step(visitor, job, 300)
    step = time.monotonic() - started
    endpoint = journey.endpoint_of(visitor, job, 900)
    journey.wait_until_ready(visitor, endpoint, 120)
    ready = time.monotonic() - started
    return [
        Figure("Start → first step", step, 20, "s", note),
        Figure("Start → endpoint ready, 100 rows × 3 epochs", ready, 240, "s"),
        *first_tokens(visitor, endpoint),
    ]


def first_tokens(visitor: Visitor, endpoint: str) -> list[Figure]:
    """A new chat each: nothing of the conversation is in the model's cache."""
    times = sorted(
        journey.ask(visitor, endpoint, question).first_token * 1000 for _ in range(ROUNDS) for question in QUESTIONS
    )
    spread = f"{len(times)} chats; {times[0]:.0f} to {times[-1]:.0f} ms"
    return [
        Figure("Send → first streamed token, median", statistics.median(times), 400, "ms", spread),
        Figure("Send → first streamed token, 95th percentile", times[int(len(times) * 0.95) - 1], 400, "ms"),
    ]


def table(figures: list[Figure], load: float) -> str:
    head = "| what | measured | goal | met | |\n|---|--:|--:|---|---|"
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    taken = f"Taken {datetime.now(UTC):%Y-%m-%d} by `make bench`: {machine}, load before the start {load:.1f}."
    return "\n".join([taken, "", head, *(figure.row() for figure in figures)])


if __name__ == "__main__":
    sys.exit(main())

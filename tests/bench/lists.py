"""How long lists take when they are long: `python -m tests.bench.lists [--rows 100000] [--rounds 40] [--write]`.

Asks the real pages through Django's client in one process: of each order the first, the middle and the last page, and
filtered ones. Addresses are asked in turn, so that a busy moment of the machine falls on all of them. `--write` puts
the table into docs/performance.md; it is refused when the machine was busy before.
"""

import argparse
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from django.conf import settings  # noqa: E402  # models are there only after setup()
from django.contrib.auth.models import User  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402

from console import garbage  # noqa: E402
from console.presenters.components import pager  # noqa: E402
from console.presenters.tuning import job_list  # noqa: E402
from console.views import tuned_models  # noqa: E402
from jobs.models import TuningJob, TuningJobQuerySet  # noqa: E402
from jobs.models.keyset import in_order  # noqa: E402
from tests.bench.page import BUSY, write  # noqa: E402
from tests.support import factories  # noqa: E402

STATES = ["SUCCEEDED"] * 70 + ["FAILED"] * 15 + ["CANCELLED"] * 14
NAMES = ["support-bot", "night-run", "invoice", "triage", "translate"]
FILTERS = ("status:failed", "status:live", "night", "nobody-called-a-job-so", "base:gemma-3-4b", "created:7d")
LIMIT_MS, LIMIT_DEPTH = 60.0, 1.5
METRICS_TOKEN, METRICS_LIMIT_MS = "of-a-measurement-only", 50.0
DEPTHS = ("first", "middle", "last")


@dataclass
class Asked:
    """An address, and the milliseconds of the clock and of the processor that its page took. The second hardly
    depends on what else the machine does."""

    what: str
    depth: str
    address: str
    limit: float = LIMIT_MS
    clock: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def ask(self, client: Client) -> None:
        start, cpu = time.perf_counter(), time.process_time()
        response = client.get(self.address, headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
        self.clock.append((time.perf_counter() - start) * 1000)
        self.cpu.append((time.process_time() - cpu) * 1000)
        assert response.status_code == 200, self.address


def seed(rows: int) -> User:
    chance, now, owner = random.Random(1), datetime.now(UTC), factories.owner()
    data = factories.dataset(owner=owner)
    for start in range(0, rows, 5000):
        jobs = [one(chance, now, owner, data, number) for number in range(start, min(start + 5000, rows))]
        TuningJob.objects.bulk_create(jobs)
    return owner


def one(chance: random.Random, now: datetime, owner: Any, data: Any, number: int) -> TuningJob:
    created = now - timedelta(minutes=5 * number)
    state = chance.choice(["RUNNING", "PENDING", "QUEUED"]) if number < 30 else chance.choice(STATES)
    ended = state in STATES and state != "CANCELLED"
    took = chance.expovariate(1 / 3000)
    curve = [3 / (step + 1) + chance.random() / 5 for step in range(24)]
    return TuningJob(
        owner=owner, dataset=data, display_name=f"{chance.choice(NAMES)}-{number % 997}", location="us-central1",
        base_model=chance.choice([factories.BASE_MODEL, "google/gemma3@gemma-3-1b-it"]), output_uri=f"gs://b/{number}",
        epochs=3, learning_rate=0.0002, adapter_size=8,
        created_at=created, started_at=created, ended_at=created + timedelta(seconds=took) if ended else None,
        duration=took if ended else None, state=state, phase="CLOSED" if ended else "BOUND", total_steps=420,
        step=420 if ended else 100, train_loss=curve[-1] if ended else None, loss_curve=curve, next_check_at=None,
    )  # fmt: skip


def pages(owner: User) -> Iterator[Asked]:
    jobs = TuningJob.objects.visible_to(owner)
    yield from in_each_order("/tuning/", jobs, job_list.HEADS)
    yield from in_each_order("/models/", jobs.with_tuned_model(), tuned_models.HEADS)
    for words in FILTERS:
        yield Asked(f"/tuning/ with {words}", "first", f"/tuning/{pager.url({'filter': words})}")
    yield Asked("/metrics", "all", "/metrics", limit=METRICS_LIMIT_MS)


def in_each_order(path: str, rows: TuningJobQuerySet, heads: tuple[pager.Head, ...]) -> Iterator[Asked]:
    """The first, the middle and the last page, with the addresses that the links on the pages would have."""
    for key in (head.key for head in heads if head.column):
        for text in (key, f"-{key}"):
            order = pager.parse_sort(text, heads).order
            needed = ["created_at", *([order.column.name] if order.column else [])]
            keys = [order.key_of(row) for row in in_order(rows.only(*needed), order, 20_000)]
            for depth, place in zip(DEPTHS, (None, len(keys) // 2, -51), strict=True):
                after = "" if place is None else pager.serialize_key(keys[place])
                yield Asked(f"{path} by {text}", depth, f"{path}{pager.url({'sort': text, 'after': after})}")


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def table(asked: list[Asked], load: float, rows: int, rounds: int) -> str:
    lines = [
        f"Taken {datetime.now(UTC):%Y-%m-%d} by `make bench-lists`: {rows:,} jobs, {rounds} rounds, "
        f"{connection.vendor}, {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
        f"load before the start {load:.1f}. Milliseconds of a whole page with 50 rows.",
        "",
        "| list | page | median | 95 % | processor, median | goal, 95 % | met |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    for one in asked:
        figures = f"{statistics.median(one.clock):.1f} | {p95(one.clock):.1f} | {statistics.median(one.cpu):.1f}"
        met = "yes" if p95(one.clock) <= one.limit else "**no**"
        lines.append(f"| {one.what} | {one.depth} | {figures} | ≤ {one.limit:.0f} | {met} |")
    ratios = depth_ratios(asked)
    worst = max(ratios, key=lambda what: ratios[what])
    lines += [
        "",
        f"The last page takes at most {ratios[worst]:.2f} times the first ({worst}); the goal is {LIMIT_DEPTH}.",
    ]
    return "\n".join(lines)


def depth_ratios(asked: list[Asked]) -> dict[str, float]:
    """By the processor's time: what else the machine does must not count as depth."""
    middles = {(one.what, one.depth): statistics.median(one.cpu) for one in asked}
    return {what: middles[what, "last"] / middles[what, "first"] for what, depth in middles if depth == "last"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    asked = measured(options.rows, options.rounds)
    text = table(asked, load, options.rows, options.rounds)
    print(text)
    if options.write:
        if load > BUSY:
            sys.exit(f"Not written: the load was {load:.1f} before the start, more than {BUSY}.")
        write("list figures", text)
    fine = all(p95(one.clock) <= one.limit for one in asked)
    return 0 if fine and max(depth_ratios(asked).values()) <= LIMIT_DEPTH else 1


def measured(rows: int, rounds: int) -> list[Asked]:
    settings.ALLOWED_HOSTS, settings.METRICS_TOKEN = ["testserver"], METRICS_TOKEN
    connection.creation.create_test_db(verbosity=0)
    try:
        owner, client = seed(rows), Client()
        client.force_login(owner)
        asked = list(pages(owner))
        for one in asked:
            one.ask(client)
            one.clock, one.cpu = [], []
        # As console/asgi.py does.
        garbage.freeze_imported()
        for _ in range(rounds):
            for one in asked:
                one.ask(client)
        return asked
    finally:
        connection.creation.destroy_test_db(str(connection.settings_dict["NAME"]), verbosity=0)


if __name__ == "__main__":
    sys.exit(main())

"""How long the list of tuning jobs takes when there are many: `python -m tests.bench.lists [rows] [rounds]`.

Asks the real pages through Django's client in one process: the first, the middle and the last page of each order, and
the counters alone. Orders are asked in turn, so that a busy moment of the machine falls on all of them.
"""

import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from django.conf import settings  # noqa: E402  # models are there only after setup()
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402

from console.views import sorting, tuning_list  # noqa: E402
from jobs.models import TuningJob  # noqa: E402
from tests import factories  # noqa: E402

STATES = ["SUCCEEDED"] * 70 + ["FAILED"] * 15 + ["CANCELLED"] * 14
NAMES = ["support-bot", "night-run", "invoice", "triage", "translate"]
LIMIT_MS, LIMIT_DEPTH = 60.0, 1.5


def seed(rows: int) -> Any:
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
        base_model=factories.BASE_MODEL, output_uri=f"gs://b/{number}", epochs=3, learning_rate=0.0002, adapter_size=8,
        created_at=created, started_at=created, ended_at=created + timedelta(seconds=took) if ended else None,
        duration=took if ended else None, state=state, phase="CLOSED" if ended else "BOUND", total_steps=420,
        step=420 if ended else 100, train_loss=curve[-1] if ended else None, loss_curve=curve, next_check_at=None,
    )  # fmt: skip


def pages(owner: Any, order: str) -> dict[str, str]:
    """The addresses of the first, the middle and the last page, as the links on the pages would have them."""
    sort = sorting.chosen(order, tuning_list.SORTS, "-created")
    rows = TuningJob.objects.filter(owner=owner)
    name = sort.column.name if sort.column else "created_at"
    known = rows.filter(**{f"{name}__isnull": False})
    by = [f"-{name}" if sort.descending else name, *sort.tail] if sort.column else [*sort.tail]
    middle = known.order_by(*by)[known.count() // 2]
    unknown = rows.filter(**{f"{name}__isnull": True}).order_by(*sorting.NEWEST_FIRST)
    end = list((unknown if unknown.exists() else known.order_by(*by)).reverse()[:51])[-1]
    view = tuning_list.View([], sort, "")
    keys = {"middle": sorting.written(middle, sort.column), "last": sorting.written(end, sort.column)}
    return {"first": view.address(), **{depth: view.address(after=key) for depth, key in keys.items()}}


def timed(action: Callable[[], Any]) -> tuple[float, float]:
    """Milliseconds of the clock and of the processor; the second hardly depends on what else the machine does."""
    start, cpu = time.perf_counter(), time.process_time()
    action()
    return (time.perf_counter() - start) * 1000, (time.process_time() - cpu) * 1000


def asked(client: Client, address: str) -> None:
    response = client.get(f"/tuning/{address}")
    assert response.status_code == 200, address


Times = dict[Any, list[tuple[float, float]]]


def measure(actions: dict[Any, Callable[[], Any]], rounds: int) -> Times:
    for action in actions.values():
        action()
    times: Times = {key: [] for key in actions}
    for _ in range(rounds):
        for key, action in actions.items():
            times[key].append(timed(action))
    return times


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def report(times: Times, rows: int, rounds: int) -> bool:
    print(f"{rows:,} jobs, {rounds} rounds, {connection.vendor}, load {os.getloadavg()[0]:.1f}")
    print(f"{'order':<12}{'page':<8}{'p50 ms':>8}{'p95 ms':>8}{'CPU p50':>9}{'CPU p95':>9}")
    fine, middles = True, {}
    for (order, depth), both in times.items():
        clock, cpu = (list(values) for values in zip(*both, strict=True))
        middles[order, depth] = statistics.median(cpu)
        fine &= p95(clock) <= LIMIT_MS
        figures = (statistics.median(clock), p95(clock), middles[order, depth], p95(cpu))
        print(f"{order:<12}{depth:<8}{{:>8.1f}}{{:>8.1f}}{{:>9.1f}}{{:>9.1f}}".format(*figures))
    for order in dict.fromkeys(order for order, depth in times if depth == "last"):
        ratio = middles[order, "last"] / middles[order, "first"]
        fine &= ratio <= LIMIT_DEPTH
        print(f"{order:<12}last/first {ratio:.2f}")
    return fine


def main(rows: int = 100_000, rounds: int = 40) -> int:
    settings.ALLOWED_HOSTS = ["testserver"]
    connection.creation.create_test_db(verbosity=0)
    try:
        owner = seed(rows)
        client = Client()
        client.force_login(owner)
        actions: dict[Any, Callable[[], Any]] = {}
        for order in ["-created", *tuning_list.SORTS, *(f"-{key}" for key in tuning_list.SORTS if key != "created")]:
            for depth, address in pages(owner, order).items():
                actions[order, depth] = partial(asked, client, address)
        actions["counters", ""] = partial(lambda: (tuning_list.live_numbers(owner), tuning_list.ended_numbers(owner)))
        return 0 if report(measure(actions, rounds), rows, rounds) else 1
    finally:
        connection.creation.destroy_test_db(str(connection.settings_dict["NAME"]), verbosity=0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))

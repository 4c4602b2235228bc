"""The figures of the console in the text that Prometheus reads."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import redis
from django.conf import settings
from django.db import Error as DatabaseError
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from jobs import telemetry
from jobs.services.health import figures

COUNTERS = (telemetry.REQUESTS, telemetry.CALLS)
HISTOGRAMS = (telemetry.REQUEST_SECONDS, telemetry.FIRST_WORD_SECONDS)


def write(accept: str, now: datetime) -> tuple[bytes, str]:
    """And its content type, which depends on what the reader accepts. What cannot be read is left out, and a figure
    says so."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures(now))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class Figures:
    """Read once for each answer: a handful of queries and two questions to Redis."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield label_gauge(
            "garden_build", "The version of the console.", "version", {settings.VERSION: 1}, suffix="_info"
        )
        found: dict[str, Callable[[], Iterator[Metric]]] = {
            "database": lambda: in_database(self.now),
            "redis": in_redis,
        }
        could = {}
        for name, read in found.items():
            try:
                yield from list(read())
                could[name] = 1
            except (DatabaseError, redis.RedisError, OSError):
                could[name] = 0
        yield label_gauge("garden_figures_readable", "1: these figures are complete.", "source", could)


def in_database(now: datetime) -> Iterator[Metric]:
    queues = figures.waiting(now)
    yield label_gauge(
        "garden_queue_rows",
        f"Rows that could be worked on now; of more than {figures.COUNTED} no more are counted.",
        "kind",
        {kind: queue.rows for kind, queue in queues.items()},
    )
    yield label_gauge(
        "garden_queue_oldest_seconds",
        "How long the oldest of them could have been worked on.",
        "kind",
        {kind: queue.seconds for kind, queue in queues.items()},
    )
    yield label_gauge("garden_tuning_jobs", "Tuning jobs of everybody.", "state", figures.tuning_jobs())
    yield label_gauge("garden_endpoints", "Endpoints of everybody.", "state", figures.endpoints())
    alive = figures.alive(now)
    yield label_gauge(
        "garden_processes", "Processes that report.", "kind", {kind: one.running for kind, one in alive.items()}
    )
    silence = {kind: one.silence for kind, one in alive.items() if one.silence is not None}
    yield label_gauge("garden_process_silence_seconds", "Since the last report of any process of it.", "kind", silence)
    yield label_gauge(
        "garden_sweep_age_seconds", "Since a worker last swept, or the schedule asked for it.", "of",
        figures.sweep_ages(now),
    )  # fmt: skip


def in_redis() -> Iterator[Metric]:
    read = telemetry.read()
    for counter in COUNTERS:
        family = CounterMetricFamily(counter.name, counter.text, labels=counter.labels)
        for values, number in sorted(read.of(counter.name).items()):
            if len(values) == len(counter.labels):
                family.add_metric(values, number)
        yield family
    for histogram in HISTOGRAMS:
        yield render_histogram(histogram, read)
    level = telemetry.STREAMS
    yield GaugeMetricFamily(level.name, level.text, value=read.levels.get(level.name, 0))


def render_histogram(histogram: telemetry.Histogram, read: telemetry.Read) -> Metric:
    """Kept is how many fell between two bounds; told is how many fell below each."""
    family = HistogramMetricFamily(histogram.name, histogram.text, labels=histogram.labels)
    for values, total in sorted(read.of(histogram.name, telemetry.SUM).items()):
        below, buckets = 0.0, []
        for bound in histogram.parts:
            below += read.of(histogram.name, bound).get(values, 0)
            buckets.append((bound, below))
        if len(values) == len(histogram.labels):
            family.add_metric(values, buckets, total)
    return family


def label_gauge(name: str, text: str, label: str, values: Mapping[str, float], *, suffix: str = "") -> Any:
    family = GaugeMetricFamily(name + suffix, text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family

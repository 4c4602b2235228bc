"""What the processes of the console count: each adds what is new to the counts in Redis that all of them share, so that
`/metrics` of any web process tells of the whole console, whichever of them answers.

Counting costs a lock and an addition, and never waits for Redis: a thread hands over what is new every few seconds.
While Redis is away, that is kept; a process that is killed takes at most those seconds with it. Labels are words of
this program alone, so there is an end to how many there are.
"""

import atexit
import json
import logging
import os
import threading
import time
from bisect import bisect_left
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from platform import node
from typing import Any, Final

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger(__name__)

# A process that has not told its level for so long is taken to be gone.
LEVEL_SECONDS: Final = 30.0
COUNTS, LEVELS = "telemetry:counts", "telemetry:levels"
SUM: Final = "sum"

Key = tuple[str, ...]
# By the values of the labels.
Counts = dict[Key, float]


@cache
def client(url: str) -> Any:
    return redis.Redis.from_url(
        url, socket_connect_timeout=0.5, socket_timeout=1.0, retry=Retry(NoBackoff(), 0), decode_responses=True
    )


class Shared:
    """What this process has counted and not yet handed over, and its levels, which are told again and again."""

    def __init__(self) -> None:
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """In a child, too: what the parent has counted, the parent hands over, and its thread is not here."""
        self._lock = threading.Lock()
        self._new: dict[Key, float] = {}
        self._levels: dict[str, float] = {}
        self._thread: threading.Thread | None = None

    forget = _forget

    def add(self, key: Key, amount: float) -> None:
        with self._lock:
            self._new[key] = self._new.get(key, 0.0) + amount
            self._begin()

    def set_level(self, name: str, value: float) -> None:
        with self._lock:
            self._levels[name] = value
            self._begin()

    def _begin(self) -> None:
        """A system that gives no thread, or a process that ends, keeps nobody from counting."""
        if self._thread is not None or not settings.TELEMETRY_SECONDS:
            return
        thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        with suppress(RuntimeError):
            thread.start()
            self._thread = thread
            atexit.register(self.share)

    def _run(self) -> None:
        while True:
            time.sleep(settings.TELEMETRY_SECONDS)
            try:
                self.share()
            except Exception:
                logger.exception("What was counted could not be handed over")

    def share(self) -> bool:
        """False: Redis does not answer, and the next time hands over what this one could not. If it took it all and
        only its answer was lost, that is counted twice."""
        with self._lock:
            new, self._new = self._new, {}
            levels = dict(self._levels)
        try:
            self._send(new, levels)
        except (redis.RedisError, OSError):
            with self._lock:
                for key, amount in new.items():
                    self._new[key] = self._new.get(key, 0.0) + amount
            return False
        return True

    @staticmethod
    def _send(new: Mapping[Key, float], levels: Mapping[str, float]) -> None:
        if not new and not levels:
            return
        process, now = f"{node()} {os.getpid()}", time.time()
        with client(settings.REDIS_URL).pipeline(transaction=True) as pipe:
            for key, amount in new.items():
                pipe.hincrbyfloat(COUNTS, json.dumps(key), amount)
            for name, value in levels.items():
                pipe.hset(LEVELS, json.dumps([name, process]), json.dumps([value, now]))
            pipe.execute()


shared = Shared()


@dataclass(frozen=True)
class Counter:
    """`labels` are names; values are given in their order, and are words of this program."""

    name: str
    text: str
    labels: tuple[str, ...] = ()

    def count(self, *values: str) -> None:
        shared.add((self.name, "", *values), 1)


@dataclass(frozen=True)
class Histogram:
    """Of seconds; `bounds` in ascending order."""

    name: str
    text: str
    bounds: tuple[float, ...]
    labels: tuple[str, ...] = ()

    def observe(self, seconds: float, *values: str) -> None:
        place = bisect_left(self.bounds, seconds)
        bound = str(self.bounds[place]) if place < len(self.bounds) else "+Inf"
        shared.add((self.name, bound, *values), 1)
        shared.add((self.name, SUM, *values), seconds)

    @property
    def parts(self) -> tuple[str, ...]:
        return (*map(str, self.bounds), "+Inf")


@dataclass(frozen=True)
class Level:
    """A number that goes up and down; what is read is the sum of all processes."""

    name: str
    text: str

    def set(self, value: float) -> None:
        shared.set_level(self.name, value)


REQUESTS = Counter("garden_http_requests", "Requests that were answered.", ("route", "method", "status"))
REQUEST_SECONDS = Histogram(
    "garden_http_request_seconds",
    "From the start of a request, once its body is here, to its answer or the first byte of a long one.",
    (0.025, 0.1, 0.25, 1.0, 5.0),
    ("route",),
)
CALLS = Counter("garden_vertex_calls", "Calls to Vertex AI and Cloud Storage that have ended.", ("call", "outcome"))
FIRST_WORD_SECONDS = Histogram(
    "garden_chat_first_word_seconds",
    "From the moment a worker begins an answer to its first word.",
    (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0),
)
STREAMS = Level("garden_streams_open", "Event streams that are open.")


@dataclass(frozen=True)
class Read:
    """Of all processes. `counts`: by the name of the counter or histogram and the part of it."""

    counts: Mapping[tuple[str, str], Counts]
    levels: Mapping[str, float]

    def of(self, name: str, part: str = "") -> Counts:
        return self.counts.get((name, part), {})


def read() -> Read:
    """Raises RedisError. This process hands over its own news first."""
    if not shared.share():
        raise redis.ConnectionError("Redis does not answer.")
    connection = client(settings.REDIS_URL)
    counts: dict[tuple[str, str], Counts] = {}
    for field, amount in connection.hgetall(COUNTS).items():
        with suppress(ValueError):
            name, part, *values = json.loads(field)
            counts.setdefault((name, part), {})[tuple(values)] = float(amount)
    levels: dict[str, float] = {}
    for field, told in connection.hgetall(LEVELS).items():
        with suppress(ValueError):
            name, _process = json.loads(field)
            value, told_at = json.loads(told)
            if time.time() - told_at > LEVEL_SECONDS:
                connection.hdel(LEVELS, field)
            else:
                levels[name] = levels.get(name, 0.0) + value
    return Read(counts, levels)

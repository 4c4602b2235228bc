"""Counts what the endpoints answered, minute by minute: how often with which code, and how long it took."""

import logging
import math
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger(__name__)
MINUTE = 60
KEPT_SECONDS = 42 * 24 * 3600  # as Cloud Monitoring keeps these metrics
GROWTH, SCALE = 1.25, 1.0  # milliseconds: the buckets of latencies grow exponentially
BUCKETS = 66  # up to 40 minutes
_SCHEMA = """
CREATE TABLE IF NOT EXISTS counts (
    minute INTEGER NOT NULL, endpoint TEXT NOT NULL, deployed TEXT NOT NULL, code TEXT NOT NULL,
    bucket INTEGER NOT NULL, number INTEGER NOT NULL,
    PRIMARY KEY (endpoint, minute, deployed, code, bucket)
) WITHOUT ROWID;
"""
_COUNT = """
INSERT INTO counts VALUES (?, ?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET number = number + 1
"""


@dataclass(frozen=True)
class Series:
    """Of one deployed model of an endpoint; `deployed` is empty for what was refused before one was chosen."""

    endpoint: str
    deployed: str


@dataclass
class Minute:
    """`codes` such as `2xx`; `buckets` of the latencies of answers that succeeded."""

    begin: int
    codes: Counter[str] = field(default_factory=Counter)
    buckets: Counter[int] = field(default_factory=Counter)


class Answers:
    """A file of its own: what is lost of it is a figure, and nothing else waits for it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        try:
            self._database = _open(path)
        except sqlite3.DatabaseError as error:
            log.warning("%s cannot be read (%s): counting begins anew", path, error)
            for ending in ("", "-wal", "-shm"):
                path.with_name(path.name + ending).unlink(missing_ok=True)
            self._database = _open(path)

    def count(self, endpoint: str, deployed: str, code: int, seconds: float) -> None:
        """An answer is no worse for not being counted."""
        minute = int(time.time()) // MINUTE * MINUTE
        row = [minute, endpoint, deployed, f"{code // 100}xx", bucket_of(seconds * 1000)]
        try:
            with self._lock:
                self._database.execute(_COUNT, row)
        except sqlite3.Error:
            log.exception("An answer of %s was not counted", endpoint)

    def read(self, project: str, begin: float, end: float) -> dict[Series, list[Minute]]:
        """Of a project's endpoints, the minutes that end after `begin` and not after `end`."""
        found: dict[Series, list[Minute]] = {}
        for minute, endpoint, deployed, code, bucket, number in self._rows(project, begin, end):
            minutes = found.setdefault(Series(endpoint, deployed), [])
            if not minutes or minutes[-1].begin != minute:
                minutes.append(Minute(minute))
            minutes[-1].codes[code] += number
            if code == "2xx":
                minutes[-1].buckets[bucket] += number
        return found

    def _rows(self, project: str, begin: float, end: float) -> Iterator[tuple[int, str, str, str, int, int]]:
        wanted = [f"projects/{project}/", f"projects/{project}0", begin - MINUTE, end - MINUTE]
        with self._lock:
            yield from self._database.execute(
                "SELECT minute, endpoint, deployed, code, bucket, number FROM counts"
                " WHERE endpoint > ? AND endpoint < ? AND minute > ? AND minute <= ?"
                " ORDER BY endpoint, deployed, minute, code, bucket",
                wanted,
            ).fetchall()


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=OFF")
        database.executescript(_SCHEMA)
        database.execute("DELETE FROM counts WHERE minute < ?", [time.time() - KEPT_SECONDS])
    except sqlite3.Error:
        database.close()
        raise
    return database


def bucket_of(milliseconds: float) -> int:
    """0 is below the first bound, and bucket n ends at SCALE * GROWTH**n."""
    if milliseconds < SCALE:
        return 0
    return min(1 + int(math.log(milliseconds / SCALE, GROWTH)), BUCKETS + 1)


def percentile(buckets: Counter[int], percent: int) -> float | None:
    """In milliseconds, as if the values of a bucket lay evenly in it, as Cloud Monitoring takes them."""
    total = sum(buckets.values())
    rank, before = total * percent / 100, 0
    for bucket in sorted(buckets):
        if before + buckets[bucket] >= rank > 0:
            low = SCALE * GROWTH ** (bucket - 1) if bucket else 0.0
            high = SCALE * GROWTH**bucket
            return low + (high - low) * (rank - before) / buckets[bucket]
        before += buckets[bucket]
    return None

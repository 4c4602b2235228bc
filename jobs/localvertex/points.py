"""The points of tensorboards' time series, in the store's database."""

import json
import sqlite3
import threading
from collections.abc import Iterable

from jobs.localvertex.api.wire import Json

_SCHEMA = """
CREATE TABLE IF NOT EXISTS points (
    series TEXT NOT NULL, step INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (series, step)
) WITHOUT ROWID;
"""


class Points:
    """Writes belong to whichever transaction is open."""

    def __init__(self, database: sqlite3.Connection, lock: threading.RLock) -> None:
        self._database = database
        self._lock = lock
        database.executescript(_SCHEMA)

    def write(self, series: str, points: Iterable[tuple[int, Json]]) -> None:
        """A step that is written again has the new value."""
        rows = [(series, step, json.dumps(body)) for step, body in points]
        with self._lock:
            self._database.executemany("INSERT OR REPLACE INTO points (series, step, body) VALUES (?, ?, ?)", rows)

    def read(self, series: str) -> list[Json]:
        """In the order of steps."""
        query = "SELECT body FROM points WHERE series = ? ORDER BY step"
        with self._lock:
            rows = self._database.execute(query, (series,)).fetchall()
        return [json.loads(row[0]) for row in rows]

    def measure(self, parent: str) -> int:
        """Bytes of all points below a name."""
        query = "SELECT coalesce(sum(length(body)), 0) FROM points WHERE series > ? AND series < ?"
        with self._lock:
            (found,) = self._database.execute(query, (f"{parent}/", f"{parent}0")).fetchone()
        return int(found)

    def delete(self, name: str) -> None:
        """Of the series of that name, and of all below it."""
        with self._lock:
            where = "series = ? OR (series > ? AND series < ?)"
            self._database.execute(f"DELETE FROM points WHERE {where}", (name, f"{name}/", f"{name}0"))  # noqa: S608

"""What survives a restart: every resource as Google's JSON in one SQLite table, and this server's notes beside it.

A resource is kept as protobuf's bytes too, which are read twenty times faster; where they lack, the JSON is read."""

import base64
import hashlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, SupportsIndex, TypeVar, overload

from google.protobuf.message import Message as RawMessage
from proto import Message as PlusMessage

from jobs.localvertex.api.errors import exists, not_found, unavailable
from jobs.localvertex.api.wire import Json, load, raw, render
from jobs.localvertex.points import Points
from jobs.localvertex.shortages import shortage_on

Resource = TypeVar("Resource", bound=PlusMessage | RawMessage)

ROWS_AT_ONCE = 200
MOST_TEXTS = 8  # SQLite takes no condition of a thousand
VERSION_SIGN = "@"
# An older version of this program, which somebody went back to, writes the JSON alone.
_FORGET_STALE = """
CREATE TRIGGER IF NOT EXISTS resources_stale AFTER UPDATE OF body ON resources
WHEN NEW.message IS OLD.message AND NEW.body IS NOT OLD.body
BEGIN UPDATE resources SET message = NULL WHERE number = NEW.number; END
"""
_BELOW = "name > ? AND name < ?"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    message BLOB
);
CREATE INDEX IF NOT EXISTS resources_kind ON resources (kind, number);
CREATE INDEX IF NOT EXISTS resources_name ON resources (kind, name);
CREATE INDEX IF NOT EXISTS resources_progress
    ON resources (kind, json_extract(body, '$.state'), json_extract(body, '$.done'));
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, body TEXT NOT NULL);
"""


class Store:
    """One connection and one lock: every call is short, and a read-change-write under `edit` is one unit."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._folder = path.parent
        self._lock = threading.RLock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.executescript(_SCHEMA)
        if "message" not in [column[1] for column in self._database.execute("PRAGMA table_info(resources)")]:
            self._database.execute("ALTER TABLE resources ADD COLUMN message BLOB")
        self.points = Points(self._database, self._lock)
        self._database.execute(_FORGET_STALE)

    def check(self) -> None:
        """Raises sqlite3.DatabaseError for a file with a damaged page, which may be far from what a start reads."""
        (found,) = self._database.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError("database disk image is malformed")

    def close(self) -> None:
        with self._lock:
            self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and nobody else in between. May be nested: the outermost decides."""
        with self._lock:
            if self._database.in_transaction:
                yield
                return
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                # A full disk ends the transaction, or leaves it open for another try: then everybody would be in it.
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def require_room(self) -> None:
        """Before anything begins that leaves a trace elsewhere than here."""
        if problem := shortage_on(self._folder):
            raise unavailable(problem)

    def insert(self, resource: PlusMessage | RawMessage) -> None:
        stamp(resource)
        row = (resource.name, _kind(type(resource)), *_store(resource))
        with self._lock:
            try:
                self._database.execute("INSERT INTO resources (name, kind, body, message) VALUES (?, ?, ?, ?)", row)
            except sqlite3.IntegrityError:
                raise exists(resource.name) from None

    def find(self, kind: type[Resource], name: str) -> Resource | None:
        query = "SELECT body, message FROM resources WHERE name = ? AND kind = ?"
        with self._lock:
            row = self._database.execute(query, (name, _kind(kind))).fetchone()
        return _load(kind, *row) if row else None

    def get(self, kind: type[Resource], name: str) -> Resource:
        found = self.find(kind, name)
        if found is None:
            raise not_found(f"The {_kind(kind)} {name}")
        return found

    def all(self, kind: type[Resource], parent: str = "") -> "Rows[Resource]":
        """Newest first, as Google lists them."""
        if not parent:
            return Rows(self, kind, self._numbers(kind, "TRUE"))
        return Rows(self, kind, self._numbers(kind, _BELOW, *_bound_names(parent)))

    def find_in_states(self, kind: type[Resource], states: Iterable[str]) -> "Rows[Resource]":
        """`all` of those whose `state` is one of these, however many others there are."""
        wanted = list(states)
        states_of_query = ", ".join("?" * len(wanted))
        return Rows(self, kind, self._numbers(kind, f"json_extract(body, '$.state') IN ({states_of_query})", *wanted))

    def find_undone(self, kind: type[Resource]) -> "Rows[Resource]":
        """`all` of those that are not `done`."""
        condition = "json_extract(body, '$.state') IS NULL AND json_extract(body, '$.done') IS NULL"
        return Rows(self, kind, self._numbers(kind, condition))

    def find_versions(self, kind: type[Resource], bare: str) -> "Rows[Resource]":
        """What is called `bare`, or `bare@` and a version."""
        condition = "(name = ? OR name > ? AND name < ?)"
        return Rows(self, kind, self._numbers(kind, condition, bare, *_bound_names(bare, VERSION_SIGN)))

    def find_unversioned(self, kind: type[Resource], parent: str) -> "Rows[Resource]":
        """`all` without those that are called by a version."""
        condition = f"{_BELOW} AND instr(name, ?) = 0"
        return Rows(self, kind, self._numbers(kind, condition, *_bound_names(parent), VERSION_SIGN))

    def _numbers(self, kind: type[Resource], condition: str, *values: Any) -> list[int]:
        query = f"SELECT number FROM resources WHERE kind = ? AND {condition} ORDER BY number DESC"  # noqa: S608  # our own words
        with self._lock:
            return [number for (number,) in self._database.execute(query, (_kind(kind), *values))]

    def read(self, kind: type[Resource], numbers: Sequence[int]) -> list[Resource]:
        """In the order of `numbers`, without those that have gone."""
        query = "SELECT number, body, message FROM resources WHERE number IN (SELECT value FROM json_each(?))"
        with self._lock:
            found = {row[0]: row[1:] for row in self._database.execute(query, (json.dumps(numbers),))}
        return [_load(kind, *found[number]) for number in numbers if number in found]

    def read_bodies(self, numbers: Sequence[int], containing: Iterable[str] = ()) -> dict[int, Json]:
        """The JSON in the order of `numbers`, without those that have gone or lack one of the first of `containing`."""
        texts = list(containing)[:MOST_TEXTS]
        condition = "".join(" AND instr(body, ?) > 0" for _ in texts)
        query = f"SELECT number, body FROM resources WHERE number IN (SELECT value FROM json_each(?)){condition}"  # noqa: S608
        with self._lock:
            found = dict(self._database.execute(query, (json.dumps(numbers), *texts)))
        return {number: json.loads(found[number]) for number in numbers if number in found}

    def find_display_name(self, kind: type[Resource], parent: str, display_name: str) -> str:
        """The name of the one below the parent that is called so; empty when none is."""
        query = (
            "SELECT name FROM resources WHERE kind = ? AND name > ? AND name < ?"
            " AND json_extract(body, '$.displayName') = ?"
        )
        with self._lock:
            row = self._database.execute(query, (_kind(kind), f"{parent}/", f"{parent}0", display_name)).fetchone()
        return row[0] if row else ""

    @contextmanager
    def edit(self, kind: type[Resource], name: str, *, stamped: bool = True) -> Iterator[Resource]:
        """`stamped` false keeps the etag, for a change that nobody's own collides with."""
        with self.transaction():
            resource = self.get(kind, name)
            yield resource
            if stamped:
                stamp(resource)
            values = (*_store(resource), name)
            self._database.execute("UPDATE resources SET body = ?, message = ? WHERE name = ?", values)

    def remove(self, name: str) -> None:
        """The resource, but not what is remembered of it."""
        with self.transaction():
            self._database.execute("DELETE FROM resources WHERE name = ?", (name,))

    def delete(self, name: str) -> None:
        with self.transaction():
            self.remove(name)
            self._database.execute("DELETE FROM notes WHERE name = ?", (name,))

    def delete_tree(self, name: str) -> None:
        """The resource and all below it, with what is remembered of them and their points."""
        below = "name = ? OR (name > ? AND name < ?)"
        with self.transaction():
            for table in ("resources", "notes"):
                self._database.execute(f"DELETE FROM {table} WHERE {below}", (name, f"{name}/", f"{name}0"))  # noqa: S608
            self.points.delete(name)

    def note(self, name: str) -> Json:
        """What this server remembers of a resource that Google's message has no field for."""
        with self._lock:
            row = self._database.execute("SELECT body FROM notes WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else {}

    def write_note(self, name: str, **values: Any) -> None:
        with self.transaction():
            body = json.dumps(self.note(name) | values)
            self._database.execute("INSERT OR REPLACE INTO notes (name, body) VALUES (?, ?)", (name, body))


class Rows(Sequence[Resource]):
    """Resources in an order, of which only those are read that somebody asks for."""

    def __init__(self, store: Store, kind: type[Resource], numbers: Sequence[int]) -> None:
        self._store = store
        self._kind = kind
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, at: SupportsIndex) -> Resource: ...
    @overload
    def __getitem__(self, at: slice) -> list[Resource]: ...
    def __getitem__(self, at: SupportsIndex | slice) -> Resource | list[Resource]:
        if isinstance(at, slice):
            return self._store.read(self._kind, self._numbers[at])
        (found,) = self._store.read(self._kind, [self._numbers[at.__index__()]])
        return found

    def __iter__(self) -> Iterator[Resource]:
        for first in range(0, len(self), ROWS_AT_ONCE):
            yield from self[first : first + ROWS_AT_ONCE]

    def __reversed__(self) -> Iterator[Resource]:
        return iter(Rows(self._store, self._kind, self._numbers[::-1]))

    def choose(self, test: Callable[[Json], bool], containing: Iterable[str]) -> "Rows[Resource]":
        """Those whose JSON passes. It has each text of `containing`, so that others need not be looked at."""
        bodies = self._store.read_bodies(self._numbers, containing)
        return Rows(self._store, self._kind, [number for number, body in bodies.items() if test(body)])

    def order(self, *keys: tuple[Callable[[Json], Any], bool]) -> "Rows[Resource]":
        """In another order: of each key, and whether it goes down, the first is the most important."""
        bodies = self._store.read_bodies(self._numbers) if keys else {}
        numbers = list(bodies) if keys else self._numbers
        for key, down in reversed(keys):
            numbers = sorted(numbers, key=lambda number: key(bodies[number]), reverse=down)
        return Rows(self._store, self._kind, numbers)


def stamp(resource: PlusMessage | RawMessage) -> None:
    """An etag, where the message has one: it changes when anything else of the resource does."""
    message = raw(resource)
    if "etag" in message.DESCRIPTOR.fields_by_name:
        message.etag = ""
        content = json.dumps(render(message), sort_keys=True).encode()
        message.etag = base64.urlsafe_b64encode(hashlib.blake2b(content, digest_size=9).digest()).decode()


def _kind(kind: type[PlusMessage | RawMessage]) -> str:
    return kind.__name__


def _store(resource: PlusMessage | RawMessage) -> tuple[str, bytes]:
    return json.dumps(render(resource)), raw(resource).SerializeToString()


def _load(kind: type[Resource], body: str, message: bytes | None) -> Resource:
    if message is None:
        return load(kind, json.loads(body))
    found: Resource = kind.deserialize(message) if issubclass(kind, PlusMessage) else kind.FromString(message)
    return found


def _bound_names(parent: str, sign: str = "/") -> tuple[str, str]:
    """What every name below `parent` lies between."""
    return parent + sign, parent + chr(ord(sign) + 1)


class Ledger:
    """An append-only record of everything that was created, by which reliability tests judge."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._lock = threading.Lock()

    def record(self, method: str, name: str, **facts: Any) -> None:
        line = json.dumps({"time": time.time(), "method": method, "name": name, **facts}) + "\n"
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

"""What survives a restart: every resource as Google's JSON in one SQLite table, and this server's notes beside it."""

import base64
import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf.message import Message as RawMessage
from proto import Message as PlusMessage

from jobs.localvertex.api.errors import exists, not_found, unavailable
from jobs.localvertex.api.wire import Json, load, raw, render
from jobs.localvertex.points import Points
from jobs.localvertex.shortages import shortage_on

Resource = TypeVar("Resource", bound=PlusMessage | RawMessage)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS resources_kind ON resources (kind, number);
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
        self.points = Points(self._database, self._lock)

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
        row = (resource.name, _kind(type(resource)), json.dumps(render(resource)))
        with self._lock:
            try:
                self._database.execute("INSERT INTO resources (name, kind, body) VALUES (?, ?, ?)", row)
            except sqlite3.IntegrityError:
                raise exists(resource.name) from None

    def find(self, kind: type[Resource], name: str) -> Resource | None:
        query = "SELECT body FROM resources WHERE name = ? AND kind = ?"
        with self._lock:
            row = self._database.execute(query, (name, _kind(kind))).fetchone()
        return load(kind, json.loads(row[0])) if row else None

    def get(self, kind: type[Resource], name: str) -> Resource:
        found = self.find(kind, name)
        if found is None:
            raise not_found(f"The {_kind(kind)} {name}")
        return found

    def all(self, kind: type[Resource], parent: str = "") -> list[Resource]:
        """Newest first, as Google lists them."""
        query = "SELECT body FROM resources WHERE kind = ? AND substr(name, 1, ?) = ? ORDER BY number DESC"
        prefix = f"{parent}/" if parent else ""
        with self._lock:
            rows = self._database.execute(query, (_kind(kind), len(prefix), prefix)).fetchall()
        return [load(kind, json.loads(row[0])) for row in rows]

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
            self._database.execute("UPDATE resources SET body = ? WHERE name = ?", (json.dumps(render(resource)), name))

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


def stamp(resource: PlusMessage | RawMessage) -> None:
    """An etag, where the message has one: it changes when anything else of the resource does."""
    message = raw(resource)
    if "etag" in message.DESCRIPTOR.fields_by_name:
        message.etag = ""
        content = json.dumps(render(message), sort_keys=True).encode()
        message.etag = base64.urlsafe_b64encode(hashlib.blake2b(content, digest_size=9).digest()).decode()


def _kind(kind: type[PlusMessage | RawMessage]) -> str:
    return kind.__name__

"""Where a secret may turn up: the processes of a console, its files, its database, its broker."""

import base64
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis


@dataclass
class Watch:
    """`seen`: the command line and the environment of every process below `root`, however short it lived."""

    root: int
    seen: dict[int, dict[str, bytes]] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.over.wait(0.02):
            self.look()

    def look(self) -> None:
        for pid in descendants(self.root):
            with suppress(OSError):
                self.note(pid, Path(f"/proc/{pid}"))

    def note(self, pid: int, folder: Path) -> None:
        """What has not become its own program yet still shows that of its parent."""
        before = (folder / "cmdline").read_bytes()
        environment = (folder / "environ").read_bytes()
        if before and before == (folder / "cmdline").read_bytes():
            self.seen.setdefault(pid, {})[before.replace(b"\0", b" ").decode(errors="replace")] = environment

    def programs(self) -> Iterator[tuple[str, bytes]]:
        for found in self.seen.values():
            yield from found.items()


def descendants(root: int) -> set[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found, more = {root}, {root}
    while more:
        more = {pid for pid, parent in parents.items() if parent in more} - found
        found |= more
    return found


@contextmanager
def watching(root: int) -> Iterator[Watch]:
    watch = Watch(root)
    thread = threading.Thread(target=watch.run)
    thread.start()
    try:
        yield watch
    finally:
        watch.over.set()
        thread.join()


def names_in(content: bytes | str, planted: Mapping[str, str]) -> set[str]:
    raw = content if isinstance(content, bytes) else content.encode(errors="replace")
    return {name for name, secret in planted.items() if secret.encode() in raw}


def found_in(places: Mapping[str, bytes | str], planted: Mapping[str, str]) -> set[tuple[str, str]]:
    """(place, name of the secret)."""
    return {(place, name) for place, content in places.items() for name in names_in(content, planted)}


def files_of(folder: Path) -> dict[str, bytes]:
    found = {}
    for path in folder.rglob("*"):
        with suppress(OSError):
            if path.is_file() and path.stat().st_size < 50_000_000:
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def tables_of(file: Path) -> dict[str, str]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: database.execute(f'SELECT * FROM "{name}"').fetchall() for name in names}  # noqa: S608  # names from the schema
    return {name: repr([[readable(value) for value in row] for row in found]) for name, found in rows.items()}


def readable(value: Any) -> Any:
    """With the content of a session behind it, which is packed."""
    if not isinstance(value, str) or value.count(":") != 2:
        return value
    packed = value.partition(":")[0]
    with suppress(ValueError, zlib.error):
        content = base64.urlsafe_b64decode(packed.removeprefix(".") + "=" * (-len(packed.removeprefix(".")) % 4))
        return value, zlib.decompress(content) if packed.startswith(".") else content
    return value


def messages_of(broker: redis.Redis) -> dict[str, str]:
    read: dict[Any, Callable[[str], Any]] = {
        b"string": broker.get,
        b"list": lambda key: broker.lrange(key, 0, -1),
        b"hash": broker.hgetall,
        b"set": broker.smembers,
        b"zset": lambda key: broker.zrange(key, 0, -1),
        b"stream": broker.xrange,
    }
    keys = [key.decode() for key in broker.scan_iter()]
    return {key: f"{key} {read[broker.type(key)](key)!r}" for key in keys if broker.exists(key)}

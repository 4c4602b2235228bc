"""What of the data directory goes into a backup, and how a file that is being written is read whole."""

import os
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from .archive import Writer

# Made anew at each start, or of no use on another day.
LEFT_OUT: Final = frozenset({"run", "logs", "cache", "static", "beat-schedule"})
DATABASE_ENDINGS: Final = ("-wal", "-shm", "-journal")
SQLITE_MAGIC: Final = b"SQLite format 3\0"
TRIES: Final = 3
FOLDER: Final = "data"


def find_files(data_dir: Path, left_out: frozenset[str]) -> Iterator[Path]:
    """Regular files below the data directory; `left_out` has names directly in it. Links are not followed."""
    for folder, folders, names in os.walk(data_dir):
        if Path(folder) == data_dir:
            folders[:] = [name for name in folders if name not in left_out and not name.startswith("before-restore-")]
            names = [name for name in names if name not in left_out]
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            is_part_of_database = name.endswith(DATABASE_ENDINGS)
            if not is_part_of_database and not name.endswith(".partial") and is_regular(path):
                yield path


def is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def add_file(writer: Writer, path: Path, data_dir: Path) -> str:
    """A remark, or nothing when the file was read whole. One that was deleted meanwhile needs none."""
    name = f"{FOLDER}/{path.relative_to(data_dir).as_posix()}"
    try:
        if is_database(path):
            with tempfile.NamedTemporaryFile(dir=data_dir, suffix=".partial") as copy:
                copy_database(path, Path(copy.name))
                writer.add(name, copy)
            return ""
        return add_steady(writer, name, path)
    except FileNotFoundError:
        writer.manifest.members.pop(name, None)
        return ""


def add_steady(writer: Writer, name: str, path: Path) -> str:
    """Reads again what changed while it was read: the last copy counts, and its end is that of an append at worst."""
    for _attempt in range(TRIES):
        before = path.stat()
        with path.open("rb") as source:
            writer.add(name, source)
        after = path.stat()
        if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
            return ""
    return f"{path.name} changed while it was read; the backup has what it held then."


def is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC


def copy_database(source: Path, target: Path) -> None:
    """As of one moment, beside readers and writers. Raises sqlite3.Error."""
    with (
        closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, timeout=20)) as live,
        closing(sqlite3.connect(target)) as copy,
    ):
        live.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")

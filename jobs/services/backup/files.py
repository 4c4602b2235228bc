"""What of the data directory goes into a backup, and how a file that is being written is read whole."""

import os
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connection

from .archive import CHUNK, BackupFailed, Writer
from .exchange import ASIDE

# Directly in the data directory. Made anew at each start, or what a restore and a backup write there themselves.
STAGED: Final = ".restore"
STAYS: Final = frozenset({"run", "logs", "cache", "static", STAGED})
COPY: Final = ".backup-"
STAYS_BEGIN: Final = ("beat-schedule", ASIDE, COPY)
DATABASE_ENDINGS: Final = ("-wal", "-shm", "-journal")
# What names other files, before these are looked for: all that it names is there by then. The first is a database.
SERVER_DATABASE: Final = "localvertex/vertex.sqlite3"
INDEXES: Final = (SERVER_DATABASE, "storage/.cloudstorage/.meta")
# Counts of answers, which are no loss: the server begins to count anew.
COUNTS: Final = "localvertex/answers.sqlite3"
OF_COUNTS: Final = frozenset({COUNTS, *(COUNTS + ending for ending in DATABASE_ENDINGS)})
OF_SERVER_DATABASE: Final = frozenset(SERVER_DATABASE + ending for ending in DATABASE_ENDINGS)
GONE: Final = (FileNotFoundError, NotADirectoryError)
TRIES: Final = 3
FOLDER: Final = "data"
KINDS: Final[dict[int, str]] = {
    stat.S_IFLNK: "a link", stat.S_IFSOCK: "a socket", stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}  # fmt: skip


def stays(name: str) -> bool:
    """Whether what has this name directly in the data directory belongs to no backup."""
    static_root = Path(settings.STATIC_ROOT)
    is_static = static_root == Path(settings.DATA_DIR) / name
    return name in STAYS or name.startswith(STAYS_BEGIN) or is_static


def names_of_database() -> frozenset[str]:
    """Files of the console's database, directly in the data directory. It has its own member."""
    if connection.vendor != "sqlite":
        return frozenset()
    name = Path(str(connection.settings_dict["NAME"])).name
    return frozenset({name, *(name + ending for ending in DATABASE_ENDINGS)})


def is_left_out(name: str) -> bool:
    return stays(name) or name in names_of_database()


def add_files(writer: Writer, data_dir: Path, *written: Path) -> list[str]:
    """Remarks on what is not in the backup, and on what changed meanwhile. `written` are left out: those that this
    backup is written to. Raises BackupFailed for what cannot be read."""
    indexes = [data_dir / name for name in INDEXES if os.path.lexists(data_dir / name)]
    remarks = [add_file(writer, one, data_dir) for one in indexes]
    done = {*indexes, *written, *(data_dir / name for name in OF_COUNTS)}
    names = {path.name for path in done}
    for path in find_files(data_dir):
        if path.name not in names or done.isdisjoint({path, path.resolve()}):
            remarks.append(add_file(writer, path, data_dir))
    return [remark for remark in remarks if remark]


def find_files(data_dir: Path) -> Iterator[Path]:
    """All that is no folder, in order. Links directly in the data directory are followed: they lead to other disks.

    Raises BackupFailed for a folder that cannot be read.
    """
    with reading(data_dir):
        tops = sorted(data_dir.iterdir())
    for top in tops:
        if not is_left_out(top.name):
            yield from find_below(top) if os.path.isdir(top) else [top]


def find_below(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder, onerror=raise_unless_gone):
        folders.sort()
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        yield from (Path(place, name) for name in sorted(names + links))


def raise_unless_gone(error: OSError) -> None:
    with reading(Path(error.filename)):
        if not isinstance(error, GONE):
            raise error


def add_file(writer: Writer, path: Path, data_dir: Path) -> str:
    """A remark, or nothing when the file was read whole. Raises BackupFailed for one that cannot be read."""
    place = path.relative_to(data_dir).as_posix()
    name = f"{FOLDER}/{place}"
    try:
        if place in OF_SERVER_DATABASE:
            return ""
        if problem := why_not_take(path, data_dir):
            return f"{show_path(path)} is not in the backup: {problem}."
        if place == SERVER_DATABASE:
            return add_database(writer, name, path, data_dir)
        return add_steady(writer, name, path)
    except GONE:
        writer.manifest.members.pop(name, None)
        return f"{show_path(path)} is not in the backup: it was deleted in the meantime."


def why_not_take(path: Path, data_dir: Path) -> str:
    is_link = os.path.islink(path)
    with reading(path):
        try:
            mode = (path.stat() if path.parent == data_dir else path.lstat()).st_mode
        except GONE:
            if is_link:
                raise BackupFailed(
                    f"{show_path(path)} links to {os.readlink(path)!r}, which does not exist. Attach that disk, or "
                    "delete the link, then create the backup."
                ) from None
            raise
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return "its name is not valid text"
    return "" if stat.S_ISREG(mode) else f"it is {KINDS.get(stat.S_IFMT(mode), 'no file')}"


def add_database(writer: Writer, name: str, path: Path, data_dir: Path) -> str:
    with copy_of_database(path, data_dir) as copy:
        writer.add(name, parts_of(copy))
    return ""


def add_steady(writer: Writer, name: str, path: Path) -> str:
    """Reads again what changed while it was read: the last copy counts, and its end is that of an append at worst."""
    for _attempt in range(TRIES):
        before = path.stat()
        writer.add(name, parts_of(path))
        after = path.stat()
        if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
            return ""
    return f"{show_path(path)} changed while it was read; the backup has what it held then."


def parts_of(path: Path) -> Iterator[bytes]:
    with reading(path), path.open("rb") as source:
        while part := source.read(CHUNK):
            yield part


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What went wrong is told of the file that was read, not of the one that is written; one that is gone is told by
    its own error."""
    try:
        yield
    except GONE:
        raise
    except OSError as error:
        raise BackupFailed(
            f"{show_path(path)} cannot be read: {error.strerror or error}. Make it readable for the user who makes the "
            "backup, or move it out of the data directory."
        ) from error


@contextmanager
def copy_of_database(source: Path, data_dir: Path) -> Iterator[Path]:
    """As of one moment, beside readers and writers. Raises BackupFailed for what is no database."""
    with tempfile.TemporaryDirectory(dir=data_dir, prefix=COPY) as folder:
        copy = Path(folder, "copy")
        try:
            copy_database(source, copy)
        except sqlite3.Error as error:
            raise BackupFailed(
                f"The database {show_path(source)} cannot be copied: {error}. Repair it or make room for the copy in "
                f"{data_dir}; then make the backup."
            ) from error
        yield copy


def copy_database(source: Path, target: Path) -> None:
    """Raises sqlite3.Error."""
    with (
        closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, timeout=20)) as live,
        closing(sqlite3.connect(target)) as copy,
    ):
        live.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")


def show_path(path: Path) -> str:
    """Whoever makes an object names it: its name writes nothing but itself on a terminal."""
    return str(path) if str(path).isprintable() else repr(str(path))

"""What the console has run out of: told from an error of the database, the disk or the system, in this one place.

It is no fault of the person or of the program, and it passes: what was asked is refused with a sentence, what is due
stays due, and the log says it once a minute.
"""

import errno
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError
from django.utils.translation import gettext_noop

from jobs.errors import NoRoom
from jobs.text.deferred import gettext as _, join

MEGABYTE = 2**20
# What uploads and trainings leave free, so that the database always has room: so much, of a small disk a twentieth.
RESERVE, RESERVE_SHARE = 100 * MEGABYTE, 20
LOOK_SECONDS, NOTED_SECONDS, LOG_SECONDS = 2.0, 15.0, 60.0
DEEPEST_CAUSE = 10


class Shortage(StrEnum):
    DISK_FULL = "disk full"
    DISK_READ_ONLY = "disk read-only"
    DISK_BROKEN = "disk errors"
    DATABASE_FULL = "disk of the database full"
    DATABASE_READ_ONLY = "database read-only"
    DATABASE_AWAY = "database away"
    DATABASE_BUSY = "database busy"
    DESCRIPTORS = "no file descriptors"
    MEMORY = "no memory"

    @property
    def sentence(self) -> str:
        return _(SENTENCES[self])

    @property
    def remedy(self) -> str:
        return _(REMEDIES.get(self, AGAIN))


SENTENCES = {
    Shortage.DISK_FULL: gettext_noop(
        "The disk of the data directory is full. Nothing can be saved until there is free space."
    ),
    Shortage.DISK_READ_ONLY: gettext_noop(
        "The disk of the data directory is read-only. Nothing can be saved until it is writable."
    ),
    Shortage.DISK_BROKEN: gettext_noop(
        "The disk of the data directory reports errors. Nothing can be saved until it works again."
    ),
    Shortage.DATABASE_FULL: gettext_noop(
        "The disk of the database server is full. Nothing can be saved until there is free space."
    ),
    Shortage.DATABASE_READ_ONLY: gettext_noop(
        "The database is read-only. Nothing can be saved until it is writable."
    ),
    Shortage.DATABASE_AWAY: gettext_noop("The database does not answer."),
    Shortage.DATABASE_BUSY: gettext_noop("The database is busy with other changes."),
    Shortage.DESCRIPTORS: gettext_noop("The console has reached the limit of open files and connections."),
    Shortage.MEMORY: gettext_noop("This machine is out of memory."),
}  # fmt: skip
AGAIN = gettext_noop("Try again in a moment.")
MAKE_ROOM = gettext_noop("Free up disk space, then try again.")
MAKE_WRITABLE = gettext_noop("Make it writable again, then try again.")
REMEDIES = {
    Shortage.DISK_FULL: MAKE_ROOM,
    Shortage.DATABASE_FULL: MAKE_ROOM,
    Shortage.DISK_READ_ONLY: MAKE_WRITABLE,
    Shortage.DATABASE_READ_ONLY: MAKE_WRITABLE,
    Shortage.DISK_BROKEN: gettext_noop("Check the system log for disk errors."),
}

OF_SYSTEM = {
    errno.ENOSPC: Shortage.DISK_FULL,
    errno.EDQUOT: Shortage.DISK_FULL,
    errno.EROFS: Shortage.DISK_READ_ONLY,
    errno.EIO: Shortage.DISK_BROKEN,
    errno.EMFILE: Shortage.DESCRIPTORS,
    errno.ENFILE: Shortage.DESCRIPTORS,
    errno.ENOMEM: Shortage.MEMORY,
}
OF_SQLITE = {
    sqlite3.SQLITE_FULL: Shortage.DISK_FULL,
    sqlite3.SQLITE_READONLY: Shortage.DISK_READ_ONLY,
    sqlite3.SQLITE_IOERR: Shortage.DISK_BROKEN,
    sqlite3.SQLITE_CANTOPEN: Shortage.DATABASE_AWAY,
    sqlite3.SQLITE_BUSY: Shortage.DATABASE_BUSY,
    sqlite3.SQLITE_NOMEM: Shortage.MEMORY,
}
# By the beginning of what PostgreSQL calls an error, the longest first.
OF_POSTGRESQL = {
    "53100": Shortage.DATABASE_FULL,
    "53200": Shortage.MEMORY,
    "53": Shortage.DATABASE_AWAY,
    "58030": Shortage.DISK_BROKEN,
    "25006": Shortage.DATABASE_READ_ONLY,
    "57P": Shortage.DATABASE_AWAY,
    "08": Shortage.DATABASE_AWAY,
    "55P03": Shortage.DATABASE_BUSY,
}


def shortage_of(error: BaseException | None) -> Shortage | None:
    """What lies behind `error`, however often it was wrapped; None when it is anything else."""
    return next((found for each in _causes(error) if (found := _shortage_of_error(each))), None)


def explain(error: Exception) -> str:
    """For a person: the shortage behind it with the remedy, else what it says itself."""
    shortage = shortage_of(error)
    return join(shortage.sentence, shortage.remedy) if shortage else str(error)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    for _depth in range(DEEPEST_CAUSE):
        if error is None:
            return
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _shortage_of_error(error: BaseException) -> Shortage | None:
    if isinstance(error, MemoryError):
        return Shortage.MEMORY
    if isinstance(error, OSError):
        return OF_SYSTEM.get(error.errno or 0)
    if isinstance(error, sqlite3.Error):
        return _shortage_of_sqlite(error)
    if isinstance(error, DatabaseError | InterfaceError):
        return _shortage_of_postgresql(error)
    return None


def _shortage_of_sqlite(error: sqlite3.Error) -> Shortage | None:
    """It says that it cannot open or write a file, and not why: the system tells."""
    found = OF_SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    if found in {Shortage.DISK_BROKEN, Shortage.DATABASE_AWAY}:
        return _descriptors() or disk() or found
    return found


def _shortage_of_postgresql(error: Exception) -> Shortage | None:
    """Its driver's error is behind Django's; without a code it did not come from the server: there is none. That of a
    database which can only be read is no OperationalError."""
    cause = error.__cause__
    if cause is None or not type(cause).__module__.startswith("psycopg"):
        return None
    code = getattr(cause, "sqlstate", None)
    if not code:
        return Shortage.DATABASE_AWAY if isinstance(error, OperationalError | InterfaceError) else None
    return next((found for start, found in OF_POSTGRESQL.items() if code.startswith(start)), None)


def _descriptors() -> Shortage | None:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return OF_SYSTEM.get(error.errno or 0)
    return None


class Disk(NamedTuple):
    """Of the data directory: bytes that are free, of how many, and whether none of them can be written."""

    free: int
    total: int
    is_read_only: bool

    @property
    def shortage(self) -> Shortage | None:
        if self.is_read_only:
            return Shortage.DISK_READ_ONLY
        return Shortage.DISK_FULL if self.free < settings.DISK_LEAST_BYTES else None

    def require_room(self, size: int) -> None:
        if self.is_read_only:
            raise NoRoom(join(Shortage.DISK_READ_ONLY.sentence, Shortage.DISK_READ_ONLY.remedy))
        if self.free - size < min(RESERVE, self.total // RESERVE_SHARE):
            words = {"free": max(0, self.free // MEGABYTE)}
            text = _("The disk of the data directory is nearly full: %(free)d MB are left.") % words
            raise NoRoom(join(text, Shortage.DISK_FULL.remedy))


class Seen:
    """The disk as it was two seconds ago at most, and what was met last: a server's disk cannot be looked at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looked_at = self._noted_at = float("-inf")
        self._disk = Disk(0, 0, False)
        self._noted: Shortage | None = None
        self._logged: dict[Shortage, float] = {}

    def look(self) -> Disk:
        now = time.monotonic()
        with self._lock:
            if now - self._looked_at >= LOOK_SECONDS:
                found = os.statvfs(_data_dir())
                free, total = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
                self._disk, self._looked_at = Disk(free, total, bool(found.f_flag & os.ST_RDONLY)), now
            return self._disk

    def forget(self) -> None:
        self.__init__()  # type: ignore[misc]

    def note(self, shortage: Shortage) -> None:
        self._noted, self._noted_at, self._looked_at = shortage, time.monotonic(), float("-inf")

    @property
    def latest(self) -> Shortage | None:
        return self._noted if time.monotonic() - self._noted_at < NOTED_SECONDS else None

    def is_news(self, shortage: Shortage) -> bool:
        """Once a minute."""
        now = time.monotonic()
        with self._lock:
            if now - self._logged.get(shortage, float("-inf")) < LOG_SECONDS:
                return False
            self._logged[shortage] = now
            return True


seen = Seen()


def _data_dir() -> Path:
    return Path(settings.DATA_DIR)


def disk() -> Shortage | None:
    """Of the data directory. What cannot be looked at is no reason to refuse anything."""
    try:
        return seen.look().shortage
    except OSError:
        return None


def present() -> Shortage | None:
    """What every page says at its top: how the disk is now, else what was met a moment ago and cannot be looked at."""
    noted = seen.latest
    return disk() or (None if noted in {Shortage.DISK_FULL, Shortage.DISK_READ_ONLY} else noted)


def recent() -> Shortage | None:
    """Also what has just ended: others may not have made up for it yet."""
    return disk() or seen.latest


def problem_with_disk() -> str:
    found = disk()
    return found.sentence if found else ""


def require_room(size: int = 0) -> None:
    """For what may take as much of the data directory as it likes: raises `NoRoom` while the rest would be too little.
    `size`: how many bytes will be needed."""
    try:
        found = seen.look()
    except OSError:
        return
    found.require_room(size)


def tell(logger: logging.Logger, shortage: Shortage, what: str) -> None:
    """In the log, once a minute; on the pages of this process for a quarter of one."""
    seen.note(shortage)
    if seen.is_news(shortage):
        logger.error("%s: %s. This is said once a minute", what, shortage.value)


@contextmanager
def if_possible(logger: logging.Logger, what: str) -> Iterator[None]:
    """For what a page notes while it is read: it opens all the same."""
    try:
        yield
    except DatabaseError as error:
        shortage = shortage_of(error)
        if shortage is None:
            raise
        tell(logger, shortage, f"{what} was left out")


class Calm(logging.Filter):
    """Lets an error that is a shortage into the log once a minute, in one line: what it is, not where it happened."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        shortage = shortage_of(error)
        if shortage is None:
            return True
        seen.note(shortage)
        if not seen.is_news(shortage):
            return False
        summary = f"{record.getMessage().splitlines()[0]}: {shortage.value} ({error}). This is said once a minute"
        record.msg, record.args, record.exc_info, record.exc_text = summary, (), None, None
        return True

"""What this server has run out of, in words. All of it passes, so nothing ends because of it: work waits for room."""

import errno
import logging
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

NOTHING_LEFT = 2**20
DEEPEST_CAUSE = 10
FULL = "The disk of the local Vertex AI is full. Make room on it; what waits for it goes on by itself."
READ_ONLY = "The disk of the local Vertex AI can only be read. Make it writable; what waits for it goes on by itself."
BROKEN = "The disk of the local Vertex AI reports errors. Look at the system's log."
DESCRIPTORS = "The local Vertex AI has as many files and connections open as the system allows. Try again in a moment."
MEMORY = "This machine has no memory left. Try again in a moment."
OF_SYSTEM = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EROFS: READ_ONLY,
    errno.EIO: BROKEN,
    errno.EMFILE: DESCRIPTORS,
    errno.ENFILE: DESCRIPTORS,
    errno.ENOMEM: MEMORY,
}
OF_SQLITE = {
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_IOERR: BROKEN,
    sqlite3.SQLITE_CANTOPEN: DESCRIPTORS,
    sqlite3.SQLITE_NOMEM: MEMORY,
}


def shortage_of(error: BaseException | None) -> str:
    """A sentence with the remedy; empty when `error` is anything else."""
    return next((found for each in _causes(error) if (found := _shortage_of_error(each))), "")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(DEEPEST_CAUSE):
        if error is None:
            return
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _shortage_of_error(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return MEMORY
    if isinstance(error, sqlite3.Error):
        return OF_SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "")
    return OF_SYSTEM.get(error.errno or 0, "") if isinstance(error, OSError) else ""


def shortage_in_output(text: str) -> str:
    """As `shortage_of`, from the last words of a child process."""
    return next((sentence for code, sentence in OF_SYSTEM.items() if os.strerror(code) in text), "")


def shortage_on(folder: Path, needed: int = NOTHING_LEFT) -> str:
    """Of the disk that `folder` is on: whether `needed` bytes can be written there."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return ""
    if found.f_flag & os.ST_RDONLY:
        return READ_ONLY
    return FULL if found.f_bavail * found.f_frsize < needed else ""


class Calm(logging.Filter):
    """Lets an error that is a shortage into the log in one line, and a sentence once until another one comes."""

    def __init__(self) -> None:
        super().__init__()
        self._last = ""

    def filter(self, record: logging.LogRecord) -> bool:
        sentence = shortage_of(record.exc_info[1] if record.exc_info else None)
        if not sentence:
            return True
        is_news = sentence != self._last
        self._last = sentence
        record.msg, record.args = f"{record.getMessage()}: {sentence}", ()
        record.exc_info, record.exc_text = None, None
        return is_news

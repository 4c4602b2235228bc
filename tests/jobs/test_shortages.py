"""Which error means that something ran out, and what is said then."""

import errno
import logging
import os
import resource
import shutil
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from django.db import DatabaseError, OperationalError
from django.db.utils import DatabaseErrorWrapper
from django.utils import translation

from jobs import shortages
from jobs.errors import NoRoom
from jobs.shortages import Calm, Disk, Shortage, shortage_of

MEGABYTE = 2**20


@pytest.fixture(autouse=True)
def _nothing_seen():
    shortages.seen.forget()
    yield
    shortages.seen.forget()


def disk(*, free, total=200_000, read_only=False):
    """In MB."""
    return Disk(free * MEGABYTE, total * MEGABYTE, read_only)


def raised(error, cause):
    try:
        raise error from cause
    except type(error) as found:
        return found


def of_postgresql(code):
    """As Django wraps what its driver says."""
    with pytest.raises(DatabaseError) as caught, DatabaseErrorWrapper(SimpleNamespace(Database=psycopg)):
        raise psycopg.errors.lookup(code)("server says so")
    return caught.value


@pytest.mark.parametrize(
    ("error", "shortage"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), Shortage.DISK_FULL),
        (OSError(errno.EDQUOT, "Quota exceeded"), Shortage.DISK_FULL),
        (OSError(errno.EROFS, "Read-only file system"), Shortage.DISK_READ_ONLY),
        (OSError(errno.EIO, "Input/output error"), Shortage.DISK_BROKEN),
        (OSError(errno.EMFILE, "Too many open files"), Shortage.DESCRIPTORS),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), Shortage.MEMORY),
        (MemoryError(), Shortage.MEMORY),
        (raised(RuntimeError("wrapped twice"), raised(ValueError("once"), OSError(errno.ENOSPC, ""))), "disk full"),
        (of_postgresql("53100"), Shortage.DATABASE_FULL),
        (of_postgresql("25006"), Shortage.DATABASE_READ_ONLY),
        (of_postgresql("57P01"), Shortage.DATABASE_AWAY),
        (of_postgresql("53300"), Shortage.DATABASE_AWAY),
        (raised(OperationalError("connection refused"), psycopg.OperationalError("refused")), Shortage.DATABASE_AWAY),
        (of_postgresql("42601"), None),
        (OSError(errno.ENOENT, "No such file"), None),
        (ConnectionRefusedError(), None),
        (RuntimeError("a bug"), None),
        (None, None),
    ],
)
def test_what_an_error_means(error, shortage):
    assert shortage_of(error) == shortage


def sqlite_error(path, pragma, statement="CREATE TABLE more (text TEXT)"):
    with sqlite3.connect(path) as database:
        database.execute(pragma)
        try:
            database.execute(statement)
        except sqlite3.Error as error:
            return error
    raise AssertionError("It worked")


def test_what_sqlite_means(tmp_path):
    """Its own errors: they have no attribute for their code that a test could set."""
    path = tmp_path / "test.sqlite3"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE one (text TEXT)")
    full = "INSERT INTO one VALUES (hex(zeroblob(100000)))"
    assert shortage_of(sqlite_error(path, "PRAGMA query_only=ON")) == Shortage.DISK_READ_ONLY
    assert shortage_of(sqlite_error(path, "PRAGMA max_page_count=2", full)) == Shortage.DISK_FULL
    assert shortage_of(sqlite_error(path, "PRAGMA query_only=OFF", "SELECT * FROM none")) is None


def test_sqlite_that_has_no_descriptor_says_so(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(name) for name in os.listdir("/proc/self/fd")) + 2
    held = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (used, before[1]))
        with suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        with pytest.raises(sqlite3.OperationalError) as caught:
            sqlite3.connect(tmp_path / "x.sqlite3")
        found = shortage_of(caught.value)
    finally:
        for number in held:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert found == Shortage.DESCRIPTORS


@pytest.mark.parametrize("shortage", Shortage)
@pytest.mark.parametrize("language", ["en", "ko"])
def test_each_has_a_sentence_and_a_remedy(shortage, language):
    with translation.override(language):
        assert shortage.sentence.endswith(".")
        assert shortage.remedy.endswith(".")


def test_a_disk_without_room_or_that_can_only_be_read_is_a_shortage():
    found = [disk(free=10), disk(free=0), disk(free=10, read_only=True)]
    assert [each.shortage for each in found] == [None, Shortage.DISK_FULL, Shortage.DISK_READ_ONLY]


def test_the_disk_is_that_of_the_data_directory(settings):
    free, total, is_read_only = shortages.seen.look()
    usage = shutil.disk_usage(settings.DATA_DIR)
    assert (total, is_read_only) == (usage.total, False)
    assert abs(free - usage.free) < total // 50


def read_only_folder():
    for line in Path("/proc/mounts").read_text().splitlines():
        _device, folder, _kind, options, *_rest = line.split()
        if "ro" in options.split(",") and os.path.isdir(folder):
            return Path(folder)
    return None


@pytest.mark.skipif(read_only_folder() is None, reason="everything here can be written to")
def test_a_disk_that_can_only_be_read_is_told_by_the_system(settings):
    settings.DATA_DIR = read_only_folder()
    assert shortages.present() == Shortage.DISK_READ_ONLY
    with pytest.raises(NoRoom, match="read-only"):
        shortages.require_room()


def test_pages_say_what_the_disk_is_now(settings):
    assert shortages.present() is None
    settings.DISK_LEAST_BYTES = 2**62
    assert shortages.present().sentence == (
        "The disk of the data directory is full. Nothing can be saved until there is free space."
    )


def test_what_was_met_is_said_for_a_while(monkeypatch):
    shortages.seen.note(Shortage.DISK_FULL)
    assert (shortages.present(), shortages.recent()) == (None, Shortage.DISK_FULL)
    shortages.seen.note(Shortage.DATABASE_READ_ONLY)
    assert shortages.present() == Shortage.DATABASE_READ_ONLY
    later = time.monotonic() + shortages.NOTED_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert shortages.present() is None


@pytest.mark.parametrize(
    ("free", "total", "size", "fits"),
    [
        (200, 100_000, 0, True),
        (99, 100_000, 0, False),
        (120, 100_000, 50, False),
        (7, 120, 0, True),
        (5, 120, 0, False),
    ],
)
def test_a_reserve_is_left_for_the_database(free, total, size, fits):
    found = disk(free=free, total=total)
    if fits:
        found.require_room(size * MEGABYTE)
        return
    with pytest.raises(NoRoom, match=f"is nearly full: {free} MB are left. Free up disk space, then try again."):
        found.require_room(size * MEGABYTE)


def test_what_needs_more_than_there_is_finds_no_room():
    with pytest.raises(NoRoom, match="is nearly full"):
        shortages.require_room(2**62)


def record(error):
    return logging.LogRecord("x", logging.ERROR, "x.py", 1, "Task %s failed", ("sweep",), (type(error), error, None))


def test_the_log_has_one_line_a_minute(monkeypatch):
    calm, full = Calm(), OSError(errno.ENOSPC, "No space left on device")
    first, second, bug = record(full), record(full), record(RuntimeError("a bug"))
    assert [calm.filter(each) for each in (first, second, bug)] == [True, False, True]
    assert (first.getMessage(), first.exc_info, bug.exc_info[0]) == (
        "Task sweep failed: disk full ([Errno 28] No space left on device). This is said once a minute",
        None,
        RuntimeError,
    )
    later = time.monotonic() + shortages.LOG_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert calm.filter(record(full)) is True

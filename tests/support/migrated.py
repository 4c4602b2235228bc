"""One process of a run migrates its database; the others copy that, which takes a tenth of the time."""

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from django.db import connection


def database_file() -> Path | None:
    """Of this process, as it will be; none with another database than SQLite."""
    return Path(connection.settings_dict["TEST"]["NAME"]) if connection.vendor == "sqlite" else None


@contextmanager
def copy_migrated(folder: Path) -> Iterator[None]:
    """Around the migrations. `folder` is one for all processes of the run; the second one waits there for the first."""
    target = database_file()
    if target is None or "PYTEST_XDIST_WORKER" not in os.environ:
        yield
        return
    source = folder / "migrated.sqlite3"
    with (folder / "migrated.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if source.exists():
            shutil.copyfile(source, target)
            connection.settings_dict["TEST"]["MIGRATE"] = False
            yield
            connection.settings_dict["TEST"]["MIGRATE"] = True
        else:
            yield
            _save(source)


def _save(source: Path) -> None:
    unfinished = source.with_suffix(".partial")
    with closing(sqlite3.connect(unfinished)) as copy:
        connection.ensure_connection()
        connection.connection.backup(copy)
    unfinished.rename(source)

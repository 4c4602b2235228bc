"""Makes a backup beside a running console."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import connection

from jobs.files import store

from . import archive, database, files
from .archive import BackupFailed
from .manifest import Manifest


@dataclass(frozen=True)
class Outcome:
    size: int
    files: int
    remarks: list[str]


def create_backup(path: Path, now: datetime, tell: Callable[[str], None]) -> Outcome:
    """Writes one file that holds the database and all files, and is readable by its owner only: it holds the key that
    signs sessions. Raises BackupFailed; an existing file is never overwritten."""
    if path.exists():
        raise BackupFailed(f"{path} already exists. Enter another name.")
    if not path.parent.is_dir():
        raise BackupFailed(f"The folder {path.parent} does not exist. Create it, or enter another one.")
    try:
        return _create(path, now, tell)
    except FileExistsError:
        raise BackupFailed(f"{path} already exists. Enter another name.") from None
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise BackupFailed(
            f"The backup could not be written: {error.strerror or error}{where}. {_room(path)}"
        ) from error


def _create(path: Path, now: datetime, tell: Callable[[str], None]) -> Outcome:
    manifest = Manifest(settings.VERSION, now.isoformat(), connection.vendor, database.list_applied_migrations())
    manifest.files = store.place()
    data_dir = Path(settings.DATA_DIR)
    with archive.write(path, manifest) as writer:
        tell("Reading the database…")
        database.dump(writer, data_dir)
        tell("Reading the files…")
        remarks = [_files_elsewhere(manifest.files), *files.add_files(writer, data_dir, path, archive.partial_of(path))]
    return Outcome(path.stat().st_size, len(manifest.members), [remark for remark in remarks if remark])


def _files_elsewhere(place: str) -> str:
    if not place:
        return ""
    return (
        f"Datasets and images are stored in {place} and are not in this backup. To keep them safe, turn on object "
        "versioning for the bucket, or copy the bucket at the same time."
    )


def _room(path: Path) -> str:
    free = shutil.disk_usage(path.parent).free // (1024 * 1024)
    return f"{free} MB are free in {path.parent}."

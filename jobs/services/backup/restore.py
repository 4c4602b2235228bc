"""Puts a backup back. The console must be stopped; what was there is moved aside, not deleted."""

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

from jobs.files import store
from jobs.models import Heartbeat, ProcessReport, SignedInSession, SignInLink

from . import database, files
from .archive import BackupUnusable, Reader
from .create import names_left_out

STAGED = ".restore"


def restore_backup(
    path: Path, now: datetime, tell: Callable[[str], None], *, replace: bool = False, files_copied: bool = False
) -> Path | None:
    """The folder in which the files of before lie now, if there were any. Raises BackupUnusable before it changes
    anything, and OSError when the disk fails; it can be called again after it was interrupted. `files_copied`: where
    FILES_URL points there are the files that the backup's rows name, though they were elsewhere when it was made.

    Nobody is signed in afterwards: a session or link that ended since the backup was made stays ended.
    """
    data_dir = Path(settings.DATA_DIR)
    with Reader.open(path) as reader:
        check(reader, replace, files_copied=files_copied)
        tell("Checking the backup…")
        reader.verify()
        staged = stage(reader, data_dir, tell)
        tell("Writing the database…")
        aside = move_aside(data_dir, now)
        put_back(reader, staged, data_dir)
    call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
    forget_visitors()
    return aside


def check(reader: Reader, replace: bool, *, files_copied: bool = False) -> None:
    made_of = reader.manifest.database
    if made_of != connection.vendor:
        raise BackupUnusable(
            f"The backup is of a {made_of} database, and DATABASE_URL names a {connection.vendor} one. "
            "A backup goes back into the kind that it came from."
        )
    if not files_copied:
        refuse_other_files(reader.manifest.files, store.place())
    database.refuse_newer(reader.manifest.migrations, reader.manifest.version)
    if database.has_rows() and not replace:
        raise BackupUnusable("There is a console with accounts already. Add --replace to put the backup in its place.")


def refuse_other_files(then: str, now: str) -> None:
    """Rows would name datasets and pictures that are not where the console looks for them."""
    if then == now:
        return
    if not then:
        raise BackupUnusable(
            f"The backup holds its datasets and pictures itself, and FILES_URL names {now}. Restore it without "
            "FILES_URL, then set it and run: python manage.py copy-files"
        )
    raise BackupUnusable(
        f"The datasets and pictures of the backup lie in {then}, and FILES_URL names {now or 'nothing'}. "
        f"Set FILES_URL to {then}, or copy them to where FILES_URL points and add --files-copied."
    )


def stage(reader: Reader, data_dir: Path, tell: Callable[[str], None]) -> Path:
    """All files, on the same disk as their places: what follows are renames."""
    staged = data_dir / STAGED
    shutil.rmtree(staged, ignore_errors=True)
    names = list(reader.names(files.FOLDER))
    tell(f"Writing {len(names)} files…")
    for name, place in names:
        reader.extract(name, staged / place)
    if reader.manifest.database == "sqlite":
        reader.extract(database.SQLITE_MEMBER, staged / database_place(data_dir))
    staged.mkdir(mode=0o700, exist_ok=True)
    return staged


def database_place(data_dir: Path) -> PurePosixPath:
    return PurePosixPath(Path(str(connection.settings_dict["NAME"])).name)


def move_aside(data_dir: Path, now: datetime) -> Path | None:
    connection.close()
    name = str(database_place(data_dir)) if connection.vendor == "sqlite" else ""
    kept = (files.LEFT_OUT | names_left_out(data_dir) | {STAGED}) - {name}
    old = [one for one in data_dir.iterdir() if one.name not in kept and not one.name.startswith("before-restore-")]
    aside = data_dir / f"before-restore-{now:%Y%m%d-%H%M%S}"
    for one in old:
        aside.mkdir(mode=0o700, exist_ok=True)
        one.rename(aside / one.name)
    return aside if old else None


def put_back(reader: Reader, staged: Path, data_dir: Path) -> None:
    if connection.vendor != "sqlite":
        database.load_tables(reader)
    for one in staged.iterdir():
        one.rename(data_dir / one.name)
    staged.rmdir()


def forget_visitors() -> None:
    with transaction.atomic():
        SignedInSession.objects.all().delete()
        ProcessReport.objects.all().delete()
        SignInLink.objects.filter(used_at=None).delete()
        Heartbeat.objects.all().delete()

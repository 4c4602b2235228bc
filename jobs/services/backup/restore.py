"""Puts a backup back. The console must be stopped; what was there is moved aside, not deleted."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Final

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from jobs.files import store
from jobs.models import Heartbeat, ProcessReport, SignedInSession, SignInLink

from . import database, files
from .archive import BackupFailed, Reader
from .exchange import Exchange
from .files import STAGED
from .manifest import BackupUnusable

MEGABYTE: Final = 1024 * 1024


def restore_backup(
    path: Path, now: datetime, tell: Callable[[str], None], *, replace: bool = False, files_copied: bool = False
) -> Path | None:
    """The folder in which the files of before lie now, if there were any. `files_copied`: where FILES_URL points there
    are the files that the backup's rows name, though they were elsewhere when it was made.

    Raises BackupUnusable and BackupFailed when all is as it was. OSError and DatabaseError say that it is not: it can
    be called again then, and after it was killed. Nobody is signed in afterwards: a session or link that ended since
    the backup was made stays ended.
    """
    data_dir = Path(settings.DATA_DIR)
    with Reader.open(path) as reader:
        check(reader, replace, files_copied=files_copied)
        discard(data_dir / STAGED)
        require_room(reader, data_dir)
        tell("Checking the backup…")
        reader.verify()
        with stage_files(reader, data_dir, tell) as staged:
            tell("Writing the database…")
            if connection.vendor == "sqlite":
                bring_up_to_date(staged / database_place())
            aside = take_place(reader, staged, data_dir, now)
    if connection.vendor != "sqlite":
        migrate_and_forget()
    return aside


def check(reader: Reader, replace: bool, *, files_copied: bool = False) -> None:
    made_of = reader.manifest.database
    if made_of != connection.vendor:
        raise BackupUnusable(
            f"The backup is from a {made_of} database, but DATABASE_URL is a {connection.vendor} database. "
            "A backup goes back into the kind that it came from."
        )
    database.require_members(reader.manifest)
    if not files_copied:
        refuse_other_files(reader.manifest.files, store.place())
    database.refuse_other_versions(reader.manifest.migrations, reader.manifest.version)
    if database.has_rows() and not replace:
        raise BackupUnusable("A console with accounts already exists. To replace it with the backup, add --replace.")


def refuse_other_files(then: str, now: str) -> None:
    """Rows would name datasets and pictures that are not where the console looks for them."""
    if then == now:
        return
    if not then:
        raise BackupUnusable(
            f"The backup contains its datasets and images, but FILES_URL is {now}. Restore it without "
            "FILES_URL, then set it and run: python manage.py copy-files"
        )
    raise BackupUnusable(
        f"The datasets and images of the backup are stored in {then}, but FILES_URL is {now or 'empty'}. "
        f"Set FILES_URL to {then}, or copy them to the location in FILES_URL and add --files-copied."
    )


def require_room(reader: Reader, data_dir: Path) -> None:
    """Before all of it is read: what is compressed may be small. The database is written twice when it is migrated."""
    sizes = {name: member["size"] for name, member in reader.manifest.members.items()}
    needed = sum(sizes.values()) + sizes.get(database.SQLITE_MEMBER, 0)
    free = shutil.disk_usage(data_dir).free
    if needed > free:
        raise BackupFailed(
            f"The backup needs {needed // MEGABYTE} MB in {data_dir}, where {free // MEGABYTE} MB are free. "
            "Nothing was changed. Make room, then restore."
        )


@contextmanager
def stage_files(reader: Reader, data_dir: Path, tell: Callable[[str], None]) -> Iterator[Path]:
    """All files, on the same disk as their places: what follows are renames. What is left of them is deleted."""
    staged = data_dir / STAGED
    try:
        try:
            stage(reader, staged, tell)
        except OSError as error:
            raise without_change(f"The files of the backup cannot be written to {data_dir}", error) from error
        yield staged
    finally:
        discard(staged)


def stage(reader: Reader, staged: Path, tell: Callable[[str], None]) -> None:
    """Without what would take the place of something that is not moved aside: no backup that is made now has it."""
    names = list(reader.names(files.FOLDER))
    skipped = {place.parts[0] for _name, place in names if files.is_left_out(place.parts[0])}
    for top in sorted(skipped):
        tell(f"{top!r} is skipped: the console creates it again.")
    taken = [(name, place) for name, place in names if place.parts[0] not in skipped]
    tell(f"Writing {len(taken)} files…")
    staged.mkdir(mode=0o700)
    for name, place in taken:
        reader.extract(name, staged / place)
    if reader.manifest.database == "sqlite":
        reader.extract(database.SQLITE_MEMBER, staged / database_place())


def discard(staged: Path) -> None:
    if staged.is_dir() and not staged.is_symlink():
        shutil.rmtree(staged, ignore_errors=True)
    else:
        staged.unlink(missing_ok=True)


def database_place() -> str:
    return Path(str(connection.settings_dict["NAME"])).name


def bring_up_to_date(path: Path) -> None:
    try:
        with database.leading_to(path):
            migrate_and_forget()
    except (OSError, DatabaseError) as error:
        raise without_change("The database of the backup cannot be used", error) from error


def take_place(reader: Reader, staged: Path, data_dir: Path, now: datetime) -> Path | None:
    """Files and tables change together, or neither."""
    connection.close()
    exchange = Exchange(data_dir, files.stays, files.names_of_database(), now)
    try:
        with nullcontext() if connection.vendor == "sqlite" else database.replace_database(reader):
            exchange.run(staged)
    except BaseException as error:
        exchange.undo()
        if isinstance(error, OSError | DatabaseError):
            raise without_change("The backup cannot replace the existing data", error) from error
        raise
    return exchange.finish()


def without_change(what: str, error: Exception) -> BackupFailed:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).strip()
    return BackupFailed(f"{what}: {reason}. Nothing was changed. Remove the cause, then restore.")


def migrate_and_forget() -> None:
    call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
    forget_visitors()


def forget_visitors() -> None:
    with transaction.atomic():
        SignedInSession.objects.all().delete()
        ProcessReport.objects.all().delete()
        SignInLink.objects.filter(used_at=None).delete()
        Heartbeat.objects.all().delete()

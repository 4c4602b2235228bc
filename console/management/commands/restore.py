from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone

from console.management.rundir import AlreadyRunning, RunDirectory, StillStopping
from jobs.services.backup.archive import BackupFailed
from jobs.services.backup.manifest import BackupUnusable
from jobs.services.backup.restore import restore_backup


class Command(BaseCommand):
    help = "Restores a backup into the data directory and the database of a stopped console."
    requires_system_checks: list[str] = []  # noqa: RUF012  # Django's own declaration

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="a file that `manage.py backup` wrote")
        parser.add_argument("--replace", action="store_true", help="replace the existing console")

        parser.add_argument(
            "--files-copied",
            action="store_true",
            help="datasets and images are already at the location in FILES_URL",
        )

    def handle(self, *args: Any, file: str, replace: bool, files_copied: bool, **options: Any) -> None:
        run = RunDirectory(settings.DATA_DIR)
        try:
            run.acquire(patience=0)
        except (AlreadyRunning, StillStopping) as other:
            raise CommandError(f"The console of {settings.DATA_DIR} is running ({other}). Stop it first.") from None
        try:
            told = self.stdout.write
            aside = restore_backup(
                Path(file).resolve(), timezone.now(), told, replace=replace, files_copied=files_copied
            )
        except (BackupUnusable, BackupFailed) as problem:
            raise CommandError(str(problem)) from None
        except (OSError, DatabaseError) as error:
            raise CommandError(f"The backup was not fully restored: {error}. Run the command again.") from error
        finally:
            run.release()
        if aside:
            self.stdout.write(f"The previous data is in {aside}. Delete it when you no longer need it.")
        self.stdout.write("Restored. Everyone must sign in again. Never run two consoles from the same backup at once.")

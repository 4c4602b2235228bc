from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.db import DatabaseError
from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from jobs.services.backup.archive import BackupFailed
from jobs.services.backup.create import create_backup


class Command(BaseCommand):
    help = "Writes everything that the console stores into one file while it runs."
    requires_system_checks: list[str] = []  # noqa: RUF012  # Django's own declaration

    def add_arguments(self, parser: ArgumentParser) -> None:
        now = timezone.localtime()
        proposed = f"garden-console-{now:%Y%m%d-%H%M%S}.zip"
        parser.add_argument(
            "file", nargs="?", default=proposed, help="where to write it (default: a name with the time, here)"
        )

    def handle(self, *args: Any, file: str, **options: Any) -> None:
        path = Path(file).resolve()
        try:
            made = create_backup(path, timezone.now(), self.stdout.write)
        except BackupFailed as problem:
            raise CommandError(str(problem)) from None
        except DatabaseError as error:
            raise CommandError(f"The database cannot be read: {error}") from None
        for remark in made.remarks:
            self.stdout.write(remark)
        size = filesizeformat(made.size).replace("\xa0", " ")
        self.stdout.write(f"{path}: {made.files} members, {size}. It contains the secret key, so keep it private.")

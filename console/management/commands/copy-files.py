from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError

from jobs.errors import StoreUnavailable
from jobs.files import copies, store


class Command(BaseCommand):
    help = "Copies datasets and images from the data directory to the location in FILES_URL."

    def handle(self, *args: Any, **options: Any) -> None:
        if not store.place():
            raise CommandError("FILES_URL is empty: the files are in the data directory already.")
        copied = left = 0
        try:
            for _name, is_new in copies.copy_from_folder():
                copied, left = copied + is_new, left + (not is_new)
        except (StoreUnavailable, OSError) as error:
            raise CommandError(f"The copy stopped after {copied} files: {error} Run the command again.") from error
        self.stdout.write(f"{copied} files copied to {store.place()}, {left} were already there.")
        self.stdout.write(
            f"The files in {settings.DATA_DIR} are no longer used. Delete them after you have checked the copies."
        )

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from jobs.services import audit

WORDS = {"changed": "was changed", "missing": "is missing"}


class Command(BaseCommand):
    help = "Reads the whole audit log and reports the first entry that was changed, added, or removed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--noted", default="", help="the last entry that an earlier run printed, NUMBER:HASH")
        parser.add_argument("--earlier-key", action="append", default=[], help="file with an earlier secret key")

    def handle(self, *args: Any, noted: str, earlier_key: list[str], **options: Any) -> None:
        broken = audit.verify(parse_noted(noted), [read_key(path) for path in earlier_key])
        if broken:
            raise CommandError(
                f"Entry {broken.number} {WORDS[broken.why]}. Compare the log with an earlier backup; if the console's "
                "secret key was replaced, specify the file with the earlier key with --earlier-key."
            )
        number, seal = audit.head()
        self.stdout.write(f"{number} entries, none changed or missing. The last one: {number}:{seal}")


def parse_noted(noted: str) -> tuple[int, str] | None:
    number, _colon, seal = noted.partition(":")
    if noted and not (number.isdecimal() and seal):
        raise CommandError("--noted must be NUMBER:HASH, as this command prints it.")
    return (int(number), seal) if noted else None


def read_key(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from None

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone

from jobs.services.health import figures, processes


class Command(BaseCommand):
    help = "Exits with 0 if a process of this kind is working on this machine or in this container, otherwise with 1."
    requires_system_checks: list[str] = []  # noqa: RUF012  # Django's own declaration

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=figures.KINDS)

    def handle(self, *args: Any, kind: str, **options: Any) -> None:
        try:
            problem = processes.problem_here(kind, timezone.now())
        except DatabaseError as error:
            raise CommandError(f"Unknown: the database does not answer ({error}).") from None
        if problem:
            raise CommandError(problem)

import re
from argparse import ArgumentParser
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import BaseCommand, CommandError
from django.db import DatabaseError
from django.urls import reverse

from console.management.commands.up import database_advice, start_again_with
from console.management.rundir import read_json
from jobs.services.accounts import accounts

MINUTES = 15
LONGEST_MINUTES = 24 * 60
NO_TABLES = re.compile("no such table|relation .* does not exist")


class Command(BaseCommand):
    help = "Prints a one-time link that signs in to an account or, in an open session, confirms your identity."
    requires_system_checks: list[str] = []  # noqa: RUF012  # Django's own declaration

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username", nargs="?", default=accounts.OWNER, help="the account (default: owner)")
        parser.add_argument("--minutes", type=int, default=MINUTES, help="how long the link works (default: 15)")
        parser.add_argument("--data-dir", help="data directory (default: CONSOLE_DATA_DIR)")

    def handle(self, *args: Any, username: str, minutes: int, data_dir: str | None, **options: Any) -> None:
        if data_dir and Path(data_dir).resolve() != settings.DATA_DIR:
            start_again_with(Path(data_dir).resolve())
        if not 1 <= minutes <= LONGEST_MINUTES:
            raise CommandError(f"A link works for 1 to {LONGEST_MINUTES} minutes.")
        try:
            token = accounts.issue_link(account(username), valid=timedelta(minutes=minutes))
        except DatabaseError as error:
            raise CommandError(advice(error)) from None
        self.stdout.write(f"{address()}{reverse('sign-in-link', 'console.urls.accounts', args=[token])}")
        self.stderr.write(f"The link works once, within {minutes} minutes. Keep it private: it signs in as {username}.")


def account(username: str) -> User:
    user = User.objects.filter(username=username).first()
    if user is None:
        raise CommandError(f"There is no account named {username}. Enter another name: manage.py sign-in-link NAME")
    if not user.is_active:
        raise CommandError(f"The account {username} is disabled.")
    return user


def advice(error: DatabaseError) -> str:
    if NO_TABLES.search(str(error)):
        return "The database has no tables yet. Start the console once, or specify its folder with --data-dir."
    return database_advice(error)


def address() -> str:
    """Where the pages are: as configured, else as the console that runs here has written down."""
    running = read_json(settings.DATA_DIR / "run" / "processes.json")
    return settings.CONSOLE_URL or str(running.get("url") or "http://127.0.0.1:8000")

"""`manage.py account NAME`: adds a person, or makes one an administrator or an ordinary person."""

from argparse import ArgumentParser
from getpass import getpass
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from jobs.errors import NotAllowedNow
from jobs.services.accounts import people


class Command(BaseCommand):
    help = (
        "Adds a person who signs in with a password, or changes whether a person is an administrator. An administrator "
        "can use everything in Cloud Storage and share folders; an ordinary person can use only what is theirs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
        kind = parser.add_mutually_exclusive_group()
        kind.add_argument("--administrator", action="store_true", help="like an account made by createsuperuser")
        kind.add_argument("--ordinary", action="store_true", help="the default for a new person")

    def handle(self, *args: Any, name: str, administrator: bool, ordinary: bool, **options: Any) -> None:
        person = User.objects.filter(username=name).first()
        if person and administrator == ordinary:
            raise CommandError(
                f"{name} already has an account. To change their role, use --administrator or --ordinary."
            )
        try:
            if person:
                people.set_administrator(person, administrator)
            else:
                people.add_person(name, self.ask_password(), is_administrator=administrator)
        except NotAllowedNow as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{name} is now {'an administrator' if administrator else 'an ordinary person'}.")

    def ask_password(self) -> str:
        password = self.ask("Password: ")
        if self.ask("Password (again): ") != password:
            raise CommandError("The two passwords differ. Nothing was changed.")
        return password

    def ask(self, prompt: str) -> str:
        return getpass(prompt)

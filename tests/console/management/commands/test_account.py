import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from console.management.commands import account
from jobs.services.storage import policies
from tests.support import factories

pytestmark = pytest.mark.django_db
GOOD = "correct horse battery"


class Typed(account.Command):
    """Somebody types these."""

    def __init__(self, *passwords):
        super().__init__()
        self.passwords = list(passwords)

    def ask(self, prompt):
        return self.passwords.pop(0)


def test_a_new_person_is_an_ordinary_one(capsys):
    call_command(Typed(GOOD, GOOD), "ann")
    ann = authenticate(username="ann", password=GOOD)
    assert (ann.is_superuser, ann.is_staff, capsys.readouterr().out) == (
        False,
        False,
        "ann is now an ordinary person.\n",
    )
    assert policies.why_not_read(ann, "gs://garden-local")[:21] == "You have no access to"


def test_a_new_administrator():
    call_command(Typed(GOOD, GOOD), "ann", "--administrator")
    assert policies.why_not_read(User.objects.get(), "gs://garden-local") == ""


def test_an_administrator_becomes_an_ordinary_person_and_back(owner):
    ann = factories.user(username="ann", is_superuser=True, is_staff=True)
    for option, expected in (("--ordinary", False), ("--administrator", True)):
        call_command("account", "ann", option)
        ann.refresh_from_db()
        assert (ann.is_superuser, ann.is_staff, ann.check_password(GOOD)) == (expected, expected, True)


@pytest.mark.parametrize(
    ("name", "options", "passwords", "problem"),
    [
        ("owner", (), (), "owner already has an account. To change their role, use --administrator or --ordinary."),
        ("owner", ("--ordinary",), (), "This is the only administrator. Make someone else an administrator first."),
        ("ann", (), (GOOD, "other"), "The two passwords differ. Nothing was changed."),
        ("ann", (), ("12345", "12345"), "This password is"),
        ("a b", (), (GOOD, GOOD), "Enter a valid username."),
    ],
)
def test_what_is_refused_changes_nothing(owner, name, options, passwords, problem):
    with pytest.raises(CommandError, match=f"^{problem}"):
        call_command(Typed(*passwords), name, *options)
    assert list(User.objects.values_list("username", "is_superuser")) == [("owner", True)]


def test_only_an_administrator_who_can_sign_in_counts(owner):
    factories.user(username="left", is_superuser=True, is_active=False)
    with pytest.raises(CommandError, match="only administrator"):
        call_command("account", "owner", "--ordinary")

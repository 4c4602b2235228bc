"""Guessing passwords: how many guesses are looked at, and who has to wait for it."""

import os
import random
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from unicodedata import normalize

import pytest
from django.contrib.auth.forms import UsernameField
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import User
from django.test import Client

from jobs.models import AuditEntry
from jobs.services.accounts import accounts, sign_in_limits
from tests.support import factories

pytestmark = [pytest.mark.django_db, pytest.mark.threat("T18")]
ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse battery"
LOOKED_AT, REFUSED, SIGNED_IN = 422, 429, 303


@pytest.fixture
def shared(limits, broker):
    """All processes count in one Redis, which is empty."""
    return broker


@pytest.fixture
def minute(monkeypatch):
    """The clock stands still: all of a test happens in one minute."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)


def tried(client, name="owner", password="wrong", address="192.0.2.1"):
    data = {"username": name, "password": password}
    return client.post("/accounts/sign-in/", data, REMOTE_ADDR=address).status_code


def elsewhere(number):
    return f"10.{number // 250}.{number % 250}.1"


def known_browser():
    """One in which the person has signed in once and out again."""
    client = Client(REMOTE_ADDR="203.0.113.9")
    assert tried(client, password=PASSWORD, address="203.0.113.9") == SIGNED_IN
    client.post("/accounts/sign-out/")
    return client


def test_of_a_thousand_guesses_from_200_networks_ten_are_looked_at_in_a_minute(client, owner, shared, minute):
    """The last 700 past the pages: they take long to draw."""
    answers = [tried(client, address=elsewhere(number % 200)) for number in range(300)]
    assert answers.count(LOOKED_AT) + answers.count(REFUSED) == 300
    waits = [sign_in_limits.admit(sign_in_limits.Attempt("owner", elsewhere(number % 200))) for number in range(700)]
    assert answers.count(LOOKED_AT) + waits.count(0) <= 10


def test_names_that_nobody_has_do_not_make_it_forget(client, owner, shared, minute):
    """As many as filled its memory once, from as many networks, between one ten of guesses and the next."""
    answers = [tried(client) for _ in range(10)]
    for number in range(200):
        tried(client, name=f"nobody-{number}", address=elsewhere(number))
    answers += [tried(client) for _ in range(10)]
    assert answers.count(LOOKED_AT) <= 10


def test_the_person_gets_in_from_a_known_browser_while_strangers_hammer(client, owner, shared, minute):
    mine = known_browser()
    for number in range(60):
        tried(client, address=elsewhere(number))
    assert tried(client, address="198.51.100.1") == REFUSED
    assert tried(mine, password=PASSWORD, address="203.0.113.9") == SIGNED_IN


def test_strangers_in_the_same_network_do_not_lock_a_known_browser_out(client, owner, shared, minute):
    mine = known_browser()
    for _ in range(30):
        tried(client, address="203.0.113.77")
    assert tried(mine, password=PASSWORD, address="203.0.113.9") == SIGNED_IN


def test_the_cookie_of_a_known_browser_is_no_licence_to_guess(owner, shared, minute):
    mine = known_browser()
    answers = [tried(mine, address=elsewhere(number)) for number in range(100)]
    assert answers.count(LOOKED_AT) <= 10


def test_a_made_up_cookie_is_none(owner, shared, minute):
    client = Client()
    client.cookies["known-browser"] = "WyJ4IiwgWyJhIl1d:1sXyZ:forged"
    assert [tried(client) for _ in range(20)].count(LOOKED_AT) <= 10


def test_the_cookie_of_another_account_is_none(owner, team_mate, shared, minute):
    client = Client()
    assert tried(client, name="team-mate", password=PASSWORD) == SIGNED_IN
    client.post("/accounts/sign-out/")
    for number in range(50):
        tried(client, address=elsewhere(number))
    assert tried(client, password=PASSWORD) == REFUSED


def test_a_link_signs_in_while_strangers_hammer(client, owner, shared, minute):
    for number in range(100):
        tried(client, address=elsewhere(number))
    token = accounts.issue_link(owner, valid=timedelta(minutes=5))
    assert Client().post(f"/accounts/link/{token}/").status_code == SIGNED_IN


def test_a_refusal_says_how_long_and_delays_nothing_on_the_server(client, owner, shared, minute):
    for number in range(10):
        tried(client, address=elsewhere(number))
    began = time.monotonic()
    response = client.post("/accounts/sign-in/", {"username": "owner", "password": PASSWORD})
    assert (response.status_code, response["Retry-After"]) == (REFUSED, "20")
    assert "Wait 20 seconds, then try again." in response.content.decode()
    assert time.monotonic() - began < 5


GUESS = """
import sys, time, django
django.setup()
from jobs.services.accounts.sign_in_limits import Attempt, admit
until = time.monotonic() + 3
looked_at = 0
for number in range(int(sys.argv[1]), int(sys.argv[1]) + 300):
    looked_at += admit(Attempt("owner", f"10.9.{number % 250}.1")) == 0
    if time.monotonic() > until:
        break
print(looked_at)
"""


def test_three_processes_together_have_one_budget(shared, redis_url, settings, tmp_path):
    """All at once, so that they also count at the same moment."""
    environment = {
        **os.environ, "DJANGO_SETTINGS_MODULE": "console.settings", "CONSOLE_DATA_DIR": str(tmp_path),
        "CONSOLE_SECRET_KEY": settings.SECRET_KEY,
    }  # fmt: skip
    # The settings take no socket's address; a process of its own is told after it has read them.
    code = GUESS.replace(
        "django.setup()", f"django.setup()\nfrom django.conf import settings\nsettings.REDIS_URL = {redis_url!r}"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(lap * 80)], cwd=ROOT, env=environment, stdout=subprocess.PIPE)
        for lap in range(3)
    ]
    found = [int(process.communicate(timeout=120)[0]) for process in processes]
    assert (1 <= sum(found) <= 10, len(found)) == (True, 3)


def test_without_redis_it_is_slower_not_open(client, owner, minute):
    answers = [tried(client, address=elsewhere(number)) for number in range(60)]
    assert (1 <= answers.count(LOOKED_AT) <= 2, answers.count(REFUSED) >= 58) == (True, True)


def test_without_redis_a_known_browser_gets_in(client, owner, minute):
    mine = known_browser()
    for number in range(50):
        tried(client, address=elsewhere(number))
    assert tried(mine, password=PASSWORD, address="203.0.113.9") == SIGNED_IN


def test_what_is_counted_takes_a_bounded_room_and_goes_by_itself(client, owner, shared, minute):
    for number in range(60):
        tried(client, name=f"nobody-{number}", address=elsewhere(number))
    keys = list(shared.scan_iter("*"))
    assert {key.split(b":")[0] for key in keys} == {b"sign-in"}
    assert [key for key in keys if shared.ttl(key) <= 0] == []


def test_what_waits_for_a_password_is_no_name_of_an_account(client, owner, shared, minute):
    """Redis holds places on a list, not names or addresses."""
    tried(client, name="owner", address="192.0.2.1")
    found = b" ".join(shared.scan_iter("*"))
    assert (b"owner" in found, b"192.0" in found) == (False, False)


class CountingHasher(PBKDF2PasswordHasher):
    iterations = 10
    work: list[int] = []

    def encode(self, password, salt, iterations=None):
        self.work.append(iterations or self.iterations)
        return super().encode(password, salt, iterations)


@pytest.mark.parametrize("who", ["nobody", "owner", "disabled", "by-link"])
def test_each_wrong_password_costs_one_hash_whoever_it_is_tried_on(client, db, settings, who):
    """So the time of an answer tells nothing about who has an account."""
    settings.PASSWORD_HASHERS = ["tests.security.test_sign_in.CountingHasher"]
    factories.user(username="owner"), factories.user(username="disabled", is_active=False)
    by_link = factories.user(username="by-link")
    by_link.set_unusable_password()
    by_link.save()
    CountingHasher.work.clear()
    assert (tried(client, name=who), CountingHasher.work) == (LOOKED_AT, [10])


@pytest.mark.parametrize("name", ["owner\r\nforged line", "a\x1b[31mb", "x" * 150])
def test_a_failed_sign_in_is_logged_with_name_and_address_on_one_line(client, owner, caplog, name):
    tried(client, name=name, address="192.0.2.44")
    lines = [record.getMessage() for record in caplog.records if "Sign-in failed" in record.getMessage()]
    assert ("192.0.2.44" in lines[0], len(lines), lines[0].isprintable(), len(lines[0]) < 300) == (True, 1, True, True)


def spellings(name):
    """As the sign-in reads them all: spaces around it, letters of full width, and so many that a cut would part it."""
    wide = name.translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)})
    around = [" " * count + name for count in (1, 149, 150, 151, 253, 300, 5000)]
    return [name, *around, f"{name}\u2003", f"\t{name}\n", wide, " " * 240 + wide, name + " " * 300]


def test_however_the_name_is_spelled_it_is_counted_as_the_one_that_signs_in(client, owner, shared, minute):
    """Each spelling signs in, and so none of them buys more guesses."""
    for name in spellings("owner"):
        assert sign_in_limits.place("x", sign_in_limits.normalize_name(name)) == sign_in_limits.place("x", "owner")
    names = spellings("owner")
    answers = [tried(client, name=names[number % len(names)], address=elsewhere(number)) for number in range(60)]
    assert (answers.count(LOOKED_AT) <= 10, answers.count(LOOKED_AT) + answers.count(REFUSED)) == (True, 60)


@pytest.mark.parametrize("name", spellings("owner"))
def test_each_spelling_signs_in(client, owner, limits, name):
    assert tried(client, name=name, password=PASSWORD) == SIGNED_IN


@pytest.mark.parametrize("name", ["x" * 151, "x" * 5000, "x" * 140 + "\ufdfa"])
def test_a_name_that_no_account_can_have_is_refused_unseen(client, db, limits, settings, name):
    settings.PASSWORD_HASHERS = ["tests.security.test_sign_in.CountingHasher"]
    CountingHasher.work.clear()
    response = client.post("/accounts/sign-in/", {"username": name, "password": "wrong"})
    assert (response.status_code, CountingHasher.work) == (LOOKED_AT, [])
    assert "A username has at most 150 characters." in response.content.decode()


def test_the_audit_log_names_the_account_that_was_tried(client, owner, limits):
    """Spaces do not hide whose password was guessed."""
    tried(client, name=" " * 300 + "owner")
    entry = AuditEntry.objects.get(action="session.sign_in")
    assert (entry.object_id, entry.object_name) == (str(owner.pk), "owner")


def test_the_name_of_a_name_is_itself_and_what_the_form_looks_for():
    """Over every kind of character, also those that become a space, or more than one, when they are normalized."""
    chance = random.Random(7)
    odd = [chr(code) for code in range(0x11_0000) if len(normalize("NFKC", chr(code))) > 1 or chr(code).isspace()]
    field = UsernameField(max_length=sign_in_limits.LONGEST_NAME)
    for _ in range(5000):
        name = sign_in_limits.name_of("".join(chance.choices([*odd, *"owner \t\0"], k=chance.randint(1, 12))))
        assert (sign_in_limits.name_of(name), field.to_python(name)) == (name, name)


def test_the_longest_name_is_that_of_an_account():
    assert User._meta.get_field("username").max_length == sign_in_limits.LONGEST_NAME

"""Sessions: how they begin, how long they last, and that nothing of them outlives their end."""

import io
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from celery import current_app
from django.conf import settings
from django.contrib.auth.management.commands import changepassword
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from console.web.sessions import SIGNED_IN_AT, row_id
from jobs import live
from jobs.models import SignedInSession
from jobs.services.accounts import accounts
from tests.security.streaming import live_address, serving
from tests.support.migrated import migrated

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse battery"
NEW = {"old_password": PASSWORD, "new_password1": "a longer pass phrase", "new_password2": "a longer pass phrase"}
SOON = 5


@pytest.fixture
def server(limits, redis_url):
    with serving(redis_url) as started:
        yield started


def signed_in(user, **headers):
    browser = Client(**headers)
    answer = browser.post("/accounts/sign-in/", {"username": user.username, "password": PASSWORD})
    assert answer.status_code == 303
    return browser


def row(browser):
    return SignedInSession.objects.filter(pk=row_id(browser.cookies["sessionid"].value))


class Open:
    """A browser with a page whose stream is open."""

    def __init__(self, server, user):
        self.server, self.browser = server, signed_in(user)
        self.address, self.session = live_address(self.browser), self.browser.cookies["sessionid"].value
        self.stream = server.connect(self.address, self.session).wait_until_open()

    def is_closed(self):
        """At once, and with the old ticket and cookie none opens again."""
        again = self.server.connect(self.address, self.session)
        return self.stream.is_over.wait(SOON) and again.is_over.wait(SOON) and again.status == 403


def sweep():
    accounts.end_lost_sessions(timezone.now())


@pytest.mark.threat("T3")
def test_a_new_password_ends_the_streams_of_all_sessions_and_no_old_ticket_opens_one(server, owner, team_mate):
    mine, other, mate = Open(server, owner), Open(server, owner), Open(server, team_mate)
    assert mine.browser.post("/settings/password/", NEW).status_code == 303
    assert [each.is_closed() for each in (mine, other)] == [True, True]
    assert (mate.stream.is_over.is_set(), other.browser.get("/").status_code) == (False, 302)
    renewed = server.connect(live_address(mine.browser), mine.browser.cookies["sessionid"].value)
    renewed.wait_until_open()


class TypedPassword(changepassword.Command):
    def _get_pass(self, prompt="Password: "):
        return "a longer pass phrase"


@pytest.mark.threat("T3")
@pytest.mark.parametrize("how", ["disabled", "deleted", "command"])
def test_a_change_of_the_account_elsewhere_ends_them_at_the_next_sweep(server, owner, team_mate, how):
    mine, mate = Open(server, owner), Open(server, team_mate)
    if how == "disabled":
        type(owner).objects.filter(pk=owner.pk).update(is_active=False)
    elif how == "deleted":
        owner.delete()
    else:
        call_command(TypedPassword(), "owner", stdout=io.StringIO())
    sweep()
    assert (mine.is_closed(), mate.stream.is_over.is_set()) == (True, False)
    assert current_app.conf.beat_schedule["sweep"]["schedule"] <= 30


@pytest.mark.threat("T3")
@pytest.mark.threat("T19")
@pytest.mark.parametrize("which", ["one", "all"])
def test_ending_a_session_ends_its_streams_at_once_and_leaves_this_one(server, owner, which):
    mine, other = Open(server, owner), Open(server, owner)
    path = f"sessions/{row(other.browser).get().pk}/end/" if which == "one" else "sessions/end/"
    assert mine.browser.post(f"/settings/security/{path}").status_code == 303
    assert (other.is_closed(), other.browser.get("/").status_code) == (True, 302)
    assert (mine.stream.is_over.is_set(), mine.browser.get("/").status_code) == (False, 200)


@pytest.mark.threat("T3")
@pytest.mark.threat("T19")
def test_signing_out_ends_the_streams_of_this_session_alone(server, owner):
    mine, other = Open(server, owner), Open(server, owner)
    mine.browser.post("/accounts/sign-out/")
    assert (mine.is_closed(), other.stream.is_over.is_set()) == (True, False)


@pytest.mark.threat("T3")
@pytest.mark.threat("T19")
@pytest.mark.parametrize("limit", ["idle", "absolute"])
def test_a_session_that_is_over_by_time_ends_with_its_streams(server, owner, limit):
    mine = Open(server, owner)
    age(mine.browser, idle=timedelta(hours=8) if limit == "idle" else timedelta(0), whole=timedelta(days=7))
    sweep()
    assert (mine.is_closed(), mine.browser.get("/").status_code) == (True, 302)


@pytest.mark.threat("T3")
def test_an_end_that_redis_did_not_hear_of_is_told_later(server, owner, settings, redis_url):
    mine = Open(server, owner)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    mine.browser.post("/accounts/sign-out/")
    assert (mine.stream.is_over.is_set(), row(mine.browser).count()) == (False, 0)
    assert SignedInSession.objects.count() == 1
    settings.REDIS_URL = redis_url
    live.breaker.reset()
    sweep()
    assert (mine.is_closed(), SignedInSession.objects.count()) == (True, 0)


@pytest.mark.threat("T3")
def test_a_cache_that_forgets_opens_no_stream_of_a_session_that_is_over(server, owner, broker):
    """What ends streams is marked there, and its memory goes with its process."""
    mine = Open(server, owner)
    mine.browser.post("/accounts/sign-out/")
    assert mine.is_closed()
    broker.flushall()
    again = server.connect(mine.address, mine.session)
    assert (again.is_over.wait(SOON), again.status, again.body) == (True, 403, b"The session is over. Sign in again.")


@pytest.mark.threat("T19")
def test_a_key_that_was_known_before_the_sign_in_is_worth_nothing(owner):
    """Fixation: somebody else put it into the browser."""
    planted = Client()
    planted.session.save()
    planted.cookies["sessionid"] = "a" * 32
    planted.post("/accounts/sign-in/", {"username": "owner", "password": PASSWORD})
    thief = Client()
    thief.cookies["sessionid"] = "a" * 32
    assert (planted.cookies["sessionid"].value == "a" * 32, thief.get("/").status_code) == (False, 302)


@pytest.mark.threat("T19")
def test_the_key_changes_with_the_sign_in_of_an_open_session_and_with_the_password(owner):
    browser = signed_in(owner)
    keys = [browser.cookies["sessionid"].value]
    browser.post("/settings/password/", NEW)
    keys.append(browser.cookies["sessionid"].value)
    token = accounts.issue_link(owner, valid=timedelta(minutes=5))
    browser.post(f"/accounts/link/{token}/")
    keys.append(browser.cookies["sessionid"].value)
    assert len(set(keys)) == 3
    for key in keys[:2]:
        thief = Client()
        thief.cookies["sessionid"] = key
        assert thief.get("/").status_code == 302


def age(browser, *, idle=timedelta(0), whole=timedelta(0)):
    """As if it had been used so long ago, and begun so long ago."""
    found = row(browser).get()
    begun = timezone.now() - whole
    data = browser.session
    data[SIGNED_IN_AT] = begun.timestamp()
    data.save()
    if idle:
        seen = timezone.now() - idle
        row(browser).update(last_seen_at=seen, expires_at=seen + timedelta(seconds=settings.SESSION_IDLE_SECONDS))
    assert found


@pytest.mark.threat("T19")
def test_a_session_ends_when_it_is_not_used_for_eight_hours(owner):
    browser = signed_in(owner)
    age(browser, idle=timedelta(hours=7, minutes=59))
    assert browser.get("/").status_code == 200
    age(browser, idle=timedelta(hours=8))
    assert browser.get("/").status_code == 302


@pytest.mark.threat("T19")
def test_a_session_that_is_used_ends_after_seven_days(owner):
    browser = signed_in(owner)
    age(browser, whole=timedelta(days=6, hours=23))
    assert browser.get("/").status_code == 200
    age(browser, whole=timedelta(days=7))
    assert browser.get("/").status_code == 302


@pytest.mark.threat("T19")
def test_only_a_person_keeps_a_session_open_not_its_page(owner):
    """A page fetches its fragments by itself, also when nobody looks at it."""
    browser = signed_in(owner)
    age(browser, idle=timedelta(hours=1))
    before = row(browser).get().expires_at
    assert browser.get("/settings/", HTTP_HX_REQUEST="true").status_code == 200
    assert row(browser).get().expires_at == before
    browser.get("/settings/")
    assert row(browser).get().expires_at > before


@pytest.mark.threat("T19")
def test_the_last_use_is_written_once_a_minute(owner, django_assert_num_queries):
    browser = signed_in(owner)
    age(browser, idle=timedelta(minutes=2))
    browser.get("/settings/security/")
    seen = row(browser).get().last_seen_at
    browser.get("/settings/security/")
    assert row(browser).get().last_seen_at == seen


@pytest.mark.threat("T19")
@pytest.mark.fault("F20")
@pytest.mark.skipif(connection.vendor != "sqlite", reason="a database that takes no writes, as SQLite is told")
def test_a_page_is_shown_also_when_its_use_cannot_be_written(owner):
    browser = signed_in(owner)
    age(browser, idle=timedelta(minutes=2))
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA query_only=ON")
        try:
            assert browser.get("/settings/security/").status_code == 200
        finally:
            cursor.execute("PRAGMA query_only=OFF")


@pytest.mark.threat("T19")
def test_a_copy_of_the_database_signs_nobody_in(owner):
    browser = signed_in(owner)
    key = browser.cookies["sessionid"].value
    found = json.dumps(
        [{name: str(value) for name, value in each.items()} for each in SignedInSession.objects.values()]
    )
    assert key not in found
    thief = Client()
    for value in (str(row(browser).get().pk), row(browser).get().pk.hex):
        thief.cookies["sessionid"] = value
        assert thief.get("/").status_code == 302


@pytest.mark.threat("T19")
@pytest.mark.parametrize("value", ["", "x", "a" * 32, "\x00", "../..", "a" * 5000, "é"])
def test_a_made_up_cookie_is_nobodys(db, value):
    browser = Client()
    browser.cookies["sessionid"] = value
    assert browser.get("/").status_code == 302


@pytest.mark.threat("T19")
@pytest.mark.parametrize(
    ("address", "kept"), [("192.0.2.7", "192.0.2.7"), ("fe80::1%eth0", "fe80::1"), ("unknown", None), ("", None)]
)
def test_whatever_a_proxy_says_of_an_address_the_person_gets_in(owner, address, kept):
    browser = signed_in(owner, REMOTE_ADDR=address)
    age(browser, idle=timedelta(minutes=2))
    assert (browser.get("/").status_code, row(browser).get().address) == (200, kept)


COOKIES = """
import json, sys
from django import setup
setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.contrib.auth.models import User
from django.test import Client
User.objects.create_user("owner", password="correct horse battery")
client = Client(HTTP_HOST="console.example.com", HTTP_X_FORWARDED_PROTO="https", enforce_csrf_checks=False)
client.get("/accounts/sign-in/", secure=True)
client.post("/accounts/sign-in/", {"username": "owner", "password": "correct horse battery"}, secure=True)
found = {name: [bool(cookie["secure"]), bool(cookie["httponly"]), cookie["path"], cookie["domain"], cookie["samesite"]]
         for name, cookie in client.cookies.items()}
print(json.dumps(found))
"""


@pytest.mark.threat("T19")
def test_cookies_are_of_this_host_alone_where_there_is_https(tmp_path):
    migrated.copy_to(tmp_path / "console.sqlite3")
    environment = {
        **os.environ, "DJANGO_SETTINGS_MODULE": "console.settings", "CONSOLE_DATA_DIR": str(tmp_path),
        "CONSOLE_HTTPS": "1", "CONSOLE_TRUSTED_PROXIES": "127.0.0.1", "CONSOLE_ALLOWED_HOSTS": "console.example.com",
        "REDIS_URL": "redis://127.0.0.1:1/0", "DATABASE_URL": "",
    }  # fmt: skip
    output = subprocess.run([sys.executable, "-c", COOKIES], cwd=ROOT, env=environment, check=True, capture_output=True)
    found = json.loads(output.stdout.splitlines()[-1])
    assert {name: found[name] for name in sorted(found)} == {
        "__Host-csrftoken": [True, False, "/", "", "Lax"],
        "__Host-known-browser": [True, True, "/", "", "Strict"],
        "__Host-sessionid": [True, True, "/", "", "Lax"],
    }

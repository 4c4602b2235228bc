"""The password, and the browsers that are signed in."""

import re
from datetime import timedelta

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.test import Client
from django.utils import timezone

from console.accounts.browser_names import describe
from console.accounts.pending_actions import PENDING
from console.web.sessions import row_id
from jobs.models import SignedInSession
from jobs.services.accounts import accounts

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
NEW = {"new_password1": "a longer pass phrase", "new_password2": "a longer pass phrase"}
BY_HAND = {"HTTP_SEC_FETCH_MODE": "navigate", "HTTP_SEC_FETCH_SITE": "none"}
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
EDGE = f"{CHROME} Edg/140.0.0.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.0 Mobile/15E148 Safari/604.1"
)


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


def question(visitor):
    """The address of the page that asks for what was wanted last."""
    return f"/accounts/confirm/{list(visitor.session[PENDING])[-1]}/"


@pytest.fixture
def by_link(visitor, owner):
    """The account of a laptop's owner, signed in by a link just now."""
    owner.set_unusable_password()
    owner.save()
    visitor.force_login(owner)
    return owner


def signed_in(user, agent="", address="127.0.0.1"):
    """Another browser."""
    other = Client(HTTP_USER_AGENT=agent, REMOTE_ADDR=address)
    answer = other.post("/accounts/sign-in/", {"username": user.username, "password": PASSWORD})
    assert answer.status_code == 303
    return other


def row_of(client):
    return SignedInSession.objects.get(pk=row_id(client.session.session_key))


def test_the_password_is_changed_and_this_session_goes_on(visitor, owner):
    answer = visitor.post("/settings/password/", {"old_password": PASSWORD, **NEW})
    owner.refresh_from_db()
    assert (answer.status_code, owner.check_password("a longer pass phrase")) == (303, True)
    assert visitor.get("/").status_code == 200


def test_the_other_sessions_end_with_the_old_password(visitor, owner):
    other = type(visitor)()
    other.force_login(owner)
    visitor.post("/settings/password/", {"old_password": PASSWORD, **NEW})
    assert other.get("/").status_code == 302


@pytest.mark.parametrize(
    ("values", "field"),
    [({"old_password": "wrong"}, "old_password"), ({"new_password2": "another"}, "new_password2"),
     ({"new_password1": "short", "new_password2": "short"}, "new_password2")],
)  # fmt: skip
def test_a_wrong_password_is_told_at_its_field(visitor, values, field):
    answer = visitor.post("/settings/password/", {"old_password": PASSWORD, **NEW, **values})
    assert (answer.status_code, list(answer.context["form"].errors)) == (422, [field])


def test_the_old_password_cannot_be_guessed_for_ever(visitor):
    wrong = {"old_password": "wrong", **NEW}
    answers = [visitor.post("/settings/password/", wrong) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [422, 429, 429, 429]
    assert "Too many failed attempts" in answers[-1].content.decode()


def test_a_new_password_that_is_too_short_is_no_failed_attempt(visitor):
    short = {"old_password": PASSWORD, "new_password1": "short", "new_password2": "short"}
    assert [visitor.post("/settings/password/", short).status_code for _ in range(12)] == [422] * 12


def test_an_account_without_a_password_confirms_before_it_sets_one(visitor, by_link):
    """A sign-in alone is no proof: what runs in a new session must not leave a password behind."""
    text = visitor.get("/settings/security/").content.decode()
    assert ("Set a password" in text, "new_password1" in text) == (True, False)
    answer = visitor.post("/settings/password/", NEW)
    by_link.refresh_from_db()
    assert (answer.url, by_link.has_usable_password()) == (question(visitor), False)


def test_after_the_link_it_sets_one(visitor, by_link):
    assert visitor.post("/settings/security/confirm/").url == question(visitor)
    assert ">sign-in-link</span>" in visitor.get(question(visitor)).content.decode()
    token = accounts.issue_link(by_link, valid=timedelta(minutes=15))
    assert visitor.get(f"/accounts/link/{token}/", **BY_HAND).url == question(visitor)
    assert visitor.get(question(visitor)).url == "/settings/security/"
    assert "new_password1" in visitor.get("/settings/security/").content.decode()
    assert visitor.post("/settings/password/", NEW).status_code == 303
    by_link.refresh_from_db()
    assert by_link.check_password("a longer pass phrase")
    assert visitor.get("/").status_code == 200


@pytest.mark.parametrize("name", ["old_password", "new_password1", "username"])
def test_a_password_manager_finds_its_fields(visitor, name):
    found = re.search(rf'<input[^>]*name="{name}"[^>]*>', visitor.get("/settings/security/").content.decode())[0]
    wanted = {"old_password": "current-password", "new_password1": "new-password", "username": "username"}
    assert f'autocomplete="{wanted[name]}"' in found


def rows(text):
    found = re.findall(r"<strong>(.*?)</strong>(.*?)</li>", text.partition('<ul class="links">')[2], re.S)
    return [(browser, "this session" in rest, "<button" in rest) for browser, rest in found]


def test_each_browser_is_listed_in_words_and_this_one_first(owner):
    visitor = signed_in(owner, FIREFOX)
    signed_in(owner, SAFARI, "192.0.2.7")
    text = visitor.get("/settings/security/").content.decode()
    assert rows(text) == [("Firefox on Windows", True, False), ("Safari on iPhone", False, True)]
    assert ("192.0.2.7" in text, "Mozilla" in text) == (True, False)


def test_a_browser_that_is_ended_is_signed_out_and_this_one_is_not(owner):
    visitor, other = signed_in(owner, FIREFOX), signed_in(owner, CHROME)
    answer = visitor.post(f"/settings/security/sessions/{row_of(other).pk}/end/")
    assert (answer.url, other.get("/").status_code, visitor.get("/").status_code) == ("/settings/security/", 302, 200)
    assert rows(visitor.get("/settings/security/").content.decode()) == [("Firefox on Windows", True, False)]


def test_all_others_are_ended_at_once(owner, team_mate):
    visitor, others, mate = signed_in(owner), [signed_in(owner) for _ in range(3)], signed_in(team_mate)
    text = visitor.post("/settings/security/sessions/end/", follow=True).content.decode()
    assert "3 other sessions ended" in text
    assert [other.get("/").status_code for other in (visitor, *others, mate)] == [200, 302, 302, 302, 200]


def test_somebody_elses_session_cannot_be_ended(visitor, team_mate):
    mate = signed_in(team_mate)
    assert visitor.post(f"/settings/security/sessions/{row_of(mate).pk}/end/").status_code == 404
    assert mate.get("/").status_code == 200


def test_a_session_that_is_over_is_not_listed(owner):
    visitor, other = signed_in(owner, FIREFOX), signed_in(owner, CHROME)
    SignedInSession.objects.filter(pk=row_of(other).pk).update(expires_at=timezone.now())
    assert len(rows(visitor.get("/settings/security/").content.decode())) == 1


def test_a_request_under_way_does_not_revive_an_ended_session(owner):
    visitor, other = signed_in(owner), signed_in(owner)
    under_way = other.session
    assert "x" not in under_way
    visitor.post("/settings/security/sessions/end/")
    under_way["x"] = 1
    with pytest.raises(UpdateError):
        under_way.save()
    assert other.get("/").status_code == 302


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox on Windows"), (CHROME, "Chrome on Linux"), (EDGE, "Edge on Linux"),
        (SAFARI, "Safari on iPhone"), ("curl/8.1", "curl"), ("", "Unknown browser"), ("<b>x</b>", "Unknown browser"),
    ],
)  # fmt: skip
def test_a_browser_in_words(agent, words):
    assert describe(agent) == words

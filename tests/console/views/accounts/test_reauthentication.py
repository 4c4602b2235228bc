"""“Confirm that it is you”: what asks, what counts as a proof, and that what was wanted is then done."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import RequestFactory
from django.utils import timezone

from console.accounts import confirmation, pending_actions
from console.accounts.confirmation import PROVED_AT
from console.accounts.pending_actions import AT_ONCE, PENDING
from console.web.http import ConsoleRequest
from console.web.sessions import SIGNED_IN_AT
from jobs.models import NotificationChoice, SharedFolder, SignedInSession, SpendingLimits
from jobs.services.accounts import accounts
from jobs.services.accounts.reauthentication import PROOF_LASTS, SensitiveAction, is_proven
from tests.support.routes import patterns

pytestmark = pytest.mark.django_db
NOW = timezone.now()
PASSWORD = "correct horse battery"
NOTIFICATIONS = {
    "email": "owner@example.com",
    "webhook_url": "https://hook.example/here",
    "ways": ["tuning.failed:email"],
}
BY_HAND = {"HTTP_SEC_FETCH_MODE": "navigate", "HTTP_SEC_FETCH_SITE": "none"}


def age(client, minutes=16):
    """The sign-in and every proof were so long ago."""
    session = client.session
    for name in (SIGNED_IN_AT, PROVED_AT):
        if name in session:
            session[name] -= minutes * 60
    session.save()


@pytest.fixture
def visitor(client, owner):
    """Signed in a while ago."""
    client.force_login(owner)
    age(client)
    return client


def question(visitor):
    """The address of the page that asks for what was wanted last."""
    return f"/accounts/confirm/{list(visitor.session[PENDING])[-1]}/"


def copy_of(visitor):
    """A browser with the same session: what somebody has who stole its cookie."""
    copy = type(visitor)()
    copy.cookies["sessionid"] = visitor.session.session_key
    return copy


def choice(owner):
    return NotificationChoice.objects.filter(user=owner).first()


def test_what_is_asked_for_is_listed_here():
    """Whoever adds one looks at docs/access.md, too."""
    guarded = {
        pattern.name: pattern.callback.sensitive_action
        for pattern in patterns()
        if hasattr(pattern.callback, "sensitive_action")
    }
    assert guarded == {
        "settings-webhook-secret": SensitiveAction.WEBHOOK_SECRET,
        "session-end": SensitiveAction.END_SESSIONS,
        "session-end-others": SensitiveAction.END_SESSIONS,
        "settings-password-confirm": SensitiveAction.FIRST_PASSWORD,
        "settings-spending": SensitiveAction.ADMINISTRATION,
        "settings-storage": SensitiveAction.ADMINISTRATION,
        "settings-storage-remove": SensitiveAction.ADMINISTRATION,
    }


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/settings/notifications/", NOTIFICATIONS),
        ("/settings/notifications/secret/", {}),
        ("/settings/security/sessions/end/", {}),
    ],
)
def test_it_asks_who_signed_in_a_while_ago(visitor, owner, path, data):
    answer = visitor.post(path, data)
    assert (answer.status_code, answer.url, choice(owner)) == (303, question(visitor), None)


def test_it_asks_by_a_whole_page_when_htmx_sent_the_form(visitor):
    answer = visitor.post("/settings/security/sessions/end/", HTTP_HX_REQUEST="true")
    assert (answer.status_code, answer["HX-Redirect"]) == (204, question(visitor))


def test_a_fresh_sign_in_is_a_proof(client, owner):
    client.force_login(owner)
    assert client.post("/settings/notifications/", NOTIFICATIONS).url == "/settings/notifications/"


def test_what_changes_no_address_asks_nothing(visitor, owner):
    NotificationChoice.objects.create(user=owner, email="owner@example.com", webhook_nonce="x")
    data = {"email": "owner@example.com", "webhook_url": "", "ways": ["tuning.succeeded:email"]}
    assert visitor.post("/settings/notifications/", data).url == "/settings/notifications/"


def test_a_mistake_in_the_form_is_told_before_the_question(visitor):
    assert visitor.post("/settings/notifications/", {**NOTIFICATIONS, "email": "nonsense"}).status_code == 422


def test_the_password_does_what_was_wanted_with_what_was_typed(visitor, owner):
    visitor.post("/settings/notifications/", NOTIFICATIONS)
    page = visitor.get(question(visitor)).content.decode()
    assert "change where notifications are sent" in page
    answer = visitor.post(question(visitor), {"password": PASSWORD})
    assert (answer.status_code, answer.url) == (303, "/settings/notifications/")
    kept = choice(owner)
    assert (kept.email, kept.webhook_url) == ("owner@example.com", "https://hook.example/here")
    assert PENDING not in visitor.session


def test_a_wrong_password_does_nothing_and_keeps_what_was_wanted(visitor, owner, limits):
    visitor.post("/settings/notifications/", NOTIFICATIONS)
    answer = visitor.post(question(visitor), {"password": "wrong"})
    assert (answer.status_code, choice(owner)) == (422, None)
    assert "This password is incorrect." in answer.content.decode()
    visitor.post(question(visitor), {"password": PASSWORD})
    assert choice(owner).email == "owner@example.com"


def test_the_password_is_tried_as_seldom_as_at_the_sign_in(visitor):
    visitor.post("/settings/security/sessions/end/")
    answers = [visitor.post(question(visitor), {"password": f"wrong{number}"}) for number in range(20)]
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(422) <= 10, statuses[-1], "Retry-After" in answers[-1]) == (True, 429, True)


def test_a_proof_holds_for_a_quarter_of_an_hour(visitor):
    visitor.post("/settings/security/sessions/end/")
    visitor.post(question(visitor), {"password": PASSWORD})
    age(visitor, minutes=14)
    assert visitor.post("/settings/security/sessions/end/").url == "/settings/security/"
    age(visitor, minutes=2)
    assert visitor.post("/settings/security/sessions/end/").url == question(visitor)


def test_a_proof_is_of_this_session_only(visitor, owner, client):
    visitor.post("/settings/security/sessions/end/")
    other = type(client)()
    other.force_login(owner)
    age(other)
    visitor.post(question(visitor), {"password": PASSWORD})
    assert other.post("/settings/notifications/secret/").status_code == 302  # it was ended, as was wanted


def test_a_proof_gives_the_session_a_new_key(visitor):
    visitor.post("/settings/notifications/secret/")
    before = visitor.session.session_key
    visitor.post(question(visitor), {"password": PASSWORD})
    copy = type(visitor)()
    copy.cookies["sessionid"] = before
    assert (visitor.session.session_key != before, copy.get("/").status_code) == (True, 302)


def test_an_account_without_a_password_opens_a_link(visitor, owner):
    owner.set_unusable_password()
    owner.save()
    visitor.force_login(owner)
    age(visitor)
    visitor.post("/settings/notifications/", NOTIFICATIONS)
    page = visitor.get(question(visitor)).content.decode()
    assert (">sign-in-link</span>" in page, 'type="password"' in page) == (True, False)
    assert visitor.post(question(visitor), {}).url == question(visitor)
    assert choice(owner) is None
    token = accounts.issue_link(owner, valid=timedelta(minutes=5))
    assert visitor.get(f"/accounts/link/{token}/", **BY_HAND).url == question(visitor)
    page = visitor.get(question(visitor)).content.decode()
    assert ("You confirmed that it is you." in page, choice(owner)) == (True, None)
    visitor.post(question(visitor), {})
    assert choice(owner).email == "owner@example.com"


def test_somebody_elses_link_is_no_proof(visitor, owner, team_mate):
    visitor.post("/settings/notifications/secret/")
    token = accounts.issue_link(team_mate, valid=timedelta(minutes=5))
    visitor.get(f"/accounts/link/{token}/", **BY_HAND)
    assert (visitor.session["_auth_user_id"], PENDING in visitor.session) == (str(team_mate.pk), False)


def test_without_a_question_there_is_no_page(visitor):
    address = "/accounts/confirm/0b1f0e6c-8f3f-4b8e-9c3d-2f6f6f9d9a11/"
    assert (visitor.get(address).url, visitor.post(address, {"password": PASSWORD}).url) == ("/", "/")
    assert "This confirmation has expired." in visitor.get("/").content.decode()


def test_a_question_of_an_hour_ago_is_forgotten(visitor, owner):
    visitor.post("/settings/notifications/", NOTIFICATIONS)
    session = visitor.session
    session[PENDING] = {pk: row | {"at": row["at"] - 3601} for pk, row in session[PENDING].items()}
    session.save()
    assert visitor.post(question(visitor), {"password": PASSWORD}).url == "/"
    assert choice(owner) is None


def test_cancel_leads_back_to_the_page_before(visitor):
    visitor.post("/settings/security/sessions/end/", HTTP_REFERER="http://testserver/settings/security/?a=1")
    assert 'href="/settings/security/?a=1"' in visitor.get(question(visitor)).content.decode()


@pytest.mark.parametrize("referer", ["https://evil.example/x", "javascript:alert(1)", "http://[", "//evil.example"])
def test_cancel_never_leads_to_another_site(visitor, referer):
    visitor.post("/settings/security/sessions/end/", HTTP_REFERER=referer)
    assert 'href="/settings/"' in visitor.get(question(visitor)).content.decode().partition("<main")[2]


def test_no_password_and_no_token_is_kept(visitor, rf):
    sent = {"new_password1": "secret one", "old_password": "secret two", "csrfmiddlewaretoken": "t", "name": "Captain"}
    assert pending_actions.input_of(rf.post("/", sent)) == "name=Captain"


def test_a_page_is_led_to_after_the_proof(visitor, owner):
    """As an administrator's page would be."""
    request: Any = RequestFactory().get("/settings/shared/?q=1")
    request.user, request.session, request.htmx = owner, visitor.session, False

    @confirmation.require_reauthentication(SensitiveAction.ADMINISTRATION)
    def secret_page(request: ConsoleRequest):
        raise AssertionError

    answer = secret_page(request)
    request.session.save()
    assert answer["Location"] == question(visitor)
    assert visitor.post(question(visitor), {"password": PASSWORD}).url == "/settings/shared/?q=1"


@pytest.mark.parametrize(
    ("action", "signed_in", "proved", "proven"),
    [
        (SensitiveAction.ADMINISTRATION, 1, None, True), (SensitiveAction.ADMINISTRATION, 16, None, False),
        (SensitiveAction.ADMINISTRATION, 16, 1, True), (SensitiveAction.ADMINISTRATION, None, None, False),
        (SensitiveAction.FIRST_PASSWORD, 1, None, False), (SensitiveAction.FIRST_PASSWORD, 1, 14, True),
        (SensitiveAction.FIRST_PASSWORD, 1, 16, False), (SensitiveAction.ADMINISTRATION, -1, -1, False),
    ],
)  # fmt: skip
def test_what_is_a_proof(action, signed_in, proved, proven):
    ago = {minutes: NOW - timedelta(minutes=minutes) for minutes in (signed_in, proved) if minutes is not None}
    times = {"signed_in_at": ago.get(signed_in), "proved_at": ago.get(proved)}
    assert is_proven(action, **times, now=NOW) == proven
    assert timedelta(minutes=15) == PROOF_LASTS


@pytest.mark.threat("T19")
def test_a_copy_of_the_session_cannot_put_another_wish_under_the_password(visitor, owner):
    """She sees the question whether to end her other sessions. While she types, the thief sends another form."""
    visitor.post("/settings/security/sessions/end/")
    shown = question(visitor)
    assert "end other sessions" in visitor.get(shown).content.decode()
    stolen = {"email": "thief@evil.example", "webhook_url": "https://evil.example/x", "ways": ["tuning.failed:email"]}
    assert copy_of(visitor).post("/settings/notifications/", stolen).url == question(visitor) != shown
    assert visitor.post(shown, {"password": PASSWORD}).url == "/settings/security/"
    assert (choice(owner), PENDING in visitor.session) == (None, False)


@pytest.mark.threat("T19")
def test_two_wishes_of_the_same_kind_are_not_taken_for_each_other(visitor, owner):
    owner.is_superuser = True
    owner.save()
    visitor.post("/settings/spending/", {"person_usd": "5"})
    shown = question(visitor)
    copy_of(visitor).post("/settings/storage/", {"uri": "gs://garden-local", "user": "", "may_write": "on"})
    visitor.post(shown, {"password": PASSWORD})
    assert (SharedFolder.objects.count(), SpendingLimits.objects.get().person_usd) == (0, Decimal(5))


@pytest.mark.threat("T19")
def test_a_wish_that_others_pushed_out_does_nothing(visitor, owner):
    visitor.post("/settings/security/sessions/end/")
    shown = question(visitor)
    for number in range(AT_ONCE):
        copy_of(visitor).post("/settings/notifications/", NOTIFICATIONS | {"email": f"thief{number}@evil.example"})
    assert visitor.post(shown, {"password": PASSWORD}).url == "/"
    assert (choice(owner), len(visitor.session[PENDING]), PROVED_AT in visitor.session) == (None, AT_ONCE, False)


@pytest.mark.threat("T19")
def test_a_link_confirms_nothing_when_more_than_one_thing_waits(visitor, owner):
    """A link does not say what it is for."""
    owner.set_unusable_password()
    owner.save()
    visitor.force_login(owner)
    age(visitor)
    visitor.post("/settings/notifications/", NOTIFICATIONS)
    shown = question(visitor)
    copy_of(visitor).post("/settings/notifications/", NOTIFICATIONS | {"email": "thief@evil.example"})
    token = accounts.issue_link(owner, valid=timedelta(minutes=5))
    assert visitor.get(f"/accounts/link/{token}/", **BY_HAND).url == "/"
    assert (visitor.post(shown).url, choice(owner), PENDING in visitor.session) == ("/", None, False)


def test_the_same_wish_again_waits_once(visitor):
    first, again = (visitor.post("/settings/notifications/", NOTIFICATIONS).url for _ in range(2))
    assert first == again


@pytest.mark.threat("T19")
def test_the_page_says_what_is_going_to_be_done(visitor, owner):
    owner.is_superuser = True
    owner.save()
    folder = SharedFolder.objects.create(uri="gs://garden-local/team", created_by=owner)
    session = SignedInSession.objects.get(user=owner)
    told = {}
    for path, data in {
        "/settings/notifications/": NOTIFICATIONS,
        "/settings/storage/": {"uri": "gs://b/<b>x</b>", "user": "", "may_write": "on"},
        f"/settings/storage/{folder.pk}/remove/": {},
        "/settings/spending/": {"person_usd": "5", "console_usd": ""},
        f"/settings/security/sessions/{session.pk}/end/": {},
        "/settings/security/sessions/end/": {},
    }.items():
        visitor.post(path, data)
        page = visitor.get(question(visitor)).content.decode()
        told[path.split("/")[2] + path.split("/")[-2]] = re.findall(r"<dt>(.*?)</dt><dd><bdi>(.*?)</bdi></dd>", page)
    assert told == {
        "notificationsnotifications": [
            ("Email address", "owner@example.com"), ("Webhook address", "https://hook.example/here"),
            ("Webhook format", "Automatic, by the address"), ("What to send", "Tuning job failed (Email)"),
        ],
        "storagestorage": [
            ("Folder", "gs://b/&lt;b&gt;x&lt;/b&gt;"), ("Shared with", "Everyone"),
            ("Tuning jobs may write to it", "Yes"),
        ],
        "storageremove": [("Stop sharing", "gs://garden-local/team"), ("Shared with", "Everyone")],
        "spendingspending": [
            ("Per person, in US dollars per day", "5"), ("Everyone together, in US dollars per day", "Not set"),
            ("Allow unknown prices", "No"),
        ],
        "securityend": [],
    }  # fmt: skip


def test_each_kind_is_on_a_line_with_the_ways_that_have_an_address(visitor):
    ways = ["tuning.failed:email", "tuning.failed:webhook", "tuning.succeeded:webhook", "endpoint.ready:email"]
    for given in ({}, {"webhook_url": ""}):
        visitor.post("/settings/notifications/", NOTIFICATIONS | {"ways": ways} | given)
    pages = [visitor.get(f"/accounts/confirm/{pk}/").content.decode() for pk in visitor.session[PENDING]]
    told = [re.findall(r"<dt>What to send</dt><dd><bdi>(.*?)</bdi>", page, re.S) for page in pages]
    assert told == [
        ["Tuning job succeeded (Webhook)\nTuning job failed (Email, Webhook)\nEndpoint ready (Email)"],
        ["Tuning job failed (Email)\nEndpoint ready (Email)"],
    ]


def test_what_does_not_describe_itself_is_shown_as_it_was_sent():
    assert pending_actions.facts_of_input("uri=gs%3A%2F%2Fa&way=1&way=2") == [("uri", "gs://a"), ("way", "1, 2")]


@pytest.mark.parametrize("path", ["/settings/storage/", "/settings/spending/"])
def test_who_may_not_do_it_is_not_asked(visitor, team_mate, path):
    """Nor told whose account has which number."""
    visitor.force_login(team_mate)
    age(visitor)
    answer = visitor.post(path, {"user": "1", "uri": "gs://a"})
    assert (answer.status_code in (403, 404), PENDING in visitor.session) == (True, False)

"""“Confirm that it is you”: what asks, what counts as a proof, and that what was wanted is then done."""

from datetime import timedelta

import pytest
from django.test import RequestFactory
from django.urls import get_resolver
from django.utils import timezone

from console.http import ConsoleRequest
from console.sessions import SIGNED_IN_AT
from console.views import reauthentication
from console.views.reauthentication import PROVED_AT, WANTED
from jobs.models import NotificationChoice
from jobs.services import accounts
from jobs.services.reauthentication import PROOF_LASTS, SensitiveAction, is_proven

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


def choice(owner):
    return NotificationChoice.objects.filter(user=owner).first()


def test_what_is_asked_for_is_listed_here():
    """Whoever adds one looks at docs/operations.md, too."""
    guarded = {
        pattern.name: pattern.callback.sensitive_action
        for pattern in get_resolver().url_patterns
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
        ("/settings/security/sessions/0b1f0e6c-8f3f-4b8e-9c3d-2f6f6f9d9a11/end/", {}),
    ],
)
def test_it_asks_who_signed_in_a_while_ago(visitor, owner, path, data):
    answer = visitor.post(path, data)
    assert (answer.status_code, answer.url, choice(owner)) == (303, "/accounts/confirm/", None)


def test_it_asks_by_a_whole_page_when_htmx_sent_the_form(visitor):
    answer = visitor.post("/settings/security/sessions/end/", HTTP_HX_REQUEST="true")
    assert (answer.status_code, answer["HX-Redirect"]) == (204, "/accounts/confirm/")


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
    page = visitor.get("/accounts/confirm/").content.decode()
    assert "change where notifications are sent" in page
    answer = visitor.post("/accounts/confirm/", {"password": PASSWORD})
    assert (answer.status_code, answer.url) == (303, "/settings/notifications/")
    kept = choice(owner)
    assert (kept.email, kept.webhook_url) == ("owner@example.com", "https://hook.example/here")
    assert WANTED not in visitor.session


def test_a_wrong_password_does_nothing_and_keeps_what_was_wanted(visitor, owner, limits):
    visitor.post("/settings/notifications/", NOTIFICATIONS)
    answer = visitor.post("/accounts/confirm/", {"password": "wrong"})
    assert (answer.status_code, choice(owner)) == (422, None)
    assert "This is not the password of your account." in answer.content.decode()
    visitor.post("/accounts/confirm/", {"password": PASSWORD})
    assert choice(owner).email == "owner@example.com"


def test_the_password_is_tried_as_seldom_as_at_the_sign_in(visitor):
    visitor.post("/settings/security/sessions/end/")
    answers = [visitor.post("/accounts/confirm/", {"password": f"wrong{number}"}) for number in range(20)]
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(422) <= 10, statuses[-1], "Retry-After" in answers[-1]) == (True, 429, True)


def test_a_proof_holds_for_a_quarter_of_an_hour(visitor):
    visitor.post("/settings/security/sessions/end/")
    visitor.post("/accounts/confirm/", {"password": PASSWORD})
    age(visitor, minutes=14)
    assert visitor.post("/settings/security/sessions/end/").url == "/settings/security/"
    age(visitor, minutes=2)
    assert visitor.post("/settings/security/sessions/end/").url == "/accounts/confirm/"


def test_a_proof_is_of_this_session_only(visitor, owner, client):
    visitor.post("/settings/security/sessions/end/")
    other = type(client)()
    other.force_login(owner)
    age(other)
    visitor.post("/accounts/confirm/", {"password": PASSWORD})
    assert other.post("/settings/notifications/secret/").status_code == 302  # it was ended, as was wanted


def test_a_proof_gives_the_session_a_new_key(visitor):
    visitor.post("/settings/notifications/secret/")
    before = visitor.session.session_key
    visitor.post("/accounts/confirm/", {"password": PASSWORD})
    copy = type(visitor)()
    copy.cookies["sessionid"] = before
    assert (visitor.session.session_key != before, copy.get("/").status_code) == (True, 302)


def test_an_account_without_a_password_opens_a_link(visitor, owner):
    owner.set_unusable_password()
    owner.save()
    visitor.force_login(owner)
    age(visitor)
    visitor.post("/settings/notifications/", NOTIFICATIONS)
    page = visitor.get("/accounts/confirm/").content.decode()
    assert ("manage.py sign-in-link" in page, 'type="password"' in page) == (True, False)
    assert visitor.post("/accounts/confirm/", {}).url == "/accounts/confirm/"
    assert choice(owner) is None
    token = accounts.issue_link(owner, valid=timedelta(minutes=5))
    assert visitor.get(f"/accounts/link/{token}/", **BY_HAND).url == "/accounts/confirm/"
    page = visitor.get("/accounts/confirm/").content.decode()
    assert ("You confirmed that it is you." in page, choice(owner)) == (True, None)
    visitor.post("/accounts/confirm/", {})
    assert choice(owner).email == "owner@example.com"


def test_somebody_elses_link_is_no_proof(visitor, owner, team_mate):
    visitor.post("/settings/notifications/secret/")
    token = accounts.issue_link(team_mate, valid=timedelta(minutes=5))
    visitor.get(f"/accounts/link/{token}/", **BY_HAND)
    assert (visitor.session["_auth_user_id"], WANTED in visitor.session) == (str(team_mate.pk), False)


def test_without_a_question_there_is_no_page(visitor):
    assert visitor.get("/accounts/confirm/").url == "/"
    assert visitor.post("/accounts/confirm/", {"password": PASSWORD}).url == "/"


def test_a_question_of_an_hour_ago_is_forgotten(visitor, owner):
    visitor.post("/settings/notifications/", NOTIFICATIONS)
    session = visitor.session
    session[WANTED] = session[WANTED] | {"at": session[WANTED]["at"] - 3601}
    session.save()
    assert visitor.post("/accounts/confirm/", {"password": PASSWORD}).url == "/"
    assert choice(owner) is None


def test_cancel_leads_back_to_the_page_before(visitor):
    visitor.post("/settings/security/sessions/end/", HTTP_REFERER="http://testserver/settings/security/?a=1")
    assert 'href="/settings/security/?a=1"' in visitor.get("/accounts/confirm/").content.decode()


@pytest.mark.parametrize("referer", ["https://evil.example/x", "javascript:alert(1)", "http://[", "//evil.example"])
def test_cancel_never_leads_to_another_site(visitor, referer):
    visitor.post("/settings/security/sessions/end/", HTTP_REFERER=referer)
    assert 'href="/settings/"' in visitor.get("/accounts/confirm/").content.decode().partition("<main")[2]


def test_no_password_and_no_token_is_kept(visitor, rf):
    sent = {"new_password1": "secret one", "old_password": "secret two", "csrfmiddlewaretoken": "t", "name": "Captain"}
    assert reauthentication.input_of(rf.post("/", sent)) == "name=Captain"


def test_a_page_is_led_to_after_the_proof(visitor, owner):
    """As an administrator's page would be."""
    request = RequestFactory().get("/settings/shared/?q=1")
    request.user, request.session, request.htmx = owner, visitor.session, False

    @reauthentication.reauthenticated(SensitiveAction.ADMINISTRATION)
    def secret_page(request: ConsoleRequest):
        raise AssertionError

    assert secret_page(request).url == "/accounts/confirm/"
    request.session.save()
    assert visitor.post("/accounts/confirm/", {"password": PASSWORD}).url == "/settings/shared/?q=1"


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

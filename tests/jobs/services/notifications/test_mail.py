import pytest
from django.core import mail as outbox
from django.utils import timezone

from jobs.models import Delivery, NotificationChoice, Problem
from jobs.services.notifications import mail
from jobs.services.notifications.delivery_errors import NotDelivered
from tests.support import factories
from tests.support.receivers import mail_server

pytestmark = pytest.mark.django_db
SMTP = "django.core.mail.backends.smtp.EmailBackend"


@pytest.fixture(autouse=True)
def _set_up(settings):
    settings.EMAIL_HOST, settings.DEFAULT_FROM_EMAIL = "127.0.0.1", "Console <console@example.com>"
    settings.CONSOLE_URL = "https://console.example"


@pytest.fixture
def delivery(owner):
    return Delivery.objects.create(notification=factories.notification(), way="email")


def send(delivery, email="owner@example.com", *, confirmed=True):
    choice = NotificationChoice(user=factories.owner(), email=email, email_confirmed=confirmed)
    mail.send(delivery, choice, timezone.now())


def outcome(delivery, settings, **refusals):
    with mail_server(**refusals) as server:
        settings.EMAIL_BACKEND, settings.EMAIL_PORT = SMTP, server.server_address[1]
        with pytest.raises(NotDelivered) as raised:
            send(delivery)
    return raised.value.problem, raised.value.detail, raised.value.for_good


def test_what_it_says(delivery):
    send(delivery)
    [message] = outbox.outbox
    assert (message.subject, message.to) == ("Tuning My model succeeded", ["owner@example.com"])
    assert message.body.split("\n\n")[1] == f"https://console.example/notifications/{delivery.notification_id}/"


def test_an_address_that_nobody_confirmed_gets_tests_alone_and_with_them_the_link(delivery):
    with pytest.raises(NotDelivered):
        send(delivery, confirmed=False)
    delivery.notification.kind = "test"
    send(delivery, confirmed=False)
    assert "https://console.example/settings/notifications/confirm/" in outbox.outbox[0].body


def test_a_name_cannot_add_a_header(delivery):
    delivery.notification.facts = {"name": "x\r\nBcc: all@example.com", "state": "SUCCEEDED"}
    send(delivery)
    assert outbox.outbox[0].subject == "Tuning x Bcc: all@example.com succeeded"


def test_by_a_real_mail_server(delivery, settings):
    with mail_server() as server:
        settings.EMAIL_BACKEND, settings.EMAIL_PORT = SMTP, server.server_address[1]
        send(delivery)
        send(delivery)
    ids = {line for text in server.messages for line in text.splitlines() if line.lower().startswith("message-id")}
    assert (len(server.messages), ids) == (2, {f"Message-ID: <{delivery.pk}@example.com>"})


@pytest.mark.parametrize(
    ("refusals", "expected"),
    [
        ({"RCPT": "550 No such person"}, (Problem.MAIL_REFUSED, "550 No such person", True)),
        ({"RCPT": "451 Later"}, (Problem.MAIL_REFUSED, "451 Later", False)),
        ({"END": "554 Spam"}, (Problem.MAIL_REFUSED, "554 Spam", True)),
        ({"MAIL": "530 Sign in first"}, (Problem.MAIL_REFUSED, "530 Sign in first", False)),
    ],
)
def test_a_refusal_is_named(delivery, settings, refusals, expected):
    assert outcome(delivery, settings, **refusals) == expected


def test_a_silent_server(delivery, settings):
    settings.EMAIL_TIMEOUT = 0.3
    assert outcome(delivery, settings, DATA="hang")[::2] == (Problem.TIMEOUT, False)


def test_no_server(delivery, settings):
    with mail_server() as server:
        settings.EMAIL_BACKEND, settings.EMAIL_PORT = SMTP, server.server_address[1]
    with pytest.raises(NotDelivered, match="unreachable"):
        send(delivery)


@pytest.mark.parametrize(("host", "email"), [("", "owner@example.com"), ("127.0.0.1", "")])
def test_not_set_up(delivery, settings, host, email):
    settings.EMAIL_HOST = host
    with pytest.raises(NotDelivered, match="off") as raised:
        send(delivery, email)
    assert raised.value.for_good

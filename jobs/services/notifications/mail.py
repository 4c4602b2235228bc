"""A notification as an e-mail, by the installation's mail server."""

import smtplib
from datetime import datetime

from django.conf import settings
from django.core.mail import EmailMessage

from jobs.models import Delivery, NotificationChoice, NotificationKind, Problem
from jobs.text.deferred import gettext as _

from .choices import confirmation_link
from .delivery_errors import NotDelivered
from .webhook import link


def send(delivery: Delivery, choice: NotificationChoice, _now: datetime) -> None:
    """The Message-ID is the same at every try: a mail program shows two of one id as one."""
    notification = delivery.notification
    is_test = notification.kind == NotificationKind.TEST
    if not choice.email or not settings.EMAIL_HOST or not (choice.email_confirmed or is_test):
        raise NotDelivered(Problem.NOT_SET_UP, for_good=True)
    domain = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].rstrip("> ")
    message = EmailMessage(
        subject=notification.title,
        body=_body([notification.title, notification.detail, link(notification), *_confirmation(choice)]),
        to=[choice.email],
        headers={"Message-ID": f"<{delivery.pk}@{domain}>", "Auto-Submitted": "auto-generated"},
    )
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused as error:
        code, text = next(iter(error.recipients.values()))
        raise _refusal(code, text) from None
    except smtplib.SMTPResponseException as error:
        raise _refusal(error.smtp_code, error.smtp_error) from None
    except (OSError, smtplib.SMTPException) as error:
        if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
            raise NotDelivered(Problem.TIMEOUT, str(settings.EMAIL_TIMEOUT)) from None
        raise NotDelivered(Problem.UNREACHABLE, type(error).__name__) from None


def _confirmation(choice: NotificationChoice) -> list[str]:
    if choice.email_confirmed:
        return []
    return [_("To receive notifications at this address, open this link:"), confirmation_link(choice)]


def _refusal(code: int, text: bytes | str) -> NotDelivered:
    """5xx is the server's last word, unless it does not know us: that is the installation's to mend."""
    words = text.decode(errors="replace") if isinstance(text, bytes) else text
    for_good = 500 <= code < 600 and code not in (530, 534, 535)
    return NotDelivered(Problem.MAIL_REFUSED, f"{code} {words}", for_good=for_good)


def _body(parts: list[str]) -> str:
    foot = _("You receive this email because of your settings under Settings & status, Notifications.")
    return "\n\n".join([*filter(None, parts), f"-- \n{foot}"]) + "\n"

"""What happens to accounts and sessions, each told from one place."""

import logging

from django.http import HttpRequest

from jobs.models import AuditOutcome
from jobs.services import audit

logger = logging.getLogger(__name__)


def sign_in_succeeded(request: HttpRequest, how: str) -> None:
    """`how`: password or link."""
    logger.info("%s signed in by %s from %s", name_of(request), how, address_of(request))


def sign_in_refused(request: HttpRequest, name: str, wait: float) -> None:
    """The password was not looked at."""
    logger.warning("Sign-in refused for %s from %s for %.0f s", quote_name(name), address_of(request), wait)


def log_sign_out(request: HttpRequest) -> None:
    logger.info("%s signed out", name_of(request))


def identity_confirmed(request: HttpRequest, how: str) -> None:
    audit.record("account.confirm", audit.account(request.user), facts={"how": how})
    logger.info("%s confirmed by %s from %s", name_of(request), how, address_of(request))


def identity_not_confirmed(request: HttpRequest) -> None:
    audit.record("account.confirm", audit.account(request.user), outcome=AuditOutcome.FAILED, reason="wrong_password")
    logger.warning("%s failed to confirm from %s", name_of(request), address_of(request))


def password_changed(request: HttpRequest) -> None:
    logger.info("%s changed the password from %s", name_of(request), address_of(request))


def sessions_ended(request: HttpRequest, count: int) -> None:
    logger.info("%s ended %d other sessions from %s", name_of(request), count, address_of(request))


def name_of(request: HttpRequest) -> str:
    return quote_name(request.user.get_username())


def quote_name(name: str) -> str:
    """On one line of the log, whatever was typed."""
    return ascii(name[:150])


def address_of(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))

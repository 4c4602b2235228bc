"""Whether somebody has signed in to an account in this browser before: a signed cookie says so, and for a year.

It lets nobody in. It only keeps the account's other failures from being counted against this browser.
"""

import secrets
from typing import Any, Final

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

from jobs.services.accounts import sign_in_limits

COOKIE: Final = "known-browser"
SALT: Final = "console.known_browsers"
LASTS_SECONDS: Final = 365 * 24 * 3600
MAX_ACCOUNTS: Final = 8


def cookie_name() -> str:
    return f"{settings.COOKIE_PREFIX}{COOKIE}"


def id_for(request: HttpRequest, account: str) -> str:
    """The browser's own name, empty where nobody has signed in to this account."""
    name, accounts = read(request)
    return name if digest(account) in accounts else ""


def remember(request: HttpRequest, response: HttpResponse, account: str) -> HttpResponse:
    name, accounts = read(request)
    mine = digest(account)
    kept = [mine, *(other for other in accounts if other != mine)][:MAX_ACCOUNTS]
    value = signing.dumps([name or secrets.token_urlsafe(16), kept], salt=SALT)
    response.set_cookie(
        cookie_name(), value, max_age=LASTS_SECONDS, secure=settings.HTTPS, httponly=True, samesite="Strict"
    )
    return response


def read(request: HttpRequest) -> tuple[str, list[str]]:
    try:
        found: Any = signing.loads(request.COOKIES.get(cookie_name(), ""), salt=SALT, max_age=LASTS_SECONDS)
    except signing.BadSignature:
        return "", []
    return found[0], found[1]


def digest(account: str) -> str:
    return salted_hmac(SALT, sign_in_limits.normalize_name(account), algorithm="sha256").hexdigest()[:16]

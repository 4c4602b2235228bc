"""A password that somebody types: whether it may be looked at, and what its outcome does to the next one."""

import math

from django.http import HttpRequest, HttpResponse

from jobs.services.accounts import sign_in_limits
from jobs.services.accounts.sign_in_limits import Attempt

from . import known_browsers


def attempt_of(request: HttpRequest, account: str) -> Attempt:
    address = request.META.get("REMOTE_ADDR", "")
    return Attempt(account, address, known_browsers.id_for(request, account))


def wait_for(request: HttpRequest, account: str, password: str) -> float:
    """The seconds to wait before a password may be looked at. An empty one is no attempt, nor is a name that no account
    can have."""
    is_attempt = bool(password) and sign_in_limits.is_name(account)
    return sign_in_limits.admit(attempt_of(request, account)) if is_attempt else 0.0


def record_success(request: HttpRequest, account: str) -> None:
    sign_in_limits.forgive(attempt_of(request, account))


def add_retry_after(response: HttpResponse, wait: float) -> HttpResponse:
    if wait:
        response.status_code = 429
        response["Retry-After"] = str(math.ceil(wait))
    return response

"""Sees to it that every request that changes something, or is refused, has its line in the audit log.

Services write most entries, in the transaction of the change. What they did not write is written here, right after the
view: if that fails (the disk is full), the person gets an error although the change is made, and the log of the process
has it. The one middleware that calls a service.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import DatabaseError
from django.dispatch import receiver
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch, resolve

from console.web.audit_actions import ACTIONS, PRIVATE, Action
from jobs.models import AuditOutcome
from jobs.origin import CROSS_SITE, Origin, comes_from, current
from jobs.services import audit
from jobs.services.accounts.sign_in_limits import name_of
from jobs.services.audit import Subject

logger = logging.getLogger(__name__)

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
BAD_INPUT, THROTTLED = 422, 429
REFUSALS = {403: "forbidden", 409: "conflict", THROTTLED: "throttled"}


class Allowance:
    """So many lines a minute: nobody can fill the disk with refusals. How many were left out stands in the next line.
    Of this process alone."""

    def __init__(self, a_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.a_minute, self.clock = a_minute, clock
        self.left, self.since, self.left_out = float(a_minute), clock(), 0

    def take(self) -> int | None:
        """None: not now. Else how many were left out before. Two threads at once may count one too few."""
        now = self.clock()
        self.left = min(self.a_minute, self.left + (now - self.since) * self.a_minute / 60)
        self.since = now
        if self.left < 1:
            self.left_out += 1
            return None
        self.left -= 1
        left_out, self.left_out = self.left_out, 0
        return left_out


class Allowances:
    """One for each person; of whoever was not heard of for longest the allowance is forgotten."""

    def __init__(self, a_minute: int, most: int = 10_000) -> None:
        self.a_minute, self.most = a_minute, most
        self.people: OrderedDict[int | None, Allowance] = OrderedDict()
        self.lock = threading.Lock()

    def of(self, user_id: int | None) -> Allowance:
        with self.lock:
            mine = self.people.pop(user_id, None) or Allowance(self.a_minute)
            self.people[user_id] = mine
            if len(self.people) > self.most:
                self.people.popitem(last=False)
        return mine


strangers = Allowance(60)
# For what is refused alone: what was done, and what failed, always has its line.
refusals = Allowances(60)


class AuditMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        origin = Origin(lambda: getattr(request, "user", None), address_of(request), getattr(request, "id", ""))
        with comes_from(origin):
            response = self.get_response(request)
            if request.method not in SAFE and not origin.entries:
                note(request, response.status_code, origin)
        return response


def note(request: HttpRequest, status: int, origin: Origin) -> None:
    match = request.resolver_match or (find_view(request) if origin.refusal == CROSS_SITE else None)
    name = (match.url_name or "") if match else ""
    if match is None or name in PRIVATE and status < 400:
        return
    action = ACTIONS.get(name, Action(f"request.{name}"))
    end = end_of(status, action, origin, signed_in=is_signed_in(request))
    if end is None:
        return
    outcome, reason = end
    about = audit.find(action.kind, str(match.kwargs.get("pk", "")), request.user if is_signed_in(request) else None)
    if outcome == AuditOutcome.FAILED and status >= 500:
        note_failure(action.code, about, reason)
    elif is_signed_in(request) and outcome == AuditOutcome.REFUSED:
        note_within(refusals.of(request.user.pk), action.code, about, outcome, reason)
    elif is_signed_in(request):
        audit.record(action.code, about, outcome=outcome, reason=reason)
    else:
        is_read = origin.refusal != CROSS_SITE
        tried = account_tried(request) if name == "sign-in" and is_read else about
        note_within(strangers, action.code, tried, outcome, reason)


def account_tried(request: HttpRequest) -> Subject:
    return Subject("account", "", name_of(request.POST.get("username", "")))


def find_view(request: HttpRequest) -> ResolverMatch | None:
    """Of a request that was refused before Django looked for it."""
    try:
        return resolve(request.path_info)
    except Http404:
        return None


def end_of(status: int, action: Action, origin: Origin, *, signed_in: bool) -> tuple[str, str] | None:
    """Outcome and reason; None for what is no news: what was typed wrong, what does not exist or is somebody else's,
    and what leads to the sign-in page."""
    if status < 400 and not origin.refusal:
        return (AuditOutcome.OK, "") if signed_in else None
    if status >= 500:
        return AuditOutcome.FAILED, "error"
    if status in REFUSALS or origin.refusal:
        return AuditOutcome.REFUSED, origin.refusal or REFUSALS[status]
    if status == BAD_INPUT and action.counts_bad_input:
        return AuditOutcome.FAILED, "bad_input"
    return None


def note_failure(code: str, about: Subject, reason: str) -> None:
    """What failed may have failed because nothing can be written."""
    try:
        audit.record(code, about, outcome=AuditOutcome.FAILED, reason=reason)
    except DatabaseError:
        logger.warning("The audit log could not be written: %s failed.", code)


def note_within(allowance: Allowance, code: str, about: Subject, outcome: str, reason: str) -> None:
    left_out = allowance.take()
    if left_out is not None:
        audit.record(code, about, outcome=outcome, reason=reason, facts={"left_out": left_out} if left_out else {})


def is_signed_in(request: HttpRequest) -> bool:
    user = getattr(request, "user", None)
    return user is not None and user.is_authenticated


def address_of(request: HttpRequest) -> str:
    """As the server believes it: a proxy's word counts where the settings say so."""
    return str(request.META.get("REMOTE_ADDR", ""))


@receiver(user_logged_in)
def record_sign_in(user: Any, **_: Any) -> None:
    audit.record("session.sign_in", audit.account(user), actor=user)


@receiver(user_logged_out)
def record_sign_out(user: Any, **_: Any) -> None:
    """Nobody signs out where nobody had signed in."""
    if user is not None:
        audit.record("session.sign_out", audit.account(user), actor=user)


@receiver(user_login_failed)
def sign_in_failed(credentials: dict[str, Any], **_: Any) -> None:
    """The account that was named, also one that does not exist."""
    name, origin = str(credentials.get("username", "")), current()
    address = origin.address if origin else ""
    logger.warning("Sign-in failed: account %r, address %s", name[:150], address)
    note_within(strangers, "session.sign_in", audit.account_named(name), AuditOutcome.FAILED, "wrong_password")

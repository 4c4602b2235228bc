"""Who has just proven who they are, and the step before what a stolen session must not be able to do."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Concatenate, Final, ParamSpec, cast
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme

from console.accounts import pending_actions
from console.accounts.pending_actions import Facts, PendingAction
from console.web.http import ConsoleRequest, hx_redirect
from console.web.middleware import page_of
from console.web.sessions import SIGNED_IN_AT
from jobs import origin
from jobs.services.accounts.reauthentication import SensitiveAction, is_proven

NOT_CONFIRMED: Final = "not_confirmed"
PROVED_AT: Final = "proved_at"
SAFE: Final = frozenset({"GET", "HEAD"})
P = ParamSpec("P")
View = Callable[Concatenate[ConsoleRequest, P], HttpResponse]
Describe = Callable[..., Facts]


def require_reauthentication(
    action: SensitiveAction, *, then: str = "", may_read: bool = False, describe: Describe | None = None
) -> Callable[[View[P]], View[P]]:
    """The view runs only for somebody who has just proven who they are. `then` names the page to go on with where the
    form cannot be sent again, as it holds a password. `may_read`: looking at the page takes no proof. `describe` says
    what the request is going to do, and refuses who may not do it; without it, the input is shown as it was sent."""

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def run_if_proven(request: ConsoleRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if (may_read and request.method in SAFE) or is_proven_here(request, action):
                return view(request, *args, **kwargs)
            facts = describe(request, *args, **kwargs) if describe else None
            return ask(request, action, then=then, facts=facts)

        run_if_proven.sensitive_action = action  # type: ignore[attr-defined]
        return cast(View[P], run_if_proven)

    return decorate


def is_proven_here(request: HttpRequest, action: SensitiveAction) -> bool:
    signed_in_at, proved_at = time_in(request, SIGNED_IN_AT), time_in(request, PROVED_AT)
    return is_proven(action, signed_in_at=signed_in_at, proved_at=proved_at, now=timezone.now())


def time_in(request: HttpRequest, name: str) -> datetime | None:
    seconds = request.session.get(name)
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def ask(
    request: ConsoleRequest, action: SensitiveAction, *, then: str = "", facts: Facts | None = None
) -> HttpResponse:
    origin.refuse(NOT_CONFIRMED)
    is_sent = request.method == "POST" and not then
    text = pending_actions.input_of(request) if is_sent else None
    pending = PendingAction(
        action.value,
        path=resolve_url(then) if then else request.get_full_path(),
        input=text,
        facts=pending_actions.facts_of_input(text) if facts is None else facts,
        back=page_before(request),
    )
    return hx_redirect(request, "confirm", pending_actions.keep(request, pending))


def page_before(request: ConsoleRequest) -> str:
    """Where the person was, to go back to when they would rather not."""
    url = (page_of(request.htmx) if request.htmx else request.headers.get("Referer")) or ""
    inside = url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())
    parts = urlsplit(url if inside else resolve_url("settings"))
    path = f"/{parts.path.lstrip('/')}"
    return f"{path}?{parts.query}" if parts.query else path

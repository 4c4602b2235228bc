"""“Confirm that it is you”: the step before what a stolen session must not be able to do.

What was wanted waits in the session, with the input of its form, and is done after the proof. The proof is the
password, or a sign-in link that is opened in this session: `manage.py sign-in-link` prints one.
"""

import shlex
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render, resolve_url
from django.urls import resolve
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from console.forms.accounts import ConfirmForm
from console.http import ConsoleRequest, hx_redirect
from console.middleware import page_of
from console.sessions import SIGNED_IN_AT
from jobs import origin
from jobs.services import accounts
from jobs.services.reauthentication import PROOF_LASTS, SensitiveAction, is_proven

from . import account_events, password_attempts

NOT_CONFIRMED: Final = "not_confirmed"
PROVED_AT: Final = "proved_at"
WANTED: Final = "wanted"
SAFE: Final = frozenset({"GET", "HEAD"})
WANTED_LASTS: Final = timedelta(hours=1)
# Never kept: what is secret by itself, and the token, which each form has anew.
LEFT_OUT: Final = ("password", "secret", "csrfmiddlewaretoken")

P = ParamSpec("P")
View = Callable[Concatenate[ConsoleRequest, P], HttpResponse]


def reauthenticated(action: SensitiveAction, *, then: str = "", may_read: bool = False) -> Callable[[View[P]], View[P]]:
    """The view runs only for somebody who has just proven who they are. `then` names the page to go on with where the
    form cannot be sent again, as it holds a password. `may_read`: looking at the page takes no proof."""

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(request: ConsoleRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if (may_read and request.method in SAFE) or is_proven_here(request, action):
                return view(request, *args, **kwargs)
            return ask(request, action, then=then)

        guarded.sensitive_action = action  # type: ignore[attr-defined]
        return cast(View[P], guarded)

    return decorate


def is_proven_here(request: HttpRequest, action: SensitiveAction) -> bool:
    signed_in_at, proved_at = time_in(request, SIGNED_IN_AT), time_in(request, PROVED_AT)
    return is_proven(action, signed_in_at=signed_in_at, proved_at=proved_at, now=timezone.now())


def time_in(request: HttpRequest, name: str) -> datetime | None:
    seconds = request.session.get(name)
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def ask(request: ConsoleRequest, action: SensitiveAction, *, then: str = "") -> HttpResponse:
    origin.refuse(NOT_CONFIRMED)
    is_sent = request.method == "POST" and not then
    request.session[WANTED] = {
        "action": action.value,
        "path": resolve_url(then) if then else request.get_full_path(),
        "input": input_of(request) if is_sent else None,
        "back": page_before(request),
        "at": timezone.now().timestamp(),
    }
    return hx_redirect(request, "confirm")


def input_of(request: HttpRequest) -> str:
    kept = QueryDict(mutable=True)
    for name, values in request.POST.lists():
        if not any(part in name.lower() for part in LEFT_OUT):
            kept.setlist(name, values)
    return kept.urlencode()


def page_before(request: ConsoleRequest) -> str:
    """Where the person was, to go back to when they would rather not."""
    url = (page_of(request.htmx) if request.htmx else request.headers.get("Referer")) or ""
    inside = url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())
    parts = urlsplit(url if inside else resolve_url("settings"))
    path = f"/{parts.path.lstrip('/')}"
    return f"{path}?{parts.query}" if parts.query else path


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: ConsoleRequest) -> HttpResponse:
    wanted = wanted_in(request)
    if wanted is None:
        return hx_redirect(request, "dashboard")
    action = SensitiveAction(wanted["action"])
    is_done = is_proven_here(request, action)
    if request.method != "POST":
        return hx_redirect(request, wanted["path"]) if is_done and wanted["input"] is None else page(request, wanted)
    if not is_done and (refused := check_password(request, wanted)):
        return refused
    return go_on(request, wanted)


def wanted_in(request: HttpRequest) -> dict[str, Any] | None:
    wanted: dict[str, Any] | None = request.session.get(WANTED)
    is_fresh = wanted and timezone.now().timestamp() - wanted["at"] < WANTED_LASTS.total_seconds()
    return wanted if is_fresh else None


def page(request: ConsoleRequest, wanted: dict[str, Any], form: ConfirmForm | None = None) -> HttpResponse:
    action = SensitiveAction(wanted["action"])
    context = {
        "form": form or ConfirmForm(request.user),
        "action": action.label,
        "back": wanted["back"],
        "has_password": request.user.has_usable_password(),
        "is_proven": is_proven_here(request, action),
        "minutes": PROOF_LASTS.seconds // 60,
        "username": request.user.get_username(),
        "link_command": link_command(request.user.get_username()),
    }
    return render(request, "accounts/confirm.html", context, status=422 if form else 200)


def plain_link_command() -> str:
    """By the console's own Python, as it is called in its folder. Tells strangers nothing."""
    program = Path(sys.executable)
    is_inside = program.is_relative_to(settings.BASE_DIR)
    return f"{program.relative_to(settings.BASE_DIR) if is_inside else 'python'} manage.py sign-in-link"


def link_command(username: str) -> str:
    words = plain_link_command().split()
    words += [] if username == accounts.OWNER else [username]
    words += [] if settings.DATA_DIR == settings.BASE_DIR / "data" else ["--data-dir", str(settings.DATA_DIR)]
    return shlex.join(words)


def check_password(request: ConsoleRequest, wanted: dict[str, Any]) -> HttpResponse | None:
    """None when it is right. An account without one has none to try."""
    if not request.user.has_usable_password():
        messages.warning(request, _("Open the link first, then continue."))
        return hx_redirect(request, "confirm")
    name = request.user.get_username()
    wait = password_attempts.wait_for(request, name, request.POST.get("password", ""))
    form = ConfirmForm(request.user, request.POST, wait=wait)
    if not form.is_valid():
        account_events.identity_not_confirmed(request)
        return password_attempts.told_to_wait(page(request, wanted, form), wait)
    password_attempts.succeeded(request, name)
    prove(request, "password")
    return None


def prove(request: HttpRequest, how: str) -> None:
    """The session gets a new key: whoever has a copy of the old one has gained nothing."""
    request.session[PROVED_AT] = timezone.now().timestamp()
    request.session.cycle_key()
    accounts.close_ended_sessions(timezone.now())
    account_events.identity_confirmed(request, how)


def lead_back(request: ConsoleRequest) -> HttpResponse:
    """To what waits for the proof that was just given."""
    if wanted_in(request):
        return hx_redirect(request, "confirm")
    messages.success(request, _("You confirmed that it is you."))
    return hx_redirect(request, "dashboard")


def go_on(request: ConsoleRequest, wanted: dict[str, Any]) -> HttpResponse:
    """A form that waits is handed to its view as it was sent."""
    del request.session[WANTED]
    if wanted["input"] is None:
        return hx_redirect(request, wanted["path"])
    parts = urlsplit(wanted["path"])
    match = resolve(parts.path)
    request.GET, request.POST = QueryDict(parts.query), QueryDict(wanted["input"])
    request.path = request.path_info = parts.path
    request.resolver_match = match
    response: HttpResponse = match.func(request, *match.args, **match.kwargs)
    return response

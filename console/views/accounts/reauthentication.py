"""“Confirm that it is you”: the step before what a stolen session must not be able to do.

What was wanted waits in the session (`pending_actions`), with the input of its form, and is done after the proof. The
proof is the password, or a sign-in link that is opened in this session: `manage.py sign-in-link` prints one.
"""

import shlex
import sys
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import resolve
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from console.accounts import account_events, password_attempts, pending_actions
from console.accounts.confirmation import (
    PROVED_AT,
    is_proven_here,
)
from console.accounts.pending_actions import PendingAction
from console.forms.accounts import ConfirmForm
from console.web.http import ConsoleRequest, hx_redirect
from jobs.services.accounts import accounts
from jobs.services.accounts.reauthentication import PROOF_LASTS, SensitiveAction

IMAGE_PYTHON = "/opt/console"
IN_CONTAINER = "docker compose exec web python manage.py sign-in-link"


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: ConsoleRequest, pending_id: UUID) -> HttpResponse:
    """Confirms what has this id, and nothing else: not what came to wait after the page was shown."""
    pending = pending_actions.find(request, pending_id)
    if pending is None:
        messages.warning(request, _("This confirmation has expired. Nothing was changed. Try again."))
        return hx_redirect(request, "dashboard")
    is_done = is_proven_here(request, SensitiveAction(pending.action))
    if request.method != "POST":
        is_page = is_done and pending.input is None
        return hx_redirect(request, pending.path) if is_page else page(request, pending)
    if not is_done and (refused := check_password(request, pending_id, pending)):
        return refused
    return go_on(request, pending)


def page(request: ConsoleRequest, pending: PendingAction, form: ConfirmForm | None = None) -> HttpResponse:
    action = SensitiveAction(pending.action)
    context = {
        "form": form or ConfirmForm(request.user),
        "action": action.label,
        "facts": pending.facts,
        "back": pending.back,
        "has_password": request.user.has_usable_password(),
        "is_proven": is_proven_here(request, action),
        "minutes": PROOF_LASTS.seconds // 60,
        "username": request.user.get_username(),
        "link_command": link_command(request.user.get_username()),
        "is_in_image": is_in_image(),
    }
    return render(request, "accounts/confirm.html", context, status=422 if form else 200)


def is_in_image(prefix: str = sys.prefix) -> bool:
    """The image of the containers has its Python there, see the Dockerfile."""
    return prefix == IMAGE_PYTHON


def new_link_facts(prefix: str = sys.prefix) -> dict[str, object]:
    """What whoever has no link may do about it. Tells strangers neither a folder nor an account."""
    is_inside = is_in_image(prefix)
    return {
        "link_command": f"{IN_CONTAINER} NAME" if is_inside else plain_link_command(),
        "is_in_image": is_inside,
        "has_own_folder": not is_inside and has_own_folder(),
        "has_printed_link": (settings.DATA_DIR / "run" / "processes.json").is_file(),
    }


def plain_link_command() -> str:
    return f"{base_command()} --data-dir FOLDER" if has_own_folder() else base_command()


def has_own_folder() -> bool:
    return bool(settings.DATA_DIR != settings.BASE_DIR / "data")


def base_command() -> str:
    """By the console's own Python, as it is called in its folder."""
    program = Path(sys.executable)
    is_inside = program.is_relative_to(settings.BASE_DIR)
    return f"{program.relative_to(settings.BASE_DIR) if is_inside else 'python'} manage.py sign-in-link"


def link_command(username: str, prefix: str = sys.prefix) -> str:
    if is_in_image(prefix):
        return shlex.join([*IN_CONTAINER.split(), username])
    words = base_command().split()
    words += [] if username == accounts.OWNER else [username]
    words += ["--data-dir", str(settings.DATA_DIR)] if has_own_folder() else []
    return shlex.join(words)


def check_password(request: ConsoleRequest, pending_id: UUID, pending: PendingAction) -> HttpResponse | None:
    """None when it is right. An account without one has none to try."""
    if not request.user.has_usable_password():
        messages.warning(request, _("Open the link first, then continue."))
        return hx_redirect(request, "confirm", pending_id)
    name = request.user.get_username()
    wait = password_attempts.wait_for(request, name, request.POST.get("password", ""))
    form = ConfirmForm(request.user, request.POST, wait=wait)
    if not form.is_valid():
        account_events.identity_not_confirmed(request)
        return password_attempts.add_retry_after(page(request, pending, form), wait)
    password_attempts.record_success(request, name)
    prove(request, "password")
    return None


def prove(request: HttpRequest, how: str) -> None:
    """The session gets a new key: whoever has a copy of the old one has gained nothing."""
    request.session[PROVED_AT] = timezone.now().timestamp()
    request.session.cycle_key()
    accounts.close_ended_sessions(timezone.now())
    account_events.identity_confirmed(request, how)


def lead_back(request: ConsoleRequest) -> HttpResponse:
    """To what waits for the proof that was just given. Of several things none: a link does not say which one it is
    for, and each has to be asked for again."""
    if pk := pending_actions.only_id(request):
        return hx_redirect(request, "confirm", pk)
    pending_actions.forget_all(request)
    messages.success(request, _("You confirmed that it is you."))
    return hx_redirect(request, "dashboard")


def go_on(request: ConsoleRequest, pending: PendingAction) -> HttpResponse:
    """A form that waits is handed to its view as it was sent. Whatever waits beside it is forgotten: this proof was not
    for that."""
    pending_actions.forget_all(request)
    if pending.input is None:
        return hx_redirect(request, pending.path)
    parts = urlsplit(pending.path)
    match = resolve(parts.path)
    request.GET, request.POST = QueryDict(parts.query), QueryDict(pending.input)
    request.path = request.path_info = parts.path
    request.resolver_match = match
    response: HttpResponse = match.func(request, *match.args, **match.kwargs)
    return response

"""The password of the account, and the browsers that are signed in to it."""

import uuid
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.auth import HASH_SESSION_KEY, update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.contrib.auth.models import User
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import gettext as _, ngettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from console.accounts import account_events, known_browsers, password_attempts
from console.accounts.browser_names import describe
from console.accounts.confirmation import is_proven_here, require_reauthentication
from console.accounts.pending_actions import Facts
from console.forms.accounts import refusal
from console.web.http import ConsoleRequest, hx_redirect
from console.web.sessions import row_id
from jobs.models import SignedInSession
from jobs.services.accounts import accounts
from jobs.services.accounts.reauthentication import SensitiveAction

SHOWN = 100


@dataclass(frozen=True, slots=True)
class SessionRow:
    session: SignedInSession
    browser: str
    is_this: bool


@require_safe
def index(request: ConsoleRequest) -> HttpResponse:
    return render(request, "settings/security.html", context_of(request))


def context_of(request: ConsoleRequest, form: "SetPasswordForm[User] | None" = None) -> dict[str, Any]:
    has_password = request.user.has_usable_password()
    return {
        "form": form or password_form(request.user),
        "has_password": has_password,
        "may_set_password": has_password or is_proven_here(request, SensitiveAction.FIRST_PASSWORD),
        "sessions": session_rows(request),
    }


def session_rows(request: ConsoleRequest) -> list[SessionRow]:
    """This one first."""
    this = row_id(request.session.session_key)
    found = accounts.sessions_of(request.user, timezone.now())[:SHOWN]
    rows = [SessionRow(session, describe(session.agent), session.pk == this) for session in found]
    return sorted(rows, key=lambda row: not row.is_this)


def password_form(user: User, data: Any = None) -> "SetPasswordForm[User]":
    """An account that is entered by links only has no old password to ask for."""
    made = PasswordChangeForm(user, data) if user.has_usable_password() else SetPasswordForm(user, data)
    made.use_required_attribute = False
    for field in made.fields.values():
        field.widget.attrs.pop("autofocus", None)
    return made


@sensitive_post_parameters()
@require_POST
def password(request: ConsoleRequest) -> HttpResponse:
    """The old one is the proof; where there is none, another is asked for first."""
    return change_password(request) if request.user.has_usable_password() else set_first_password(request)


def change_password(request: ConsoleRequest) -> HttpResponse:
    name = request.user.get_username()
    wait = password_attempts.wait_for(request, name, request.POST.get("old_password", ""))
    if wait:
        context = context_of(request) | {"refused": refusal(wait)}
        return password_attempts.add_retry_after(render(request, "settings/security.html", context), wait)
    form = password_form(request.user, request.POST)
    is_valid = form.is_valid()
    if "old_password" not in form.errors:
        password_attempts.record_success(request, name)
    return keep_password(request, form) if is_valid else refuse_password(request, form)


@require_reauthentication(SensitiveAction.FIRST_PASSWORD, then="settings-security")
def set_first_password(request: ConsoleRequest) -> HttpResponse:
    form = password_form(request.user, request.POST)
    return keep_password(request, form) if form.is_valid() else refuse_password(request, form)


def refuse_password(request: ConsoleRequest, form: "SetPasswordForm[User]") -> HttpResponse:
    return render(request, "settings/security.html", context_of(request, form), status=422)


def keep_password(request: ConsoleRequest, form: "SetPasswordForm[User]") -> HttpResponse:
    """This session goes on under a new key; its streams of before end with those of the others."""
    accounts.set_password(request.user, form.cleaned_data["new_password1"])
    request.session[HASH_SESSION_KEY] = request.user.get_session_auth_hash()
    update_session_auth_hash(request, request.user)
    accounts.end_other_sessions(request.user, row_id(request.session.session_key), timezone.now())
    account_events.password_changed(request)
    messages.success(request, _("Password changed"))
    response = hx_redirect(request, "settings-security")
    return known_browsers.remember(request, response, request.user.get_username())


@require_POST
@require_reauthentication(SensitiveAction.FIRST_PASSWORD, then="settings-security")
def confirm_for_password(request: ConsoleRequest) -> HttpResponse:
    """Leads to the form once the person has confirmed."""
    return hx_redirect(request, "settings-security")


def describe_session(request: ConsoleRequest, pk: uuid.UUID) -> Facts:
    session = get_object_or_404(accounts.sessions_of(request.user, timezone.now()), pk=pk)
    return [(_("Session"), " · ".join(filter(None, [describe(session.agent), session.address])))]


@require_POST
@require_reauthentication(SensitiveAction.END_SESSIONS, describe=describe_session)
def end_session(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    if not accounts.end_session(request.user, pk, timezone.now()):
        raise Http404
    account_events.sessions_ended(request, 1)
    messages.success(request, _("Session ended"))
    return hx_redirect(request, "settings-security")


@require_POST
@require_reauthentication(SensitiveAction.END_SESSIONS)
def end_others(request: ConsoleRequest) -> HttpResponse:
    count = accounts.end_other_sessions(request.user, row_id(request.session.session_key), timezone.now())
    account_events.sessions_ended(request, count)
    text = ngettext("%(count)d other session ended", "%(count)d other sessions ended", count)
    messages.success(request, text % {"count": count})
    return hx_redirect(request, "settings-security")

from typing import cast

from django.contrib import messages
from django.contrib.auth import login, logout
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from console.accounts import account_events, known_browsers, password_attempts
from console.forms.accounts import SignInForm
from console.web.http import ConsoleRequest, HtmxRequest, hx_redirect, safe_next
from jobs.services.accounts import accounts, sign_in_limits

from . import reauthentication

BACKEND = "jobs.services.accounts.preferences.Backend"


@login_not_required
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HtmxRequest) -> HttpResponse:
    after = safe_next(request, "dashboard")
    if request.user.is_authenticated:
        return hx_redirect(request, after)
    if request.method != "POST":
        return sign_in_page(request, SignInForm(request), after)
    name, password = sign_in_limits.name_of(request.POST.get("username", "")), request.POST.get("password", "")
    wait = password_attempts.wait_for(request, name, password)
    form = SignInForm(request, {"username": name, "password": password}, wait=wait)
    if not form.is_valid():
        note_failure(request, name, wait)
        return password_attempts.add_retry_after(sign_in_page(request, form, after), wait)
    user = form.get_user()
    password_attempts.record_success(request, name)
    enter(request, user, "password")
    return known_browsers.remember(request, hx_redirect(request, after), user.get_username())


def sign_in_page(request: HtmxRequest, form: SignInForm, after: str) -> HttpResponse:
    context = {"form": form, "next": after, **reauthentication.new_link_facts()}
    return render(request, "accounts/sign_in.html", context, status=422 if form.is_bound else 200)


def note_failure(request: HttpRequest, name: str, wait: float) -> None:
    """A password that was wrong is noted where Django tells of it, console/web/audit.py."""
    if wait:
        account_events.sign_in_refused(request, name, wait)


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in_link(request: HtmxRequest, token: str) -> HttpResponse:
    """A link opened by its person signs in at once; whatever else fetches it gets a button.

    Mail scanners and previews send HEAD, or GET without saying that a person navigates, and so burn nothing. Nor can a
    link on another site sign its visitor in to somebody else's account without a click.
    """
    owner = accounts.whose(token)
    if owner and request.method != "POST" and not is_user_navigation(request):
        is_here = request.user.pk == owner.pk
        return render(request, "accounts/link.html", {"username": owner.get_username(), "is_here": is_here})
    user = accounts.redeem(token) if owner else None
    if user is None:
        return render_expired_link(request)
    if request.user.pk == user.pk:
        reauthentication.prove(request, "link")
        return reauthentication.lead_back(cast(ConsoleRequest, request))
    enter(request, user, "link", backend=BACKEND)
    return known_browsers.remember(request, hx_redirect(request, "dashboard"), user.get_username())


def render_expired_link(request: HtmxRequest) -> HttpResponse:
    problem = _("This link has expired or was already used.")
    if not request.user.is_authenticated:
        context = {"problem": problem, **reauthentication.new_link_facts()}
        return render(request, "accounts/link.html", context, status=410)
    messages.warning(request, problem)
    return hx_redirect(request, "dashboard")


@login_not_required
@require_POST
def sign_out(request: HtmxRequest) -> HttpResponse:
    if request.user.is_authenticated:
        account_events.log_sign_out(request)
    logout(request)
    accounts.close_ended_sessions(timezone.now())
    response = hx_redirect(request, "sign-in")
    # Drafts of messages are kept there.
    response["Clear-Site-Data"] = '"storage"'
    return response


def enter(request: HtmxRequest, user: User, how: str, **options: str) -> None:
    """Pages of the session before hear nothing any more: it may have been somebody else's."""
    login(request, user, **options)
    accounts.close_ended_sessions(timezone.now())
    account_events.sign_in_succeeded(request, how)


def is_user_navigation(request: HttpRequest) -> bool:
    headers = request.headers
    return (
        request.method == "GET"
        and headers.get("Sec-Fetch-Mode") == "navigate"
        and headers.get("Sec-Fetch-Site") in {"none", "same-origin"}
        and "Sec-Purpose" not in headers
    )

import hashlib
from contextlib import suppress

from django.contrib.auth import login, logout
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from console.forms.accounts import SignInForm
from console.http import HtmxRequest, hx_redirect, safe_next
from jobs import live
from jobs.services import accounts

FAILURES_A_MINUTE = 10
BACKEND = "jobs.services.preferences.Backend"


@login_not_required
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HtmxRequest) -> HttpResponse:
    after = safe_next(request, "dashboard")
    if request.user.is_authenticated:
        return hx_redirect(request, after)
    if request.method != "POST":
        return render(request, "accounts/sign_in.html", {"form": SignInForm(request), "next": after})
    account, address = throttle_keys(request)
    admitted = all([count(key) <= FAILURES_A_MINUTE for key in (account, address)])
    form = SignInForm(request, request.POST, admitted=admitted)
    if not form.is_valid():
        status = 422 if admitted else 429
        return render(request, "accounts/sign_in.html", {"form": form, "next": after}, status=status)
    cache.delete(account)
    uncount(address)
    enter(request, form.get_user())
    return hx_redirect(request, after)


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in_link(request: HtmxRequest, token: str) -> HttpResponse:
    """A link opened by its person signs in at once; whatever else fetches it gets a button.

    Mail scanners and previews send HEAD, or GET without saying that a person navigates, and so burn nothing. Nor can a
    link on another site sign its visitor in to somebody else's account without a click.
    """
    owner = accounts.whose(token)
    if owner and request.method != "POST" and not opened_by_hand(request):
        return render(request, "accounts/link.html", {"username": owner.get_username()})
    user = accounts.redeem(token) if owner else None
    if user is not None:
        enter(request, user, backend=BACKEND)
    elif not request.user.is_authenticated:
        problem = _("This link was used already or is too old.")
        return render(request, "accounts/link.html", {"problem": problem}, status=410)
    return hx_redirect(request, "dashboard")


@login_not_required
@require_POST
def sign_out(request: HtmxRequest) -> HttpResponse:
    session = request.session.session_key
    logout(request)
    live.end_session(session)
    response = hx_redirect(request, "sign-in")
    # Drafts of messages are kept there.
    response["Clear-Site-Data"] = '"storage"'
    return response


def enter(request: HtmxRequest, user: User, **options: str) -> None:
    """Pages of the session before hear nothing any more: it may have been somebody else's."""
    session = request.session.session_key
    login(request, user, **options)
    if session != request.session.session_key:
        live.end_session(session)


def opened_by_hand(request: HttpRequest) -> bool:
    headers = request.headers
    return (
        request.method == "GET"
        and headers.get("Sec-Fetch-Mode") == "navigate"
        and headers.get("Sec-Fetch-Site") in {"none", "same-origin"}
        and "Sec-Purpose" not in headers
    )


def throttle_keys(request: HttpRequest) -> tuple[str, str]:
    """For the account and for the address. The cache is the process's own: N web processes allow N times as many."""
    name = request.POST.get("username", "").casefold().encode()
    address = request.META.get("REMOTE_ADDR", "")
    return f"sign-in:account:{hashlib.sha256(name).hexdigest()}", f"sign-in:address:{address}"


def count(key: str) -> int:
    """Attempts in this minute, with this one: counted before it is tried, so that none slips through in parallel."""
    cache.add(key, 0, timeout=60)
    try:
        return cache.incr(key)
    except ValueError:
        return 1


def uncount(key: str) -> None:
    with suppress(ValueError):
        cache.decr(key)

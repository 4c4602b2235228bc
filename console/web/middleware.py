import logging
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from typing import Any, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase, HttpResponseRedirectBase
from django.middleware.csrf import get_token
from django.shortcuts import render, resolve_url
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.cache import get_conditional_response, patch_cache_control, patch_vary_headers
from django.utils.encoding import iri_to_uri
from django.utils.translation import gettext
from django_htmx.middleware import HtmxDetails

from console.web.http import HtmxRequest, back_url, is_from_elsewhere, wants_fragment
from console.web.sessions import SessionStore, address_of
from jobs import errors, origin, shortages
from jobs.models import preference_of

logger = logging.getLogger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponseBase]

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "manifest-src 'self'",
        # Text becomes elements in one place only, static/guard.js.
        "require-trusted-types-for 'script'",
        "trusted-types htmx",
    )
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# Where the web server finds who asked, to count what a person takes by person: console/entrance/clients.py.
PERSON = "console.person"
STATUS_OF = {
    errors.DatasetRejected: 422,
    errors.ImageRefused: 422,
    errors.NotAllowedNow: 409,
    errors.InvalidTransition: 409,
    errors.KeyReused: 409,
    errors.NoRoom: 503,
    errors.StoreUnavailable: 503,
    errors.ImageGone: 409,
}
RETRY_SECONDS = 10
CSRF_INPUT = re.compile(rb'name="csrfmiddlewaretoken" value="[^"]+"')
NEVER_SHOWN = re.compile("csrfmiddlewaretoken|password|secret|token")
STOP_POLLING = 286
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class RequestIdMiddleware:
    """Names the request, in the answer, on error pages and in the log of every failure."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        named = cast(HtmxRequest, request)
        named.id = secrets.token_hex(8)
        response = self.get_response(request)
        response["X-Request-ID"] = named.id
        if response.status_code >= 500 and not hasattr(response, "shortage"):
            path = iri_to_uri(request.path)
            words = named.id, request.method, path, response.status_code
            logger.error("Request %s: %s %s → %d", *words, extra={"request_id": named.id})
        return response


class SecurityHeadersMiddleware:
    """The browser's limits on every answer but our own files, and who may keep a copy of it.

    A page is never stored. A fragment or data may be kept by the browser if it asks each time: unchanged costs a 304.
    It must vary, or Back would show a kept fragment in the place of a page of the same address.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if request.path.startswith(settings.STATIC_URL) and response.status_code in (200, 304):
            return self.bare(response)
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        if response.has_header("Cache-Control"):
            return response
        return self.set_cache_control(request, response)

    @staticmethod
    def bare(response: HttpResponseBase) -> HttpResponseBase:
        """A file of ours: twenty of them come with a page, and what only a page needs would be sent twenty times."""
        for name in ("Referrer-Policy", "Cross-Origin-Opener-Policy"):
            response.headers.pop(name, None)
        response.headers["X-Content-Type-Options"] = "nosniff"
        if response.get("Content-Type", "").startswith("image/svg"):
            response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
        return response

    @staticmethod
    def set_cache_control(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        page = response.get("Content-Type", "").startswith("text/html") and "HX-Request" not in request.headers
        if page or request.method != "GET" or response.status_code != 200 or not isinstance(response, HttpResponse):
            patch_cache_control(response, no_store=True)
            return response
        patch_cache_control(response, private=True, no_cache=True)
        patch_vary_headers(response, ["HX-Request"])
        response["ETag"] = etag(response.content)
        return get_conditional_response(request, etag=response["ETag"], response=response) or response


def etag(content: bytes) -> str:
    """Weak, because a form's token is masked anew in each rendering and does not count as a change."""
    return f'W/"{blake2b(CSRF_INPUT.sub(b"", content), digest_size=16).hexdigest()}"'


class ForgedRequestMiddleware:
    """Refuses what another site makes a browser send, before anything is read of it. Not only other sites: another port
    or name of this machine may be a stranger's, too. Browsers that do not say where a request comes from are left to
    the CSRF token."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.method in SAFE_METHODS or not is_from_elsewhere(request):
            return self.get_response(request)
        origin.refuse(origin.CROSS_SITE)
        asked = cast(HtmxRequest, request)
        asked.htmx = HtmxDetails(request)
        with translation.override(translation.get_language_from_request(request)):
            return refusal(asked, gettext("This request came from another site and was refused."), 403)


class SessionUseMiddleware:
    """Keeps a session open while a person uses it. A fragment may have been fetched by a page that nobody looks at."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        is_by_itself = request.method in SAFE_METHODS and "HX-Request" in request.headers
        if request.session.accessed and not is_by_itself:
            cast(SessionStore, request.session).touch(address_of(request))
        return response


class HtmxRedirectMiddleware:
    """Tells htmx to go there itself: fetch would follow a redirect and swap a whole page into a fragment's place."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        htmx = cast(HtmxRequest, request).htmx
        if not htmx or not isinstance(response, HttpResponseRedirectBase):
            return response
        if response.url.split("?")[0] != resolve_url(settings.LOGIN_URL):
            return HttpResponse(status=204, headers={"HX-Redirect": response.url})
        url = redirect_to_login(page_of(htmx) or resolve_url(settings.LOGIN_REDIRECT_URL)).url
        return HttpResponse(status=STOP_POLLING, headers={"HX-Redirect": url, "Cache-Control": "no-store"})


def page_of(htmx: HtmxDetails) -> str | None:
    """The page that asked, unless its address cannot be read."""
    with suppress(ValueError):
        return htmx.current_url_abs_path
    return None


class PreferenceMiddleware:
    """The time zone and the language that a person who signed in has chosen; cookies stand for all others."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            return self.get_response(request)
        finally:
            timezone.deactivate()

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        """Not where no account is needed: health must not ask the database for one."""
        if not getattr(view, "login_required", True) or not request.user.is_authenticated:
            return
        request.META[PERSON] = str(request.user.pk)
        wanted = preference_of(request.user)
        if wanted.language in dict(settings.LANGUAGES):
            translation.activate(wanted.language)
            request.LANGUAGE_CODE = wanted.language
        with suppress(ZoneInfoNotFoundError, ValueError):
            if wanted.time_zone:
                timezone.activate(ZoneInfo(wanted.time_zone))


class DomainErrorMiddleware:
    """An error of the domain is a sentence for the person: in the banner of an htmx page, else on a page of its own."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        asked = cast(HtmxRequest, request)
        if shortage := shortages.shortage_of(exception):
            return short(asked, shortage)
        if not isinstance(exception, errors.JobsError):
            return None
        status = next((code for kind, code in STATUS_OF.items() if isinstance(exception, kind)), 400)
        return later(asked, str(exception)) if status == 503 else refusal(asked, str(exception), status)


def short(request: HtmxRequest, shortage: shortages.Shortage) -> HttpResponse:
    """What was asked for cannot be done now; nothing of it was."""
    shortages.tell(logger, shortage, f"{request.method} {iri_to_uri(request.path)} was refused")
    return later(request, f"{shortage.sentence} {shortage.remedy}")


def later(request: HtmxRequest, text: str) -> HttpResponse:
    """503. A plain form is handed back with all that was typed, so that it can be sent again; htmx leaves it alone."""
    if hasattr(request, "htmx") and wants_fragment(request):
        response = refusal(request, text, 503)
    else:
        response = unavailable(request, {"text": text, "typed": read_typed(request), "csrf_token": get_token(request)})
    response["Retry-After"] = str(RETRY_SECONDS)
    response.shortage = text  # type: ignore[attr-defined]  # it was told to the log already
    response._has_been_logged = True  # type: ignore[attr-defined]  # how Django knows
    return response


def unavailable(request: HtmxRequest, context: dict[str, object]) -> HttpResponse:
    """Without the shell if what it shows cannot be read."""
    try:
        return render(request, "later.html", context, status=503)
    except Exception:
        return HttpResponse(render_to_string("later.html", context), status=503)


def read_typed(request: HttpRequest) -> list[tuple[str, str]]:
    """The fields of a form, without what must not be shown again. Nothing when it cannot be read."""
    if request.method != "POST":
        return []
    with suppress(Exception):
        fields = [(name, value) for name, values in request.POST.lists() for value in values]
        return [(name, str(value)) for name, value in fields if not NEVER_SHOWN.search(name)]
    return []


def refusal(request: HtmxRequest, text: str, status: int) -> HttpResponse:
    if request.htmx:
        response = render(request, "components/note.html", {"kind": "bad", "text": text}, status=status)
        response["HX-Retarget"] = "#banner"
        response["HX-Reswap"] = "innerHTML"
        return response
    return render(request, "refused.html", {"text": text, "back_url": back_url(request)}, status=status)

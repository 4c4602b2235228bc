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
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.http.response import HttpResponseBase, HttpResponseRedirectBase
from django.shortcuts import render, resolve_url
from django.utils import timezone, translation
from django.utils.cache import get_conditional_response, patch_cache_control, patch_vary_headers
from django.utils.encoding import iri_to_uri
from django.utils.translation import gettext
from django_htmx.middleware import HtmxDetails

from console.http import HtmxRequest, is_from_elsewhere
from console.sessions import SessionStore, address_of
from jobs import errors
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
STATUS_OF = {
    errors.DatasetRejected: 422,
    errors.PictureRefused: 422,
    errors.NotAllowedNow: 409,
    errors.InvalidTransition: 409,
    errors.KeyReused: 409,
}
CSRF_INPUT = re.compile(rb'name="csrfmiddlewaretoken" value="[^"]+"')
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
        if response.status_code >= 500:
            path = iri_to_uri(request.path)
            logger.error("Request %s: %s %s → %d", named.id, request.method, path, response.status_code)
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
        return self.kept_privately(request, response)

    @staticmethod
    def bare(response: HttpResponseBase) -> HttpResponseBase:
        """A file of ours: twenty of them come with a page, and what only a page needs would be sent twenty times."""
        for name in ("Referrer-Policy", "Cross-Origin-Opener-Policy"):
            response.headers.pop(name, None)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    @staticmethod
    def kept_privately(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
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
        return HttpResponseForbidden(
            gettext("This request came from another site and was refused."), content_type="text/plain; charset=utf-8"
        )


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
        if not isinstance(exception, errors.JobsError):
            return None
        status = next((code for kind, code in STATUS_OF.items() if isinstance(exception, kind)), 400)
        return refusal(cast(HtmxRequest, request), str(exception), status)


def refusal(request: HtmxRequest, text: str, status: int) -> HttpResponse:
    if request.htmx:
        response = render(request, "components/note.html", {"kind": "bad", "text": text}, status=status)
        response["HX-Retarget"] = "#banner"
        response["HX-Reswap"] = "innerHTML"
        return response
    return render(request, "refused.html", {"text": text}, status=status)

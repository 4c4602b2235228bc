"""What a request is here, and the few answers that htmx needs to be told in its own way."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.utils.cache import patch_vary_headers
from django.utils.encoding import iri_to_uri
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.middleware import HtmxDetails

# "none": the person typed the address or used a bookmark.
OWN_SITES = frozenset({"same-origin", "none"})
IMAGE_ENDINGS = {"image/png": "png", "image/jpeg": "jpg"}
# An image that is a page of its own needs the browser's own styles.
IMAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


class HtmxRequest(HttpRequest):
    """After HtmxMiddleware and RequestIdMiddleware; the visitor may be unknown."""

    htmx: HtmxDetails
    id: str


class ConsoleRequest(HtmxRequest):
    """After LoginRequiredMiddleware."""

    user: User


def wants_fragment(request: HtmxRequest) -> bool:
    """A history restore carries the headers of htmx and still needs the whole page."""
    return bool(request.htmx) and not request.htmx.history_restore_request


def page_or_fragment(
    request: HtmxRequest, template: str, partial: str, context: Mapping[str, Any], *, status: int = 200
) -> HttpResponse:
    """One URL, two renderings: the page, or `template#partial` for htmx."""
    name = f"{template}#{partial}" if wants_fragment(request) else template
    response = render(request, name, dict(context), status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response


def is_from_elsewhere(request: HttpRequest) -> bool:
    """A page of another site, port or name made the browser ask. False where a browser does not say."""
    return request.headers.get("Sec-Fetch-Site", "same-origin") not in OWN_SITES


def hx_redirect(request: HtmxRequest, to: Any, *args: Any, **kwargs: Any) -> HttpResponse:
    """Go there: a full page load from htmx, See Other for a plain form."""
    url = iri_to_uri(resolve_url(to, *args, **kwargs))
    if request.htmx:
        return HttpResponse(status=204, headers={"HX-Redirect": url})
    response = HttpResponseRedirect(url)
    response.status_code = 303
    return response


def safe_next(request: HttpRequest, default: str) -> str:
    """The `next` that the form or the address names, unless it leads to another site or is no address at all."""
    url = request.POST.get("next") or request.GET.get("next", "")
    inside = url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())
    return url if inside and "/" in url else resolve_url(default)


def back_url(request: HttpRequest) -> str:
    """The page before, when it is one of ours and not this one."""
    before = request.headers.get("Referer", "")
    with suppress(DisallowedHost):
        here = url_has_allowed_host_and_scheme(before, {request.get_host()}) and before != request.build_absolute_uri()
        return before if here else ""
    return ""


def respond_with_image(content: bytes, content_type: str) -> HttpResponse:
    """One that was drawn anew, and that nobody writes again under its address."""
    response = HttpResponse(content, content_type=content_type)
    response["Cache-Control"] = "private, max-age=31536000, immutable"
    response["Content-Security-Policy"] = IMAGE_POLICY
    response["Content-Disposition"] = f'inline; filename="picture.{IMAGE_ENDINGS[content_type]}"'
    return response


def snackbar(response: HttpResponse, text: str, *, url: str = "", label: str = "") -> HttpResponse:
    """An answer to htmx that also shows a snackbar. After a redirect use `django.contrib.messages` instead."""
    detail = {"text": str(text), "url": url, "label": str(label)}
    response["HX-Trigger"] = json.dumps({"snackbar": detail})
    return response

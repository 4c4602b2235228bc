"""Answers when there is no view to give one, or it could not."""

import sys
from typing import cast

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.csrf import requires_csrf_token

from console.web.http import HtmxRequest, back_url, wants_fragment
from console.web.middleware import refusal, short
from jobs import origin
from jobs.shortages import shortage_of


def is_fragment(request: HttpRequest) -> bool:
    return hasattr(request, "htmx") and wants_fragment(cast(HtmxRequest, request))


def details(request: HttpRequest, status: int) -> dict[str, object]:
    """What a person can pass on. Never the query: it may hold what was typed."""
    number = getattr(request, "id", "")
    lines = [
        f"{request.method} {request.path} → {status}", f"Request {number}" if number else "",
        f"{timezone.now():%Y-%m-%d %H:%M:%S} UTC, Garden Console {settings.VERSION}",
    ]  # fmt: skip
    return {"request_id": number, "back_url": back_url(request), "details": "\n".join(filter(None, lines))}


@requires_csrf_token
def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        most = filesizeformat(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        text = _("A form can have at most %s of text. Shorten the text and send it again.") % most
        return refusal(cast(HtmxRequest, request), text, 413)
    text = _("The console could not understand the request. Go back and try again.")
    try:
        return refusal(cast(HtmxRequest, request), text, 400)
    except Exception:  # such as one in whose name of the host there is no sense
        return HttpResponse(text, status=400)


@requires_csrf_token
def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """An element that fetches itself and is gone takes itself off the page."""
    if not is_fragment(request):
        return render(request, "404.html", details(request, 404), status=404)
    if request.method == "GET":
        return HttpResponse(status=404, headers={"HX-Reswap": "delete"})
    text = _("This no longer exists. Reload the page to see what exists now.")
    return refusal(cast(HtmxRequest, request), text, 404)


@requires_csrf_token
def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    text = _("You don't have permission to do this. Ask the owner of the console for access.")
    if is_fragment(request):
        return refusal(cast(HtmxRequest, request), text, 403)
    return render(request, "403.html", {"text": text, **details(request, 403)}, status=403)


@requires_csrf_token
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    origin.refuse("csrf")
    text = _("The page was open for too long or its cookies were removed. Reload it and try again.")
    if is_fragment(request):
        return refusal(cast(HtmxRequest, request), text, 403)
    return render(request, "403.html", {"text": text, **details(request, 403)}, status=403)


@requires_csrf_token
def server_error(request: HttpRequest) -> HttpResponse:
    """Must work when nothing else does: without the shell if drawing it fails, too."""
    if shortage := shortage_of(sys.exception()):
        return short(cast(HtmxRequest, request), shortage)
    context = details(request, 500)
    try:
        return render(request, "500.html", context, status=500)
    except Exception:
        return HttpResponse(render_to_string("500.html", context), status=500)

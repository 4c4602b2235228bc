"""Answers that a view's decorator or a bare sentence gives become what every refusal looks like."""

from typing import cast

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import Resolver404, resolve
from django.utils.html import strip_tags
from django.utils.translation import gettext as _

from console.web.http import HtmxRequest, back_url, wants_fragment
from console.web.middleware import GetResponse, refusal

# Under these addresses lies something else, and what they answer is no page by itself.
NO_PAGES = frozenset(
    {"chat-turn", "chat-picture", "chat-picture-add", "compare-answer", "chat-preset-save", "notification"}
)


class PlainRefusalMiddleware:
    """A refusal that is empty or a bare sentence gets a page with the way on; for htmx it goes into the banner."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if isinstance(response, HttpResponse) and is_bare(response) and request.method != "HEAD":
            dress(cast(HtmxRequest, request), response)
        return response


def is_bare(response: HttpResponse) -> bool:
    """An element that is to take itself off the page (`HX-Reswap`) has nothing to say, and a part of a file no page."""
    is_html = response.get("Content-Type", "").startswith("text/html")
    is_meant = "HX-Reswap" in response or response.status_code in {401, 416}
    return response.status_code >= 400 and is_html and not is_meant and b"<" not in response.content


def dress(request: HtmxRequest, response: HttpResponse) -> None:
    """In place, so that its headers stay."""
    text = response.content.decode() or sentence(request, response.status_code)
    if wants_fragment(request):
        fresh = refusal(request, strip_tags(text), response.status_code)
        for name in ("HX-Retarget", "HX-Reswap"):
            response[name] = fresh[name]
    else:
        context = {"text": text, "back_url": back_url(request), "page_url": page_above(request.path)}
        fresh = render(request, "refused.html", context)
    response.content = fresh.content


def sentence(request: HttpRequest, status: int) -> str:
    if status == 405 and request.method == "GET":
        return _(
            "Nothing was changed. This address does what a button or a form asks for, and was opened on its own, as by "
            "a reload, a bookmark, or after signing in. Go to the page and use the button again."
        )
    return _("The console could not understand the request. Nothing was changed. Go back and try again.")


def page_above(path: str) -> str:
    """The nearest address above this one at which there is a page."""
    while path := path.rstrip("/").rpartition("/")[0]:
        try:
            name = resolve(f"{path}/").url_name
        except Resolver404:
            continue
        if name not in NO_PAGES:
            return f"{path}/"
    return "/"

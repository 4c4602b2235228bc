"""Counts every request for /metrics. A label is a word of ours: never a path, a method or a name that somebody sent."""

import time
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from console.web.streams import Message, Send
from jobs import telemetry

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Of what was refused before it was looked for, or was not found.
NO_ROUTE = "none"


def count(route: str, method: str, status: int) -> None:
    telemetry.REQUESTS.count(route, method if method in METHODS else "other", f"{status // 100}xx")


def count_answers(send: Send, route: str, method: str) -> Send:
    """For what is answered without Django."""

    async def send_counted(message: Message) -> None:
        if message["type"] == "http.response.start":
            count(route, method, message["status"])
        await send(message)

    return send_counted


class MeasureMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        began = time.perf_counter()
        response = self.get_response(request)
        route = route_of(request)
        count(route, request.method or "", response.status_code)
        telemetry.REQUEST_SECONDS.observe(time.perf_counter() - began, route)
        return response


def route_of(request: HttpRequest) -> str:
    if request.path.startswith(settings.STATIC_URL):
        return "static"
    return (request.resolver_match and request.resolver_match.url_name) or NO_ROUTE

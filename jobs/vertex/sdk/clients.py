"""Makes Google's clients: REST everywhere, so that Google and the local server are spoken to in the same way."""

import re
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from itertools import count
from typing import Any

from django.conf import settings
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import Request

from jobs.text.deferred import gettext as _
from jobs.vertex.errors import Refused, Unavailable

from . import IMPORTING, departure
from .credentials import load
from .translate import translate_errors

CLIENTS = {
    "endpoint_service": "EndpointServiceClient",
    "gen_ai_tuning_service": "GenAiTuningServiceClient",
    "job_service": "JobServiceClient",
    "metadata_service": "MetadataServiceClient",
    "model_garden_service": "ModelGardenServiceClient",
    "model_service": "ModelServiceClient",
    "prediction_service": "PredictionServiceClient",
    "tensorboard_service": "TensorboardServiceClient",
}

MOST_PAGES = 1000

_LOCATION = re.compile(r"projects/[^/]+/locations/([a-z0-9-]+)(?:/|$)")


def parent(location: str = "") -> str:
    return f"projects/{settings.VERTEX_PROJECT}/locations/{location or settings.VERTEX_LOCATION}"


def location_of(name: str) -> str:
    """A tuned model made through `global` lives in a region of its own; its name says which."""
    found = _LOCATION.match(name)
    if found is None:
        raise Refused(_("%r is not the name of a Vertex AI resource.") % name, "INVALID_ARGUMENT")
    return found[1]


def address(location: str) -> str:
    if settings.VERTEX_API_ENDPOINT:
        return str(settings.VERTEX_API_ENDPOINT)
    prefix = "" if location == "global" else f"{location}-"
    return f"https://{prefix}aiplatform.googleapis.com"


def client(service: str, location: str = "") -> Any:
    with translate_errors():
        return _client(service, address(location or settings.VERTEX_LOCATION), keep_alive=True)


def ask(method: Any, request: Any) -> Any:
    """A read, or a change that may be repeated without harm."""
    with translate_errors():
        return method(request=request, retry=None, timeout=settings.VERTEX_READ_SECONDS)


def all_pages(method: Any, request: Any) -> list[Any]:
    return whole(ask(method, request))


def whole(pages: Any) -> list[Any]:
    """What is on all pages of a list, of which `ask` has read the first. Raises VertexError for one without an end."""
    with translate_errors():
        return list(limit_pages(pages))


def limit_pages(pages: Any) -> Any:
    """The same list, which raises Unavailable where page follows page beyond all measure."""
    read, left = pages._method, count(MOST_PAGES - 1, -1)

    def read_one(*arguments: Any, **options: Any) -> Any:
        if next(left) <= 0:
            raise Unavailable(_("A list of Vertex AI has more than %d pages.") % MOST_PAGES, "UNAVAILABLE")
        return read(*arguments, **options)

    pages._method = read_one
    return pages


def create(service: str, method: str, make: Callable[[], Any], *, bucket: str = "", location: str = "") -> Any:
    """A paid create: one POST on a connection of its own, since a kept one may be dead and nobody could tell. Whatever
    goes wrong before it, in making the request, too, is NotSent."""
    with translate_errors(creates=True, bucket=bucket) as sending:
        request, url = make(), address(location or settings.VERTEX_LOCATION)
        sender = _client(service, url, keep_alive=False)
        sending.watch(sender.transport._session, url)
        return getattr(sender, method)(request=request, retry=None, timeout=settings.VERTEX_CREATE_SECONDS)


def authorise(url: str) -> dict[str, str]:
    """The headers that google-auth adds to a POST: the token and, if one is set, the quota project. None of them where
    no sign-in is wanted, as on the local server."""
    headers: dict[str, str] = {}
    with translate_errors():
        credentials().before_request(partial(Request(), timeout=settings.VERTEX_READ_SECONDS), "POST", url, headers)
    return headers


def credentials() -> Any:
    return anonymous() if settings.VERTEX_API_ENDPOINT else load()


def anonymous() -> Any:
    return AnonymousCredentials()  # type: ignore[no-untyped-call]


@cache
def _client(service: str, endpoint: str, *, keep_alive: bool) -> Any:
    with IMPORTING:
        module = import_module(f"google.cloud.aiplatform_v1beta1.services.{service}")
    options = ClientOptions(api_endpoint=endpoint)
    made = getattr(module, CLIENTS[service])(credentials=credentials(), client_options=options, transport="rest")
    harden(made.transport._session, keep_alive=keep_alive)
    return made


def harden(session: Any, *, keep_alive: bool = True) -> None:
    """requests would follow a 307 and so POST twice, and would take a proxy for a server on this machine."""
    departure.watch(session)
    session.max_redirects = 0
    session.trust_env = not settings.VERTEX_API_ENDPOINT
    if not keep_alive:
        session.headers["Connection"] = "close"

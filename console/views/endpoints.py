import uuid
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from console.http import ConsoleRequest, hx_redirect, page_or_fragment
from jobs import tasks
from jobs.models import Conversation, Endpoint
from jobs.models.endpoint import EndpointQuerySet
from jobs.services import endpoints
from jobs.states import EndpointState

from .paging import page_of


def visible_endpoint(request: ConsoleRequest, pk: uuid.UUID) -> Endpoint:
    return one_of(Endpoint.objects.visible_to(request.user).shown(), pk)


def one_of(endpoints: EndpointQuerySet, pk: uuid.UUID) -> Endpoint:
    endpoint: Endpoint = get_object_or_404(endpoints.select_related("job"), pk=pk)
    return endpoint


@require_safe
def index(request: ConsoleRequest) -> HttpResponse:
    page = page_of(Endpoint.objects.visible_to(request.user).shown(), request.GET)
    return page_or_fragment(request, "endpoints/list.html", "table", {"page": page})


@require_safe
def row(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    """The row of an endpoint that was deleted meanwhile takes itself off the page."""
    endpoint = one_of(Endpoint.objects.visible_to(request.user), pk)
    if endpoint.state == EndpointState.DELETED:
        return HttpResponse(headers={"HX-Reswap": "delete"})
    return render(request, "endpoints/list.html#row", {"endpoint": endpoint})


@require_safe
def detail(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    endpoint = visible_endpoint(request, pk)
    return render(request, "endpoints/detail.html", {**shown(endpoint), "chats": chats_with(endpoint)})


@require_safe
def status(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    endpoint = one_of(Endpoint.objects.visible_to(request.user), pk)
    if endpoint.state == EndpointState.DELETED:
        return hx_redirect(request, "endpoint-list")
    return render(request, "endpoints/detail.html#status", {**shown(endpoint), "is_update": True})


@require_POST
def undeploy(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    endpoint = visible_endpoint(request, pk)
    endpoints.request_undeploy(endpoint)
    tasks.kick(tasks.advance_endpoint, endpoint_id=str(pk))
    messages.info(request, _("Undeploying %(name)s") % {"name": endpoint.display_name})
    return hx_redirect(request, "endpoint-detail", pk)


@require_POST
def delete(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    endpoint = visible_endpoint(request, pk)
    endpoints.request_delete(endpoint)
    tasks.kick(tasks.advance_endpoint, endpoint_id=str(pk))
    messages.info(request, _("Deleting %(name)s") % {"name": endpoint.display_name})
    return hx_redirect(request, "endpoint-list")


def chats_with(endpoint: Endpoint) -> int:
    return Conversation.objects.filter(endpoint=endpoint).count()


def shown(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "endpoint": endpoint,
        "why_not_undeployed": why_not_undeployed(endpoint),
        "why_not_deleted": why_not_deleted(endpoint),
        "samples": samples(endpoint) if endpoint.state == EndpointState.READY else [],
    }


def why_not_undeployed(endpoint: Endpoint) -> str | Promise:
    if endpoint.state == EndpointState.UNDEPLOYING or endpoint.wanted == EndpointState.UNDEPLOYED:
        return _("The model is undeployed or about to be.")
    if endpoint.state not in {EndpointState.READY, EndpointState.DEPLOYING}:
        return _("No model is deployed here.")
    return ""


def why_not_deleted(endpoint: Endpoint) -> str | Promise:
    if endpoint.wanted == EndpointState.DELETED and endpoint.state != EndpointState.FAILED:
        return _("The endpoint is being deleted.")
    return ""


def samples(endpoint: Endpoint) -> list[dict[str, str]]:
    """How a program asks this endpoint: the same request by curl and by the OpenAI client. No secret is printed."""
    address = f"{server_address(endpoint)}/v1beta1/{endpoint.resource_name}"
    secret = settings.VERTEX_API_ENDPOINT == ""
    return [
        {"title": "curl", "text": CURL.format(address=address, login=CURL_LOGIN if secret else "")},
        {"title": _("Python, OpenAI client"), "text": (OPENAI_GOOGLE if secret else OPENAI).format(address=address)},
    ]


def server_address(endpoint: Endpoint) -> str:
    if settings.VERTEX_API_ENDPOINT:
        return str(settings.VERTEX_API_ENDPOINT)
    return f"https://{endpoint.dedicated_dns or f'{endpoint.location}-aiplatform.googleapis.com'}"


CURL_LOGIN = """ \\
  -H "Authorization: Bearer $(gcloud auth print-access-token)\""""
CURL = """curl {address}/chat/completions{login} \\
  -H "Content-Type: application/json" \\
  -d '{{"messages": [{{"role": "user", "content": "Hello!"}}], "max_tokens": 256}}'"""
OPENAI = """from openai import OpenAI

client = OpenAI(base_url="{address}", api_key="none")
answer = client.chat.completions.create(
    model="",
    messages=[{{"role": "user", "content": "Hello!"}}],
    max_tokens=256,
)
print(answer.choices[0].message.content)"""
OPENAI_GOOGLE = """import google.auth
import google.auth.transport.requests
from openai import OpenAI

credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
credentials.refresh(google.auth.transport.requests.Request())

client = OpenAI(base_url="{address}", api_key=credentials.token)
answer = client.chat.completions.create(
    model="",
    messages=[{{"role": "user", "content": "Hello!"}}],
    max_tokens=256,
)
print(answer.choices[0].message.content)"""

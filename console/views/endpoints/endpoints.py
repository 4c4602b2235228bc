import uuid
from datetime import datetime
from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from console.presenters.components.pager import Head, paginate
from console.presenters.endpoints import doctor
from console.presenters.endpoints.deployment_stages import stages
from console.presenters.endpoints.details import describe_endpoints
from console.presenters.endpoints.filters import FILTERS, filters, in_state, matching
from console.presenters.endpoints.log import render_log
from console.presenters.endpoints.metrics import choose_period, metrics
from console.presenters.endpoints.samples import samples
from console.presenters.endpoints.search import words_of
from console.presenters.endpoints.served_models import list_served_models
from console.presenters.endpoints.window import window_of
from console.web.http import ConsoleRequest, hx_redirect, page_or_fragment
from jobs import tasks
from jobs.models import Conversation, Endpoint
from jobs.models.endpoint import EndpointQuerySet
from jobs.models.keyset import Column
from jobs.services.endpoints import policies
from jobs.services.endpoints.reports import reports
from jobs.states import EndpointState

HEADS = (
    Head("name", gettext_lazy("Name and ID"), Column("display_name", str)),
    Head("status", gettext_lazy("Status"), Column("state", str)),
    Head("model", gettext_lazy("Model and machine")),
    Head("replicas", gettext_lazy("Replicas"), hint=gettext_lazy("Current / requested")),
    Head("requests", gettext_lazy("Requests, 24 h")),
    Head("cost", gettext_lazy("Cost per hour"), is_number=True),
    Head("updated", gettext_lazy("Updated"), Column("updated_at", datetime, largest_first=True)),
)
EVENTS_SHOWN = 50


def visible_endpoint(request: ConsoleRequest, pk: uuid.UUID) -> Endpoint:
    return one_of(Endpoint.objects.visible_to(request.user).not_deleted(), pk)


def one_of(rows: EndpointQuerySet, pk: uuid.UUID) -> Endpoint:
    endpoint: Endpoint = get_object_or_404(rows.select_related("main_model__job", "owner"), pk=pk)
    return endpoint


@require_safe
def index(request: ConsoleRequest) -> HttpResponse:
    mine = Endpoint.objects.visible_to(request.user).not_deleted()
    chosen, text = request.GET.get("state", ""), words_of(request.GET)
    found = in_state(matching(mine, text), chosen).select_related("main_model__job", "owner")
    page = paginate(found, request.GET, HEADS)
    context = {
        "chosen": chosen if chosen in FILTERS else "",
        "q": text,
        "filters": filters(mine),
        "page": page,
        "rows": describe_endpoints(page.rows),
    }
    return page_or_fragment(request, "endpoints/list.html", "table", context)


@require_safe
def row(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    """The row of an endpoint that was deleted meanwhile takes itself off the page."""
    endpoint = one_of(Endpoint.objects.visible_to(request.user), pk)
    if endpoint.state == EndpointState.DELETED:
        return HttpResponse(headers={"HX-Reswap": "delete"})
    return render(request, "endpoints/list.html#row", {"shown": describe_endpoints([endpoint])[0]})


@require_safe
def detail(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    endpoint = visible_endpoint(request, pk)
    context = {**page_context(request, endpoint), **log_context(endpoint)}
    return render(request, "endpoints/detail.html", context)


@require_safe
def status(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    endpoint = one_of(Endpoint.objects.visible_to(request.user), pk)
    if endpoint.state == EndpointState.DELETED:
        return hx_redirect(request, "endpoint-list")
    context = {**page_context(request, endpoint), "is_update": True}
    return render(request, "endpoints/detail.html#status", context)


def page_context(request: ConsoleRequest, endpoint: Endpoint) -> dict[str, Any]:
    seen, changing = describe_endpoints([endpoint])[0], policies.why_not_change_models(endpoint)
    return {
        "endpoint": endpoint,
        "shown": seen,
        "models": list_served_models(endpoint, seen.models),
        "why_not_add": changing or policies.why_no_room(endpoint),
        "why_not_change_models": changing,
        "doctor": doctor.examine(endpoint),
        "failed_models": doctor.examine_models(endpoint, seen.models),
        "window": window_of(endpoint),
        "stages": stages(endpoint.model),
        **metrics_context(request, endpoint),
        "chats": Conversation.objects.filter(endpoint=endpoint).count(),
        "events": list(endpoint.events.order_by("-pk")[:EVENTS_SHOWN]),
        "samples": samples(endpoint) if endpoint.state == EndpointState.READY else [],
        "why_not_undeploy": policies.why_not_undeploy(endpoint),
        "why_not_delete": policies.why_not_delete(endpoint),
    }


def metrics_context(request: ConsoleRequest, endpoint: Endpoint) -> dict[str, Any]:
    """Asks for the figures of the period as often as they may be asked for."""
    chosen = choose_period(request.GET.get("period", ""))
    ask_for(endpoint, chosen)
    return {"metrics": metrics(endpoint, chosen, as_table="table" in request.GET)}


def log_context(endpoint: Endpoint) -> dict[str, Any]:
    ask_for(endpoint, reports.LOG)
    return {"log": render_log(endpoint)}


def ask_for(endpoint: Endpoint, kind: str) -> None:
    if reports.ask(endpoint, kind, timezone.now()):
        tasks.enqueue_after_commit(tasks.read_report, endpoint_id=str(endpoint.pk), kind=kind)

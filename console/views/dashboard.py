from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from console.http import ConsoleRequest
from jobs.models import CatalogueSync, Endpoint, StatusGroup, TuningJob
from jobs.services import surplus

from .health import worker_problem
from .tuning_list import live_numbers

RECENT = 5


@require_safe
def index(request: ConsoleRequest) -> HttpResponse:
    context: dict[str, Any] = {}
    for gather in SECTIONS.values():
        context.update(gather(request.user))
    return render(request, "dashboard/index.html", context)


@require_safe
def section(request: ConsoleRequest, section: str) -> HttpResponse:
    if section not in SECTIONS:
        raise Http404
    return render(request, f"dashboard/index.html#{section}", SECTIONS[section](request.user))


def counters(user: User) -> dict[str, Any]:
    numbers = live_numbers(user)
    return {
        "running_count": numbers.get(StatusGroup.RUNNING, 0),
        "queued_count": numbers.get(StatusGroup.QUEUED, 0),
        "ready_count": Endpoint.objects.visible_to(user).ready().count(),
    }


def recent_jobs(user: User) -> dict[str, Any]:
    return {"jobs": list(TuningJob.objects.visible_to(user).rows()[:RECENT])}


def recent_endpoints(user: User) -> dict[str, Any]:
    return {"endpoints": list(Endpoint.objects.visible_to(user).shown()[:RECENT])}


def status(user: User) -> dict[str, Any]:
    """The same for everybody: the parts that all jobs depend on."""
    return {
        "worker_problem": worker_problem(),
        "catalogue": CatalogueSync.objects.first(),
        "unknown_jobs": surplus.unknown_jobs(),
    }


SECTIONS: dict[str, Callable[[User], dict[str, Any]]] = {
    "counters": counters,
    "jobs": recent_jobs,
    "endpoints": recent_endpoints,
    "status": status,
}

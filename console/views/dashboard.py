from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from console.http import ConsoleRequest
from jobs.models import CatalogueSync, Endpoint, TuningJob
from jobs.services import surplus
from jobs.states import TuningState

from .health import worker_problem

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
    jobs = TuningJob.objects.visible_to(user)
    queued = {TuningState.QUEUED, TuningState.PENDING}
    return {
        "running_count": jobs.live().exclude(state__in=queued).count(),
        "queued_count": jobs.filter(state__in=queued).count(),
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

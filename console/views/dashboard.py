from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from console.presenters.dashboard.summary import counters, idle_models, recent_endpoints, recent_jobs, setup
from console.presenters.health.status_words import cards, overall
from console.web.http import ConsoleRequest
from jobs.models import CatalogueSync
from jobs.services.health import status as parts
from jobs.services.tuning import orphaned_jobs


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


def status(user: User) -> dict[str, Any]:
    """The same for everybody: the parts that all jobs depend on."""
    found = parts.list_services(timezone.now())
    look, line = overall(parts.count_states(found))
    return {
        "overall_look": look,
        "overall": line,
        "problems": [card for card in cards(found) if card.service.is_problem],
        "catalogue": CatalogueSync.objects.first(),
        "unknown_jobs": orphaned_jobs.unknown_jobs(),
    }


SECTIONS: dict[str, Callable[[User], dict[str, Any]]] = {
    "setup": setup,
    "counters": counters,
    "idle": idle_models,
    "jobs": recent_jobs,
    "endpoints": recent_endpoints,
    "status": status,
}

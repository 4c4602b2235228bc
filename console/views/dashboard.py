from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from console.presenters.endpoints.details import RUNNING, Shown, money, shown
from console.presenters.endpoints.served_models import models_of
from console.presenters.health.setup import steps_left
from console.presenters.health.status_words import cards, overall
from console.presenters.tuning.counts import live_numbers
from console.web.http import ConsoleRequest
from jobs.models import CatalogueSync, Endpoint, StatusGroup, TuningJob
from jobs.services.health import status as parts
from jobs.services.tuning import orphaned_jobs

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
    running = list(Endpoint.objects.visible_to(user).with_model().filter(state__in=RUNNING))
    return {
        "running_count": numbers.get(StatusGroup.RUNNING, 0),
        "queued_count": numbers.get(StatusGroup.QUEUED, 0),
        "ready_count": sum(endpoint.state == "READY" for endpoint in running),
        "hourly_cost": hourly_cost(with_costs(running)),
    }


def with_costs(endpoints: list[Endpoint]) -> Iterator[Shown]:
    """Without how much they are used, which would take a query more."""
    models, now = models_of(endpoints), timezone.now()
    for endpoint in endpoints:
        yield Shown(endpoint, [], now, [model for model in models if model.endpoint_id == endpoint.pk])


def hourly_cost(running: Iterable[Shown]) -> str | Promise:
    """Of all that runs. A price that is not known is said to be so, and not left out of the sum in silence."""
    prices = [one.usd_per_hour for one in running]
    known = sum((price for price in prices if price is not None), Decimal(0))
    if None not in prices:
        return money(known) if known else _("No cost")
    return _("%(known)s + unknown") % {"known": money(known)} if known else _("Unknown")


def recent_jobs(user: User) -> dict[str, Any]:
    return {"jobs": list(TuningJob.objects.visible_to(user).listed().lines()[:RECENT])}


def recent_endpoints(user: User) -> dict[str, Any]:
    return {"endpoints": shown(Endpoint.objects.visible_to(user).shown().with_model()[:RECENT])}


def status(user: User) -> dict[str, Any]:
    """The same for everybody: the parts that all jobs depend on."""
    found = parts.parts(timezone.now())
    look, line = overall(parts.counted(found))
    return {
        "overall_look": look,
        "overall": line,
        "problems": [card for card in cards(found) if card.part.is_problem],
        "catalogue": CatalogueSync.objects.first(),
        "unknown_jobs": orphaned_jobs.unknown_jobs(),
    }


def setup(user: User) -> dict[str, Any]:
    return {"setup": steps_left(user)}


SECTIONS: dict[str, Callable[[User], dict[str, Any]]] = {
    "setup": setup,
    "counters": counters,
    "jobs": recent_jobs,
    "endpoints": recent_endpoints,
    "status": status,
}

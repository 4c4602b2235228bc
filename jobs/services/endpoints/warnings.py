"""Warns who has an endpoint that costs while nobody asks it, or that is about to be undeployed by its lease."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Prefetch, Q, QuerySet

from jobs.models import DeployedModel, Endpoint, Notification, NotificationKind, NotificationSubject
from jobs.services.costs import machine_prices
from jobs.services.notifications.notifications import End, tell
from jobs.states import EndpointState

IDLE = timedelta(hours=24)
SOON = timedelta(minutes=15)


def warn(now: datetime) -> None:
    """Once for each day-long silence and each end of a lease, however often it is called."""
    found = [*_warn_of_idle(now), *_warn_of_end(now)]
    rows = Notification.objects.filter(
        subject=NotificationSubject.ENDPOINT, subject_id__in=[row.pk for row, _ in found]
    )
    told = set(rows.values_list("subject_id", "end"))
    for endpoint, end in found:
        if (endpoint.pk, end.name) not in told:
            tell(endpoint.owner_id, NotificationSubject.ENDPOINT, endpoint.pk, end)


@dataclass(frozen=True)
class IdleEndpoint:
    """`since`: the last request; where there was none, when it was ready. `usd_per_hour` None: not known."""

    endpoint: Endpoint
    since: datetime
    usd_per_hour: Decimal | None


def find_idle(endpoints: "QuerySet[Endpoint]", now: datetime) -> Iterator[IdleEndpoint]:
    """Those that cost: ready for a day, without a request, as far as somebody counts those of other programs."""
    then = now - IDLE
    silent = Q(started_at__lte=then) & (Q(last_request_at=None) | Q(last_request_at__lte=then))
    live = Prefetch("deployed_models", DeployedModel.objects.live())
    found = list(endpoints.filter(silent).prefetch_related(live))
    models = [model for endpoint in found for model in endpoint.deployed_models.all()]
    prices = machine_prices.find_prices(map(machine_prices.machine_of, models))
    for endpoint in found:
        price = machine_prices.total_per_hour(endpoint.deployed_models.all(), prices)
        if price != 0:
            yield IdleEndpoint(endpoint, max(filter(None, (endpoint.started_at, endpoint.last_request_at))), price)


def _warn_of_idle(now: datetime) -> Iterator[tuple[Endpoint, End]]:
    for idle in find_idle(_serving(), now):
        price = "" if idle.usd_per_hour is None else f"{idle.usd_per_hour:.2f}"
        facts = {"name": idle.endpoint.display_name, "usd_per_hour": price}
        yield idle.endpoint, End(NotificationKind.ENDPOINT_IDLE, f"idle-{idle.since:%Y-%m-%dT%H:%M:%S}", facts)


def _warn_of_end(now: datetime) -> Iterator[tuple[Endpoint, End]]:
    for endpoint in _serving().filter(undeploy_at__gt=now, undeploy_at__lte=now + SOON):
        at = endpoint.undeploy_at
        assert at is not None
        facts = {"name": endpoint.display_name, "at": at.isoformat(timespec="minutes")}
        yield endpoint, End(NotificationKind.ENDPOINT_ENDING, f"lease-{at:%Y-%m-%dT%H:%M:%S}", facts)


def _serving() -> "QuerySet[Endpoint]":
    return Endpoint.objects.ready().filter(wanted=EndpointState.READY)

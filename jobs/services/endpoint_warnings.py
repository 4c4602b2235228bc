"""Warns who has an endpoint that costs while nobody asks it, or that is about to be undeployed by its lease."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db.models import Q

from jobs.models import Endpoint, Notification, NotificationKind, NotificationSubject, ServedModel
from jobs.states import EndpointState

from . import machine_prices
from .notifications import End, tell

IDLE = timedelta(hours=24)
SOON = timedelta(minutes=15)
BATCH = 200


def warn(now: datetime) -> None:
    """Once for each day-long silence and each end of a lease, however often it is called."""
    ready = Endpoint.objects.ready().filter(wanted=EndpointState.READY)
    found = [*_idle(ready.filter(silent_since(now - IDLE))[:BATCH])]
    found += _ending(ready.filter(undeploy_at__gt=now, undeploy_at__lte=now + SOON)[:BATCH])
    told = _told(endpoint.pk for endpoint, _end in found)
    for endpoint, end in found:
        if (endpoint.pk, end.name) not in told:
            tell(endpoint.owner_id, NotificationSubject.ENDPOINT, endpoint.pk, end)


def silent_since(moment: datetime) -> Q:
    """Ready since then, without a request of this console. Others may use it; nobody tells us of that."""
    return Q(started_at__lte=moment) & (Q(last_request_at=None) | Q(last_request_at__lte=moment))


def usd_per_hour(model: ServedModel) -> Decimal | None:
    """Of the least number of replicas; None when no price is known."""
    price = machine_prices.price(model.machine_type) if model.machine_type else None
    return price.usd_per_hour * model.min_replicas if price else None


def _idle(endpoints: Iterable[Endpoint]) -> Iterator[tuple[Endpoint, End]]:
    for endpoint in endpoints:
        price = usd_per_hour(endpoint)
        if price == 0:
            continue
        since = max(filter(None, (endpoint.started_at, endpoint.last_request_at)))
        facts = {"name": endpoint.display_name, "usd_per_hour": "" if price is None else f"{price:.2f}"}
        yield endpoint, End(NotificationKind.ENDPOINT_IDLE, f"idle-{since:%Y-%m-%dT%H:%M:%S}", facts)


def _ending(endpoints: Iterable[Endpoint]) -> Iterator[tuple[Endpoint, End]]:
    for endpoint in endpoints:
        assert endpoint.undeploy_at is not None
        facts = {"name": endpoint.display_name, "at": endpoint.undeploy_at.isoformat(timespec="minutes")}
        end = End(NotificationKind.ENDPOINT_ENDING, f"lease-{endpoint.undeploy_at:%Y-%m-%dT%H:%M:%S}", facts)
        yield endpoint, end


def _told(endpoint_ids: Iterable[UUID]) -> set[tuple[UUID, str]]:
    told = Notification.objects.filter(subject=NotificationSubject.ENDPOINT, subject_id__in=list(endpoint_ids))
    return set(told.values_list("subject_id", "end"))

"""Endpoints that cost and that nobody has asked anything for a while, as far as the console knows."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import F, Max

from jobs.models import Endpoint, FoundKind, FoundResource
from jobs.services.endpoints import warnings

from . import attachment


@dataclass(frozen=True)
class Idle:
    """`since`: the last request that is known; where there was none, when it was deployed. `usd_per_hour` None: not
    known. `pk` names an endpoint, or with `is_found` what was found."""

    pk: UUID
    name: str
    since: datetime
    usd_per_hour: Decimal | None
    was_used: bool
    is_found: bool
    made_here: bool

    def days(self, now: datetime) -> int:
        return (now - self.since).days


def list_idle(user: User, now: datetime) -> list[Idle]:
    """The dearest first, a price that is not known before all."""
    found = [*_list_own(user, now), *_list_found(user, now)]
    return sorted(found, key=lambda one: (one.usd_per_hour is not None, -(one.usd_per_hour or 0), one.name))


def _list_own(user: User, now: datetime) -> Iterator[Idle]:
    for one in warnings.find_idle(Endpoint.objects.visible_to(user).ready(), now):
        row = one.endpoint
        used = row.last_request_at is not None
        yield Idle(row.pk, row.display_name, one.since, one.usd_per_hour, used, is_found=False, made_here=row.made_here)


def _list_found(user: User, now: datetime) -> list[Idle]:
    """What this person attached is in the other list."""
    then = now - warnings.IDLE
    rows = FoundResource.objects.visible_to(user).costing().filter(kind=FoundKind.ENDPOINT, created_at__lte=then)
    shown = list(rows.only("pk", "kind", "resource_name", "display_name", "created_at", "usd_per_hour"))
    if not shown:
        return []
    own, asked = attachment.find_attached(user, shown), _find_last_requests()
    idle = [_of_found(one, asked.get(one.resource_name)) for one in shown if one.resource_name not in own]
    return [one for one in idle if one.since <= then]


def _find_last_requests() -> dict[str, datetime]:
    """Of everybody who attached them."""
    rows = Endpoint.objects.filter(made_here=False, last_request_at__isnull=False).order_by()
    return dict(rows.values(name=F("resource_name")).annotate(last=Max("last_request_at")).values_list("name", "last"))


def _of_found(row: FoundResource, asked: datetime | None) -> Idle:
    since = max(row.created_at, asked or row.created_at)
    used = asked is not None
    return Idle(row.pk, row.display_name, since, row.usd_per_hour, used, is_found=True, made_here=False)

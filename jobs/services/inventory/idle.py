"""Deployed models that cost and that nobody of this console has asked anything for a while."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import F, Max, Prefetch, Q

from jobs.models import DeployedModel, Endpoint, FoundKind, FoundResource
from jobs.services.costs import machine_prices
from jobs.services.costs.machine_prices import Machine, Price

from . import attachment

IDLE = timedelta(days=1)


@dataclass(frozen=True)
class Idle:
    """`since`: the last request of this console; where there was none, when it was deployed. `usd_per_hour` None: not
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
    found = [*_of_person(user, now), *_found(user, now)]
    return sorted(found, key=lambda one: (one.usd_per_hour is not None, -(one.usd_per_hour or 0), one.name))


def _of_person(user: User, now: datetime) -> list[Idle]:
    then = now - IDLE
    silent = Q(started_at__lte=then) & (Q(last_request_at=None) | Q(last_request_at__lte=then))
    live = Prefetch("deployed_models", DeployedModel.objects.live())
    rows = Endpoint.objects.visible_to(user).ready().filter(silent).prefetch_related(live)
    models = [model for row in rows for model in row.deployed_models.all()]
    prices = machine_prices.find_prices(map(machine_prices.machine_of, models))
    return [one for row in rows if (one := _of_endpoint(row, prices)).usd_per_hour != 0]


def _of_endpoint(row: Endpoint, prices: Mapping[Machine, Price | None]) -> Idle:
    since = max(filter(None, (row.started_at, row.last_request_at)))
    price, used = machine_prices.total_per_hour(row.deployed_models.all(), prices), row.last_request_at is not None
    return Idle(row.pk, row.display_name, since, price, used, is_found=False, made_here=row.made_here)


def _found(user: User, now: datetime) -> list[Idle]:
    """What this person attached is in the other list."""
    then = now - IDLE
    rows = FoundResource.objects.visible_to(user).costing().filter(kind=FoundKind.ENDPOINT, created_at__lte=then)
    shown = list(rows.only("pk", "kind", "resource_name", "display_name", "created_at", "usd_per_hour"))
    if not shown:
        return []
    own, asked = attachment.attached_to(user, shown), _last_requests()
    idle = [_of_found(one, asked.get(one.resource_name)) for one in shown if one.resource_name not in own]
    return [one for one in idle if one.since <= then]


def _last_requests() -> dict[str, datetime]:
    """Of everybody who attached them."""
    rows = Endpoint.objects.filter(made_here=False, last_request_at__isnull=False).order_by()
    return dict(rows.values(name=F("resource_name")).annotate(last=Max("last_request_at")).values_list("name", "last"))


def _of_found(row: FoundResource, asked: Any) -> Idle:
    since = max(row.created_at, asked or row.created_at)
    used = asked is not None
    return Idle(row.pk, row.display_name, since, row.usd_per_hour, used, is_found=True, made_here=False)

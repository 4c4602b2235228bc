"""Figures and logs of an endpoint: the web asks, the worker reads, and an answer holds for a minute, however many look.

A question that is lost stays unanswered, and asking again is harmless. What was told last stays beside the reason why
nothing newer is.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import F

from jobs import live, shortages
from jobs.models import Endpoint, EndpointReport
from jobs.models.remote import is_recent
from jobs.services.endpoints import lifetime
from jobs.states import EndpointState
from jobs.vertex import get_gateway
from jobs.vertex.errors import VertexError

logger = logging.getLogger(__name__)
PATIENCE, FRESH = timedelta(seconds=30), timedelta(seconds=60)
# Figures that nobody could renew for longer are not shown as those of now.
HOLDS = timedelta(minutes=15)
MOST_ENDPOINTS = 50
LOG, LOG_LINES, LOG_AGE = "log", 500, timedelta(days=2)
HOUR, DAY = "1h", "1d"


@dataclass(frozen=True)
class Period:
    length: timedelta
    parts: int

    @property
    def part(self) -> timedelta:
        return self.length / self.parts


PERIODS: Mapping[str, Period] = {
    HOUR: Period(timedelta(hours=1), 12),
    "6h": Period(timedelta(hours=6), 24),
    DAY: Period(timedelta(days=1), 24),
    "7d": Period(timedelta(days=7), 28),
    "14d": Period(timedelta(days=14), 28),
}


@dataclass(frozen=True)
class Part:
    """Of a period: what all programs asked. Latencies in seconds; None where nobody told."""

    begin: datetime
    requests: int
    errors: int
    latency_p50: float | None
    latency_p95: float | None
    replicas: int | None


def ask(endpoint: Endpoint, kind: str, now: datetime) -> bool:
    """True when the worker is to be told: not before the last answer is old, nor while nothing can be written."""
    if not endpoint.resource_name or shortages.present():
        return False
    with shortages.if_possible(logger, "Asking for the figures of an endpoint"):
        return _note_question(endpoint, kind, now)
    return False


def _note_question(endpoint: Endpoint, kind: str, now: datetime) -> bool:
    row, is_new = EndpointReport.objects.get_or_create(endpoint=endpoint, kind=kind, defaults={"asked_at": now})
    if is_new:
        return True
    if is_recent(row.asked_at, now, PATIENCE if row.is_awaited else FRESH):
        return False
    read_at = row.read_at if row.read_at and row.read_at < now else None
    rows = EndpointReport.objects.filter(pk=row.pk, asked_at=row.asked_at)
    return bool(rows.update(asked_at=now, read_at=read_at))


def ask_all(now: datetime, most: int = MOST_ENDPOINTS) -> list[tuple[UUID, str]]:
    """What is read of endpoints that serve, also while nobody looks: an idle one is not one that others use. Of too
    many, those that were used last."""
    used_last = F("last_request_at").desc(nulls_last=True)
    serving = Endpoint.objects.ready().exclude(resource_name="").order_by(used_last)[:most]
    return [(endpoint.pk, kind) for endpoint in serving for kind in (HOUR, DAY) if ask(endpoint, kind, now)]


def run(endpoint_id: UUID, kind: str, now: datetime) -> None:
    row = EndpointReport.objects.select_related("endpoint").filter(endpoint_id=endpoint_id, kind=kind).first()
    if row is None or not row.is_awaited:
        return
    changes: dict[str, Any] = {"read_at": max(now, row.asked_at)}
    try:
        data = _read_log(row.endpoint, now) if kind == LOG else _read_traffic(row.endpoint, kind, now)
        changes |= {"data": data, "told_at": now, "error": ""}
    except VertexError as problem:
        changes["error"] = str(problem)
    EndpointReport.objects.filter(pk=row.pk).update(**changes)
    if kind == HOUR and not changes["error"]:
        _note_use(row.endpoint, [_parse(one) for one in changes["data"]], now)
    live.notify(row.endpoint.owner_id, f"endpoint-{kind}-{endpoint_id}")


def find(endpoint: Endpoint, kind: str) -> EndpointReport | None:
    found: EndpointReport | None = EndpointReport.objects.filter(endpoint=endpoint, kind=kind).first()
    return found


def traffic_of(report: EndpointReport | None, now: datetime) -> list[Part]:
    """Nothing where nobody told any, or lately."""
    if report is None or report.told_at is None or now - report.told_at > HOLDS:
        return []
    return [_parse(one) for one in report.data]


def by_hour(endpoints: Iterable[Endpoint], now: datetime) -> dict[UUID, list[int]]:
    """Requests in each of the last 24 hours, the oldest first, of those endpoints of which they were told lately."""
    rows = EndpointReport.objects.filter(endpoint__in=list(endpoints), kind=DAY, told_at__gte=now - HOLDS)
    return {row.endpoint_id: [_parse(one).requests for one in row.data] for row in rows}


def lines_of(report: EndpointReport | None) -> Sequence[str]:
    return [str(line) for line in report.data] if report else []


def _read_log(endpoint: Endpoint, now: datetime) -> list[str]:
    found = get_gateway().logs.of_endpoint(endpoint.resource_name, now - LOG_AGE, LOG_LINES)
    return [line.text.replace("\x00", "") for line in found]


def _read_traffic(endpoint: Endpoint, kind: str, now: datetime) -> list[list[Any]]:
    """Until the last whole minute: what is later is in no answer yet."""
    period, end = PERIODS[kind], now.replace(second=0, microsecond=0)
    found = get_gateway().monitoring.traffic(endpoint.resource_name, end - period.length, period.part, period.parts)
    return [
        [one.begin.isoformat(), one.requests, one.errors, one.latency_p50, one.latency_p95, one.replicas]
        for one in found
    ]


def _parse(stored: Sequence[Any]) -> Part:
    begin, *rest = stored
    return Part(datetime.fromisoformat(begin), *rest)


def _note_use(endpoint: Endpoint, parts: Sequence[Part], now: datetime) -> None:
    """To the part of a period exactly, and never later than it can have been."""
    used = [part.begin for part in parts if part.requests]
    if used and endpoint.state == EndpointState.READY:
        lifetime.note_use(endpoint, min(max(used) + PERIODS[HOUR].part, now.replace(second=0, microsecond=0)))

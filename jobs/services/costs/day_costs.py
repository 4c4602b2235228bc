"""What deployed models cost on a day, by the ledger, beyond what was reserved on that day.

What is deployed today was reserved today. What has been running since an earlier day was reserved then: today it counts
with what the ledger has for today, up to midnight, or to the end of its fixed time limit.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Q

from jobs.models import Endpoint, LeaseKind, LedgerEntry, LedgerKind, SpendingReservation


@dataclass(frozen=True)
class Unreserved:
    """Of one deployed model. `usd` None: its price is not known."""

    owner_id: int | None
    usd: Decimal | None


def bounds_of(day: date) -> tuple[datetime, datetime]:
    """From midnight to midnight in the console's own time zone."""
    zone = ZoneInfo(settings.TIME_ZONE)
    start, end = (datetime.combine(one, time.min, zone) for one in (day, day + timedelta(days=1)))
    return start, end


def list_unreserved(day: date) -> list[Unreserved]:
    start, end = bounds_of(day)
    models: dict[UUID, list[LedgerEntry]] = defaultdict(list)
    for entry in LedgerEntry.objects.filter(kind=LedgerKind.DEPLOYMENT).in_period(start, end):
        models[entry.subject_id].append(entry)
    if not models:
        return []
    ends = _fixed_ends({entry.group_id for entries in models.values() for entry in entries})
    reserved = _sum_reserved(day, models)
    found = (_of_model(entries, start, end, ends, reserved.get(pk)) for pk, entries in models.items())
    return [one for one in found if one.usd is None or one.usd > 0]


def _of_model(
    entries: list[LedgerEntry],
    start: datetime,
    end: datetime,
    ends: dict[UUID, datetime],
    reserved: Decimal | None,
) -> Unreserved:
    parts = [entry.usd_between(start, min(end, ends.get(entry.group_id, end))) for entry in entries]
    owner_id = entries[-1].owner_id
    if None in parts:
        return Unreserved(owner_id, None if reserved is None else Decimal(0))
    usd = sum((part for part in parts if part is not None), Decimal(0)) - (reserved or Decimal(0))
    return Unreserved(owner_id, max(usd, Decimal(0)))


def _fixed_ends(endpoints: set[UUID]) -> dict[UUID, datetime]:
    rows = Endpoint.objects.filter(pk__in=endpoints, lease_kind=LeaseKind.FIXED, undeploy_at__isnull=False)
    return dict(rows.values_list("pk", "undeploy_at"))


def _sum_reserved(day: date, models: dict[UUID, list[LedgerEntry]]) -> dict[UUID, Decimal]:
    """On that day, by deployed model; 0 where the price was not known then."""
    by_job = {
        SpendingReservation.deployment_key(entries[-1].job_id): pk
        for pk, entries in models.items()
        if entries[-1].job_id
    }
    about = Q(object_id__in=models) | Q(pk__in=by_job)
    rows = SpendingReservation.objects.filter(about, day=day).values_list("pk", "object_id", "usd")
    found: dict[UUID, Decimal] = defaultdict(Decimal)
    for pk, object_id, usd in rows:
        found[by_job.get(pk, object_id)] += usd or Decimal(0)
    return found

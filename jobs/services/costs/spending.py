"""What may be spent in a day. The estimate of everything paid is reserved before its intent is kept, in the same
transaction and under a lock on the limits: of requests at the same moment, only those that fit get through.

A training counts with its estimate, and with its list price once Vertex AI has counted the tokens. A deployment counts
with the price of its machines, at most as many as it may have, for the hours of its fixed lease and at most 24 hours;
for 24 hours without one, also when its lease counts from the last request, which comes again and again. More machines
count when they are asked for, and so does whatever moves the end of a fixed lease. What runs since an earlier day
counts with what the ledger has for today, up to midnight. The local Vertex AI costs nothing.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from jobs.errors import SpendingLimitReached
from jobs.models import DeployedModel, Endpoint, LeaseKind, SpendingLimits, SpendingReservation, TuningJob
from jobs.services import audit
from jobs.states import DeployedState, EndpointState, Phase
from jobs.text.deferred import gettext as _, join

from . import day_costs, estimates, machine_prices
from .ledger import Spent

HOURS = 24
DAY = timedelta(hours=HOURS)
FREE = Decimal(0)
CENT = Decimal("0.01")
Row = TuningJob | Endpoint | DeployedModel
Usd = Decimal | None


@dataclass(frozen=True)
class Standing:
    """What a page shows a person beside something paid."""

    limits: SpendingLimits
    mine: Spent
    all: Spent
    zone: str


def limits() -> SpendingLimits:
    return SpendingLimits.objects.filter(pk=1).first() or SpendingLimits(pk=1)


def set_limits(*, person_usd: Usd, console_usd: Usd, allows_unknown: bool) -> None:
    """From now on; what was reserved today counts already."""
    with transaction.atomic():
        row = _lock()
        row.person_usd, row.console_usd, row.allows_unknown = person_usd, console_usd, allows_unknown
        row.save()
        facts = {"person_usd": _plain(person_usd), "console_usd": _plain(console_usd), "unknown": allows_unknown}
        audit.record("spending.set_limits", audit.Subject("spending_limits", "1"), facts=facts)


def standing(user: User) -> Standing:
    today = day_of(timezone.now())
    return Standing(limits(), _use_of_day(today, user), _use_of_day(today), settings.TIME_ZONE)


def by_person(day: date) -> list[tuple[str, Spent]]:
    """The largest first. Without a name: of accounts that were deleted."""
    rows = SpendingReservation.objects.filter(day=day).values("user_id")
    found = rows.annotate(sum=Sum("usd"), unknown=Count("pk", filter=Q(usd=None)))
    uses: dict[int | None, Spent] = {row["user_id"]: Spent(row["sum"] or FREE, row["unknown"]) for row in found}
    for one in day_costs.list_unreserved(day):
        uses[one.owner_id] = uses.get(one.owner_id, Spent()).plus(one.usd)
    names = dict(User.objects.filter(pk__in=[pk for pk in uses if pk]).values_list("pk", "username"))
    people = [(names.get(pk, "") if pk else "", used) for pk, used in uses.items()]
    return sorted(people, key=lambda one: (-one[1].usd, one[0]))


def why_not_spend(user: User, usd: Usd) -> str:
    """A sentence, or nothing. `usd` None: the price is not known."""
    found = limits()
    return _why_not(found, user, usd) if found.are_set else ""


def reserve(user: User, about: UUID, parts: Mapping[UUID, Usd]) -> None:
    """Each part under its key, all or none; a key that is there already is left as it is. In the caller's transaction,
    so that what is not kept in the end is not reserved. Raises SpendingLimitReached."""
    parts = {key: usd for key, usd in parts.items() if usd is None or usd > 0}
    if not parts:
        return
    found = _lock() if limits().are_set else None
    there = set(SpendingReservation.objects.filter(pk__in=parts).values_list("pk", flat=True))
    new = {key: usd for key, usd in parts.items() if key not in there}
    if found and new and (reason := _why_not(found, user, total(*new.values()))):
        raise SpendingLimitReached(reason)
    today = day_of(timezone.now())
    SpendingReservation.objects.bulk_create(
        SpendingReservation(pk=key, user=user, day=today, object_id=about, usd=usd, estimated_usd=usd)
        for key, usd in new.items()
    )


def release(about: UUID, *keys: UUID) -> None:
    """It was never sent, so it costs nothing. Without keys all that was reserved for it."""
    _close(about, keys, FREE)


def release_deployment(row: DeployedModel) -> None:
    """No machine ever ran for it. What a job reserved for the deployment after it goes, too."""
    release(row.pk)
    if row.automatic and row.job_id:
        release(row.job_id, deployment_key(row.job_id))


def follow(row: Row) -> None:
    """What became of it, in the transaction that says so."""
    if isinstance(row, TuningJob):
        _follow_job(row)
    elif isinstance(row, DeployedModel) and row.state == DeployedState.FAILED:
        release_deployment(row)


def _follow_job(job: TuningJob) -> None:
    if not job.is_terminal:
        return
    if not job.resource_name:
        release(job.pk)
        return
    if not job.is_tuned:
        release(job.pk, deployment_key(job.pk))
    if job.phase == Phase.CLOSED and (cost := estimates.figures(job).cost_usd) is not None:
        _close(job.pk, [job.pk], cost)


def deployment_key(job_id: UUID) -> UUID:
    return SpendingReservation.deployment_key(job_id)


def deployment_usd(
    machine_type: str, replicas: int, hours: int | Decimal | None, *, region: str = "", spot: bool = False
) -> Usd:
    """`hours` None: until somebody undeploys it. Without a machine type Vertex AI chooses, and the price is unknown. A
    Spot VM without a known price counts at the price on demand, which is higher."""
    if settings.VERTEX_API_ENDPOINT:
        return FREE
    known = machine_prices.price(machine_type, region, spot=spot) or machine_prices.price(machine_type, region)
    return (
        None
        if known is None
        else (known.usd_per_hour * replicas * min(HOURS if hours is None else hours, HOURS)).quantize(CENT)
    )


def model_usd(model: DeployedModel, hours: Decimal, replicas: int | None = None) -> Usd:
    """For at most as many replicas as it may have, or for these."""
    count = model.max_replicas if replicas is None else replicas
    return deployment_usd(model.machine_type, count, hours, region=model.location, spot=model.spot)


def training_usd(cost: Usd) -> Usd:
    return FREE if settings.VERTEX_API_ENDPOINT else cost


def end_of_count(endpoint: Endpoint, now: datetime) -> datetime | None:
    """The end of its fixed lease, which begins when it is ready. None: it counts a day, whenever it ends."""
    if endpoint.lease_kind != LeaseKind.FIXED or not endpoint.lease_hours:
        return None
    is_running = endpoint.state == EndpointState.READY and endpoint.undeploy_at
    return endpoint.undeploy_at if is_running else now + timedelta(hours=endpoint.lease_hours)


def count_hours(endpoint: Endpoint, now: datetime) -> Decimal:
    """For how many hours it counts what is added to the endpoint now."""
    return _hours(end_of_count(endpoint, now) or now + DAY, now)


def move_usd(endpoint: Endpoint, before: datetime | None, now: datetime) -> Usd:
    """For the end of its lease that is now another than `before`, as counted_until gave it: with every model that runs
    on the endpoint, from the end that counts already; of a day at most what the models cost in a day."""
    if before is None:
        return FREE
    rows = list(endpoint.deployed_models.live())
    hours = _hours(end_of_count(endpoint, now) or now + DAY, before)
    usd = total(*(model_usd(row, hours) for row in rows))
    day = total(*(model_usd(row, Decimal(HOURS)) for row in rows))
    return usd if usd is None or day is None else min(usd, max(FREE, day - _spending_today(rows, now)))


def _spending_today(rows: Collection[DeployedModel], now: datetime) -> Decimal:
    jobs = [deployment_key(row.job_id) for row in rows if row.job_id]
    about = Q(object_id__in=[row.pk for row in rows]) | Q(pk__in=jobs)
    return _use(SpendingReservation.objects.filter(about, day=day_of(now))).usd


def _hours(end: datetime, start: datetime) -> Decimal:
    seconds = max(timedelta(0), min(end - start, DAY)).total_seconds()
    return Decimal(str(seconds)) / 3600


def total(*parts: Usd) -> Usd:
    """Not known if one of them is not."""
    return None if None in parts else sum((part for part in parts if part is not None), FREE)


def day_of(now: datetime) -> date:
    """In the console's own time zone: the same day for everybody."""
    return timezone.localtime(now, ZoneInfo(settings.TIME_ZONE)).date()


def _why_not(found: SpendingLimits, user: User, usd: Usd) -> str:
    if usd is None:
        return "" if found.allows_unknown else _unknown()
    today = day_of(timezone.now())
    if found.person_usd is not None and (used := _use_of_day(today, user).usd) + usd > found.person_usd:
        sentence = _("The estimate is $%(asked)s. You have used $%(used)s of your daily limit of $%(limit)s.")
        return join(sentence % _words(usd, used, found.person_usd), _remedy())
    if found.console_usd is not None and (used := _use_of_day(today).usd) + usd > found.console_usd:
        sentence = _(
            "The estimate is $%(asked)s. Together, everyone has used $%(used)s of the daily limit of $%(limit)s."
        )
        return join(sentence % _words(usd, used, found.console_usd), _remedy())
    return ""


def _unknown() -> str:
    return _(
        "The price is unknown, and there is a spending limit. Choose a model and a machine with a known price, or "
        "ask an administrator to allow unknown prices."
    )


def _remedy() -> str:
    sentence = _(
        "Choose something that costs less, or try again after midnight (%(zone)s), when the limit resets. An "
        "administrator can raise the limit."
    )
    return sentence % {"zone": settings.TIME_ZONE}


def _words(asked: Decimal, used: Decimal, limit: Decimal) -> dict[str, str]:
    return {"asked": f"{asked:.2f}", "used": f"{used:.2f}", "limit": f"{limit:.2f}"}


def _use_of_day(day: date, user: User | None = None) -> Spent:
    """What was reserved on it and what runs on it since an earlier day; of everybody without a person."""
    rows = SpendingReservation.objects.filter(day=day)
    use = _use(rows.filter(user=user) if user else rows)
    for one in day_costs.list_unreserved(day):
        if user is None or one.owner_id == user.pk:
            use = use.plus(one.usd)
    return use


def _use(rows: "QuerySet[SpendingReservation]") -> Spent:
    found = rows.aggregate(sum=Sum("usd"), unknown=Count("pk", filter=Q(usd=None)))
    return Spent(found["sum"] or FREE, found["unknown"])


def _lock() -> SpendingLimits:
    """On SQLite the transaction has locked the database already."""
    SpendingLimits.objects.get_or_create(pk=1)
    return SpendingLimits.objects.select_for_update().get(pk=1)


def _close(about: UUID, keys: Collection[UUID], usd: Decimal) -> None:
    rows = SpendingReservation.objects.filter(object_id=about, closed_at=None)
    (rows.filter(pk__in=keys) if keys else rows).update(usd=usd, closed_at=timezone.now())


def _plain(usd: Usd) -> str | None:
    return None if usd is None else str(usd)

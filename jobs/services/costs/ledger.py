"""What was spent on each deployed model and each tuning job, in entries that stay when their rows go.

A deployed model costs from when it is ready until it is undeployed: for the replicas that run, and for those that it
has at least while nobody tells. Whenever its machine, its replicas or their price change, its period ends and another
one begins, so that no later price changes what was spent. A tuning job costs once it succeeded and Vertex AI told its
tokens, and one in a container of ours for as long as its machine ran; nobody tells what another one cost. The local
Vertex AI costs nothing and has no entries; what others deployed and a person attached was not spent here and has none
either.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, Q, Sum

from jobs.models import DeployedModel, LedgerEntry, LedgerKind, TuningJob
from jobs.models.remote import FARTHEST
from jobs.states import DeployedState, Phase, TuningState

from . import estimates, machine_prices

# Of an open period; when one of them changes, another period begins.
TERMS = ("machine_type", "region", "spot", "replicas", "usd_per_hour")
PAID = frozenset({DeployedState.READY, DeployedState.UNDEPLOYING})


def follow(row: DeployedModel | TuningJob, now: datetime) -> None:
    """The only way into the ledger: after each change of what the row costs, in the transaction that made it."""
    if isinstance(row, DeployedModel):
        _follow_model(row, now)
    else:
        _follow_job(row, now)


def _follow_model(model: DeployedModel, now: datetime) -> None:
    if model.state == DeployedState.DEPLOYING:
        return
    with transaction.atomic():
        current = LedgerEntry.objects.select_for_update().still_open().filter(subject_id=model.pk).first()
        terms = _terms_of(model, current)
        # A period that begins farther ahead comes from a clock that was ahead then: until then nothing would count.
        is_now = current is not None and current.started_at <= now + FARTHEST
        if current and is_now and terms and all(getattr(current, name) == terms[name] for name in TERMS):
            return
        if current:
            _end(current, now)
        if terms:
            LedgerEntry.objects.create(
                kind=LedgerKind.DEPLOYMENT, owner_id=model.owner_id, subject_id=model.pk, group_id=model.endpoint_id,
                job_id=model.job_id, name=model.endpoint.display_name, model_name=model.display_name,
                started_at=_start(model, current, now), **terms,
            )  # fmt: skip


def _terms_of(model: DeployedModel, current: LedgerEntry | None) -> dict[str, Any]:
    """Nothing while it costs nothing. A price that was known and that nobody tells now is still the one that counts."""
    replicas = model.min_replicas if model.available_replicas is None else model.available_replicas
    is_paid = model.state in PAID and model.started_at and replicas and not machine_prices.is_free(model.machine_type)
    if not (is_paid and model.made_here):
        return {}
    machine = machine_prices.machine_of(model)
    price = machine_prices.find_prices([machine])[machine]
    terms = {
        "machine_type": machine.machine_type, "region": machine.region, "spot": machine.spot, "replicas": replicas,
    }  # fmt: skip
    if price:
        told = {"usd_per_hour": round(price.usd_per_hour, 6), "price_as_of": price.as_of, "price_source": price.source}
    elif current and all(getattr(current, name) == terms[name] for name in ("machine_type", "region", "spot")):
        told = {name: getattr(current, name) for name in ("usd_per_hour", "price_as_of", "price_source")}
    else:
        told = {"usd_per_hour": None, "price_as_of": None, "price_source": ""}
    return terms | told


def _start(model: DeployedModel, current: LedgerEntry | None, now: datetime) -> datetime:
    """The first period begins when the model became ready, however late that is told."""
    is_first = current is None and not LedgerEntry.objects.filter(subject_id=model.pk).exists()
    return min(model.started_at or now, now) if is_first else now


def _end(entry: LedgerEntry, now: datetime) -> None:
    end = max(now, entry.started_at)
    usd = entry.usd_between(entry.started_at, end)
    LedgerEntry.objects.still_open().filter(pk=entry.pk).update(
        ended_at=end, usd=None if usd is None else round(usd, 6)
    )


def _follow_job(job: TuningJob, now: datetime) -> None:
    if not job.is_terminal or job.phase != Phase.CLOSED or settings.VERTEX_API_ENDPOINT:
        return
    took = estimates.figures(job)
    is_told = took.seconds if job.is_in_container else took.tokens is not None and job.state == TuningState.SUCCEEDED
    if not is_told or took.cost_usd == 0:
        return
    ended = job.ended_at or now
    LedgerEntry.objects.get_or_create(
        kind=LedgerKind.TUNING,
        subject_id=job.pk,
        defaults={
            "owner_id": job.owner_id, "group_id": job.pk, "job_id": job.pk, "name": job.display_name,
            "model_name": job.base_model[:128], "region": job.location, "machine_type": job.training_machine,
            "tokens": took.tokens, "usd": took.cost_usd,
            "started_at": job.started_at or ended, "ended_at": ended,
        },
    )  # fmt: skip


def end_orphans(now: datetime) -> None:
    """Periods of models whose rows are gone or cost nothing any more; nobody would end them otherwise."""
    entries = list(LedgerEntry.objects.still_open().filter(kind=LedgerKind.DEPLOYMENT))
    ids = [entry.subject_id for entry in entries]
    paid = set(DeployedModel.objects.filter(pk__in=ids, state__in=PAID).values_list("pk", flat=True))
    for entry in entries:
        if entry.subject_id not in paid:
            _end(entry, now)


@dataclass(frozen=True)
class Spent:
    """`unknown`: of how many things the price is not known; they are not in `usd`."""

    usd: Decimal = Decimal(0)
    unknown: int = 0

    def plus(self, usd: Decimal | None) -> "Spent":
        return Spent(self.usd, self.unknown + 1) if usd is None else Spent(self.usd + usd, self.unknown)

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(self.usd + other.usd, self.unknown + other.unknown)


def spent_by_group(groups: Iterable[UUID], now: datetime) -> dict[UUID, Spent]:
    """Of each endpoint, or tuning job, from its beginning; one query."""
    found: dict[UUID, Spent] = {}
    for entry in LedgerEntry.objects.filter(group_id__in=list(groups)):
        usd = entry.usd_between(entry.started_at, now) if entry.ended_at is None else entry.usd
        found[entry.group_id] = found.get(entry.group_id, Spent()).plus(usd)
    return found


def spent_between(start: datetime, end: datetime, owner: User | None = None) -> Spent:
    """By one person, or by everybody."""
    return sum((one.spent for one in list_costs(start, end, owner)), Spent())


@dataclass(frozen=True)
class Cost:
    """Of one endpoint, or of one tuning job, in a span of time. `is_running`: it costs on."""

    kind: str
    group_id: UUID
    owner_id: int | None
    name: str
    spent: Spent
    is_running: bool


def list_costs(start: datetime, end: datetime, owner: User | None = None) -> list[Cost]:
    """The largest first. Periods that lie in the span as a whole are added up by the database."""
    entries = LedgerEntry.objects.in_period(start, end)
    entries = entries.filter(owner=owner) if owner else entries
    whole = Q(started_at__gte=start, ended_at__lte=end) | Q(kind=LedgerKind.TUNING, ended_at__lte=end)
    found: dict[tuple[str, UUID, int | None], Cost] = {}
    for entry in entries.exclude(whole):
        _add(found, entry.kind, entry.group_id, entry.owner_id, entry.name, entry.ended_at is None,
             Spent().plus(entry.usd_between(start, end)))  # fmt: skip
    sums = entries.filter(whole).order_by().values("kind", "group_id", "owner_id", "name")
    for row in sums.annotate(sum=Sum("usd"), unknown=Count("pk", filter=Q(usd=None))):
        _add(found, row["kind"], row["group_id"], row["owner_id"], row["name"], False,
             Spent(row["sum"] or Decimal(0), row["unknown"]))  # fmt: skip
    return sorted(found.values(), key=lambda one: (-one.spent.usd, one.name))


def _add(
    found: dict[tuple[str, UUID, int | None], Cost],
    kind: str,
    group_id: UUID,
    owner_id: int | None,
    name: str,
    is_running: bool,
    spent: Spent,
) -> None:
    key = (kind, group_id, owner_id)
    known = found.get(key, Cost(kind, group_id, owner_id, name, Spent(), False))
    found[key] = replace(known, spent=known.spent + spent, is_running=known.is_running or is_running)

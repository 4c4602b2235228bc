"""One worker a row, one transaction an outcome.

A step is: claim the row by compare-and-set, speak to Vertex AI, settle what came of it. The claim counts a strike
before anything is tried, so that a row whose steps kill their worker is postponed and not tried for ever.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import F

from jobs.errors import StoreUnavailable
from jobs.models import DeployedModel, Endpoint, EventLevel, TuningJob
from jobs.models.remote import STRIKES_ALLOWED
from jobs.services.costs import ledger, spending
from jobs.services.notifications import notifications
from jobs.states import DEPLOYED_TRANSITIONS, ENDPOINT_TRANSITIONS, PHASE_TRANSITIONS, TUNING_TRANSITIONS, check
from jobs.text.deferred import gettext as _
from jobs.vertex.errors import NotAuthorised, Refused, Unavailable, VertexError

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=90)
NOW = timedelta(0)
PARKED = timedelta(minutes=10)
BATCH = 100
STATE_FIELDS = frozenset({"state", "ended_at", "error_code", "error_message"})
ASKED_FIELDS = frozenset(
    {"min_replicas", "max_replicas", "replicas_asked_at", "undeploy_at", "traffic_asked_at", "split_after"}
)
STATES: Mapping[type, Mapping[str, frozenset[str]]] = {
    TuningJob: TUNING_TRANSITIONS,
    Endpoint: ENDPOINT_TRANSITIONS,
    DeployedModel: DEPLOYED_TRANSITIONS,
}

# What is read along with a row, since each step needs it.
RELATED: Mapping[type, tuple[str, ...]] = {
    TuningJob: ("owner",),
    Endpoint: ("owner", "main_model"),
    DeployedModel: ("owner", "endpoint"),
}

Row = TuningJob | Endpoint | DeployedModel
R = TypeVar("R", TuningJob, Endpoint, DeployedModel)
Event = tuple[EventLevel, str]


@dataclass
class Claim(Generic[R]):
    """A row as it was when we got its lease. `now` goes on from the time that the step was given."""

    row: R
    token: UUID
    began: datetime
    _clock: float = field(default_factory=time.monotonic)

    @property
    def now(self) -> datetime:
        return self.began + timedelta(seconds=time.monotonic() - self._clock)


@dataclass(frozen=True)
class Outcome:
    """What a step found. `again_in` None: nothing is left to do. `also` runs in the same transaction as the change.
    `reason` is for its notification, where no column of the row has it."""

    again_in: timedelta | None
    changes: Mapping[str, Any] = field(default_factory=dict)
    events: Sequence[Event] = ()
    also: Callable[[], None] | None = None
    reason: str = ""


class ClaimLost(Exception):
    """The row is somebody else's by now, or a person closed it; what this step found is not written."""


def poll_seconds() -> timedelta:
    return timedelta(seconds=settings.VERTEX_POLL_SECONDS)


def pause() -> timedelta:
    """Between two tries of something that failed for now."""
    return max(poll_seconds(), timedelta(seconds=15))


def due(model: type[R], now: datetime) -> list[UUID]:
    return list(model._default_manager.due(now).values_list("pk", flat=True)[:BATCH])


def claim(model: type[R], pk: UUID, now: datetime) -> Claim[R] | None:
    """The lease, or None when the row is not due, gone, or somebody else's. `select_for_update` alone would not do:
    on SQLite it has no effect."""
    token = uuid4()
    mine = {"lease_token": token, "lease_until": now + LEASE, "strikes": F("strikes") + 1}
    rows = model._default_manager.due(now).order_by().filter(pk=pk)
    postponed = rows.filter(strikes__gte=STRIKES_ALLOWED).update(**mine, next_check_at=now + PARKED)
    if not (postponed or rows.update(**mine)):
        return None
    row: R | None = model._default_manager.select_related(*RELATED[model]).filter(pk=pk, lease_token=token).first()
    return Claim(row, token, now) if row else None


def mark(claimed: Claim[R], **changes: Any) -> bool:
    """Commits a point that must be on disk before the next call; renews the lease. False: stop here."""
    rows = type(claimed.row)._default_manager.filter(pk=claimed.row.pk, lease_token=claimed.token)
    changed = rows.update(lease_until=claimed.now + LEASE, **changes)
    for name, value in changes.items():
        setattr(claimed.row, name, value)
    return changed == 1


def run(claimed: Claim[R], step: Callable[[Claim[R]], Outcome], ring: Callable[[R], None]) -> bool:
    """Does the step and settles its outcome. True when more can be done at once. Never raises for a step's sake."""
    try:
        outcome = step(claimed)
    except ClaimLost:
        return False
    except VertexError as error:
        if str(error) != claimed.row.notice:
            logger.warning("%s %s waits: %s", type(claimed.row).__name__, claimed.row.pk, error)
        outcome = postpone(claimed.row, error)
    except StoreUnavailable as error:
        outcome = postpone(claimed.row, Unavailable(str(error)))
    except Exception as error:
        logger.exception("A step of %s %s failed", type(claimed.row).__name__, claimed.row.pk)
        return _strike(claimed, error, ring)
    try:
        return settle(claimed, outcome, ring)
    except ClaimLost:
        return False
    except Exception as error:
        logger.exception("The outcome of a step of %s %s was not kept", type(claimed.row).__name__, claimed.row.pk)
        return _strike(claimed, error, ring)


def postpone(row: Row, error: VertexError) -> Outcome:
    """A read failed: the row stays as it is and says why it waits. A look that failed is no proof of absence."""
    definite = isinstance(error, Refused | NotAuthorised)
    wait = timedelta(seconds=60) if definite else pause()
    return Outcome(wait, {"notice": str(error), "empty_looks": 0})


def settle(claimed: Claim[R], outcome: Outcome, ring: Callable[[R], None]) -> bool:
    """The only place where a step changes a row. What a person asked for in the meantime is kept and comes next."""
    with transaction.atomic():
        if isinstance(claimed.row, DeployedModel):
            # Always before its models, so that two transactions never wait for each other.
            Endpoint.objects.select_for_update(no_key=True).get(pk=claimed.row.endpoint_id)
        # No key changes; so the events of another row about this one need not wait for it.
        row = type(claimed.row)._default_manager.select_for_update(no_key=True).get(pk=claimed.row.pk)
        if row.lease_token != claimed.token:
            raise ClaimLost
        asked = claimed.row.state != row.state or claimed.row.next_check_at != row.next_check_at
        if asked:
            outcome = _give_way(outcome)
        changes, again_in = outcome.changes, outcome.again_in
        _check(row, changes)
        seen = {name: value for name, value in changes.items() if getattr(row, name) != value}
        freed = {"lease_token": None, "lease_until": None, "strikes": 0}
        news = bool(seen or outcome.events)
        due_at = None if again_in is None else claimed.now + again_in
        _write(row, {**seen, **freed, "next_check_at": due_at}, news=news)
        if "state" in seen or "phase" in seen:
            spending.follow(row)
        if seen and isinstance(row, DeployedModel | TuningJob):
            ledger.follow(row, claimed.now)
        notifications.note(row, seen, was=claimed.row, reason=outcome.reason)
        for level, message in outcome.events:
            record(row, level, message)
        if outcome.also:
            outcome.also()
        if news:
            ring(row)
    return again_in == NOW


def record(row: Row, level: EventLevel, message: str) -> None:
    """Into the row's events; what happens to an endpoint made from a job is news of that job, too."""
    told = row.endpoint if isinstance(row, DeployedModel) else row
    told.events.create(level=level, message=message)
    if job := _job_of(row):
        job.events.create(level=level, message=message)


def _job_of(row: Row) -> TuningJob | None:
    if isinstance(row, TuningJob):
        return None
    return row.job if isinstance(row, DeployedModel) else row.model.job


def _give_way(outcome: Outcome) -> Outcome:
    """A person asked for something during the step. What the step learnt about the state will be learnt again."""
    changes = {name: value for name, value in outcome.changes.items() if name not in ASKED_FIELDS}
    if "state" not in changes:
        return replace(outcome, again_in=NOW, changes=changes)
    return Outcome(NOW, {name: value for name, value in changes.items() if name not in STATE_FIELDS})


def _check(row: Row, changes: Mapping[str, Any]) -> None:
    check(STATES[type(row)], row.state, changes.get("state", row.state))
    check(PHASE_TRANSITIONS, row.phase, changes.get("phase", row.phase))


def _write(row: Row, changes: Mapping[str, Any], *, news: bool) -> None:
    """A look that found nothing new does not count as an update."""
    for name, value in changes.items():
        setattr(row, name, value)
    row.save(update_fields=[*changes, *(["updated_at"] if news else [])])


def _strike(claimed: Claim[R], error: Exception, ring: Callable[[R], None]) -> bool:
    """An error that nobody foresaw: shown, tried again later and later, never the end of the row or of the sweep."""
    row = claimed.row
    parked = row.strikes >= STRIKES_ALLOWED
    wait = PARKED if parked else pause() * row.strikes
    notice = _(
        "The console failed while working on this (%(error)s). It tries again in %(seconds)d seconds. For "
        "details, see the worker's log."
    ) % {"error": f"{type(error).__name__}: {error}"[:300], "seconds": wait.total_seconds()}
    changed = mark(claimed, notice=notice, next_check_at=claimed.now + wait)
    type(row)._default_manager.filter(pk=row.pk, lease_token=claimed.token).update(lease_token=None, lease_until=None)
    if changed:
        ring(row)
    return False

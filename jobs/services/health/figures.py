"""How much there is of what, for whoever watches the console from outside; each question is one query with a limit."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, QuerySet

from jobs.models import Delivery, DeployedModel, Endpoint, Heartbeat, Message, TuningJob
from jobs.states import EndpointState, MessageState, TuningState

from . import processes

# Of a queue that is longer, no more are counted.
COUNTED = 1000
KINDS = ("web", "worker", "chat", "beat")


@dataclass(frozen=True)
class Waiting:
    """`rows` that could be worked on now, and since how many seconds the oldest of them could have been."""

    rows: int
    seconds: float


@dataclass(frozen=True)
class Alive:
    """`running`: processes that report. `silence`: seconds since the newest report; None when there is none."""

    running: int
    silence: float | None


# Since when each row could have been worked on, the oldest first.
QUEUES: dict[str, Callable[[datetime], QuerySet[Any, Any]]] = {
    "tuning_job": lambda now: TuningJob.objects.due(now).values_list("next_check_at", flat=True),
    "endpoint": lambda now: Endpoint.objects.due(now).values_list("next_check_at", flat=True),
    "endpoint_model": lambda now: DeployedModel.objects.due(now).values_list("next_check_at", flat=True),
    "answer": lambda now: _waiting_answers().values_list("created_at", flat=True),
    "delivery": lambda now: Delivery.objects.due(now).values_list("next_try_at", flat=True),
}


def _waiting_answers() -> QuerySet[Message]:
    return Message.objects.filter(state=MessageState.WAITING).order_by("created_at")


def waiting(now: datetime) -> dict[str, Waiting]:
    found = {kind: list(queue(now)[:COUNTED]) for kind, queue in QUEUES.items()}
    return {
        kind: Waiting(len(times), max(0.0, (now - times[0]).total_seconds()) if times else 0.0)
        for kind, times in found.items()
    }


def tuning_jobs() -> dict[str, int]:
    return dict.fromkeys(TuningState.values, 0) | _by_state(TuningJob.objects.all())


def endpoints() -> dict[str, int]:
    return dict.fromkeys(EndpointState.values, 0) | _by_state(Endpoint.objects.all())


def _by_state(rows: QuerySet[TuningJob] | QuerySet[Endpoint]) -> dict[str, int]:
    return dict(rows.order_by().values_list("state").annotate(rows=Count("*")))


def alive(now: datetime) -> dict[str, Alive]:
    """By kind, whether there are any of it or not."""
    reports = processes.reports(now)
    found = {}
    for kind in KINDS:
        seen = [one.seen_at for one in reports if one.kind == kind]
        running = sum(not processes.is_silent(one, now) for one in reports if one.kind == kind)
        found[kind] = Alive(running, (now - max(seen)).total_seconds() if seen else None)
    return found


def sweep_ages(now: datetime) -> dict[str, float]:
    """Seconds since a worker last swept, and since the scheduler last told one to."""
    names = {"worker": "sweep", "beat": "schedule"}
    beats = Heartbeat.objects.filter(name__in=names).values_list("name", "seen_at")
    return {names[name]: (now - seen_at).total_seconds() for name, seen_at in beats}

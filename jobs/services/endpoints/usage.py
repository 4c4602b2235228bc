"""What this console asked of an endpoint, counted from the chats that are kept: a deleted chat is not counted.

Nobody else's requests are known here. A request is an answer, whatever became of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

from django.db.models import Count
from django.db.models.functions import TruncHour

from jobs.models import Conversation, DeployedModel, Endpoint, Message, Role, TuningJob
from jobs.models.chat import MessageQuerySet
from jobs.states import DeployedState, MessageState

HOURS = 24
MAX_READ = 20_000
BROKEN = frozenset({MessageState.FAILED, MessageState.INTERRUPTED})


@dataclass(frozen=True)
class Request:
    """Times in seconds; what the server did not tell is None."""

    asked_at: datetime
    failed: bool
    first_token: float | None
    tokens_per_second: float | None
    tokens_in: int
    tokens_out: int


@dataclass(frozen=True)
class Figures:
    requests: int
    errors: int
    first_token_p50: float | None
    first_token_p95: float | None
    tokens_per_second: float | None
    tokens_in: int
    tokens_out: int


@dataclass(frozen=True)
class Uses:
    """What would miss the endpoint. `job`: the tuned model that no other endpoint serves. `coming`: jobs that have not
    ended and are to put their models on it."""

    chats: int
    answering: int
    requests: int
    job: TuningJob | None
    coming: int = 0


def by_hour(endpoints: Iterable[Endpoint], now: datetime) -> dict[UUID, list[int]]:
    """Requests in each of the last 24 clock hours, the oldest first, of all the endpoints in one query."""
    rows = list(endpoints)
    start = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    counted = (
        _answers()
        .filter(endpoint__in=rows, created_at__gte=start)
        .annotate(hour=TruncHour("created_at", tzinfo=UTC))
        .values_list("endpoint", "hour")
        .annotate(number=Count("pk"))
        .order_by()
    )
    hours = {row.pk: [0] * HOURS for row in rows}
    for pk, hour, number in counted:
        place = int((hour - start) / timedelta(hours=1))
        if place < HOURS:
            hours[pk][place] = number
    return hours


def requests(endpoint: Endpoint, since: datetime) -> list[Request]:
    """The newest twenty thousand at most, oldest first."""
    columns = ("created_at", "state", "timings", "usage")
    found = _answers().filter(endpoint=endpoint, created_at__gte=since).order_by("-created_at")
    rows = list(found.values_list(*columns)[:MAX_READ])
    return [_request(*row) for row in reversed(rows)]


def figures(asked: Sequence[Request]) -> Figures:
    first = sorted(request.first_token for request in asked if request.first_token is not None)
    rates = sorted(request.tokens_per_second for request in asked if request.tokens_per_second is not None)
    return Figures(
        requests=len(asked),
        errors=sum(request.failed for request in asked),
        first_token_p50=percentile(first, 50),
        first_token_p95=percentile(first, 95),
        tokens_per_second=percentile(rates, 50),
        tokens_in=sum(request.tokens_in for request in asked),
        tokens_out=sum(request.tokens_out for request in asked),
    )


def periods(asked: Sequence[Request], edges: Sequence[datetime]) -> list[Figures]:
    """One set of figures from each edge up to the next."""
    return [
        figures([request for request in asked if begin <= request.asked_at < end]) for begin, end in pairwise(edges)
    ]


def percentile(values: Sequence[float], percent: int) -> float | None:
    """Nearest rank; `values` in order."""
    return values[max(-(-len(values) * percent // 100), 1) - 1] if values else None


def uses_of(endpoint: Endpoint, now: datetime) -> Uses:
    answers = _answers().filter(endpoint=endpoint)
    job = endpoint.model.job
    others = DeployedModel.objects.filter(job=job, state=DeployedState.READY).exclude(endpoint=endpoint)
    return Uses(
        chats=Conversation.objects.filter(endpoint=endpoint).count(),
        answering=answers.live().count(),
        requests=answers.filter(created_at__gte=now - timedelta(hours=HOURS)).count(),
        job=job if job and not others.exists() else None,
        coming=TuningJob.objects.filter(deploy_endpoint=endpoint, auto_deploy=True).live().count(),
    )


def _answers() -> MessageQuerySet:
    return Message.objects.filter(role=Role.ASSISTANT)


def _request(asked_at: datetime, state: str, timings: dict[str, float], usage: dict[str, int]) -> Request:
    first, total, written = timings.get("first_token"), timings.get("total"), usage.get("completion_tokens", 0)
    writing = total - first if total is not None and first is not None else 0
    return Request(
        asked_at=asked_at,
        failed=state in BROKEN,
        first_token=first,
        tokens_per_second=written / writing if written and writing > 0 else None,
        tokens_in=usage.get("prompt_tokens", 0),
        tokens_out=written,
    )

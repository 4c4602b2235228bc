"""The order of the jobs that are not sent yet.

Vertex AI lets few jobs run at once. What it has been given it orders by itself; what waits here, because as many as
may be sent are under way (`VERTEX_TUNING_AT_ONCE`) or because the quota refused one, goes in an order that people can
change. The job at the front asks for quota and the others wait behind it: a refusal is one call and not hundreds.
"""

from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q

from jobs import live
from jobs.errors import NotAllowedNow
from jobs.models import TuningJob, TuningJobQuerySet
from jobs.sentences import gettext as _
from jobs.states import TUNING_LIVE, Phase

from . import audit
from .leases import STRIKES_ALLOWED
from .submission import UNSENT

SHOWN = 1000
TOP, UP, DOWN = "top", "up", "down"
MOVES = (TOP, UP, DOWN)
WAITING = Q(phase__in=UNSENT, prepared_at__isnull=False, strikes__lt=STRIKES_ALLOWED, cancel_requested_at__isnull=True)
UNDER_WAY = Q(phase__in=(Phase.SUBMITTING, Phase.AMBIGUOUS, Phase.BOUND), state__in=TUNING_LIVE)


def waiting() -> TuningJobQuerySet:
    """Everybody's, the next one first."""
    jobs: TuningJobQuerySet = TuningJob.objects.filter(WAITING, next_check_at__isnull=False)
    return jobs.order_by("queue_rank", "created_at", "pk")


def place_to_wait(job: TuningJob) -> int:
    """0: it is this job's turn. Else its place, counted from 1.

    One statement, so that two workers who ask for two jobs at once see the same queue and only one of them goes.
    """
    same = Q(queue_rank=job.queue_rank)
    ahead = WAITING & (
        Q(queue_rank__lt=job.queue_rank)
        | same & Q(created_at__lt=job.created_at)
        | same & Q(created_at=job.created_at, pk__lt=job.pk)
    )
    seen = TuningJob.objects.filter(next_check_at__isnull=False).aggregate(
        ahead=Count("pk", filter=ahead),
        refused=Count("pk", filter=ahead & Q(quota_refused_at__isnull=False)),
        busy=Count("pk", filter=UNDER_WAY),
    )
    limit = settings.VERTEX_TUNING_AT_ONCE
    full = bool(limit) and seen["busy"] + seen["ahead"] >= limit
    return int(seen["ahead"]) + 1 if full or seen["refused"] else 0


def places() -> dict[UUID, int]:
    """The place of each waiting job, counted from 1; nothing while jobs are sent as they come."""
    rows = list(waiting().values_list("pk", "quota_refused_at")[:SHOWN])
    held = bool(settings.VERTEX_TUNING_AT_ONCE) or any(refused for _pk, refused in rows)
    return {pk: place for place, (pk, _refused) in enumerate(rows, 1)} if held else {}


def move(job: TuningJob, to: str) -> None:
    """Changes places with the owner's other jobs only: the places of other people's jobs stay theirs.

    A step in flight decided by the old order, so every lease is taken away: it finds that it may not send.
    Rows are locked by id, in the same sequence by everybody, and read in their order only then.
    """
    with transaction.atomic():
        list(waiting().order_by("pk").select_for_update().values_list("pk"))
        rows = list(waiting())
        own = [row for row in rows if row.owner_id == job.owner_id]
        if job.pk not in {row.pk for row in own}:
            raise NotAllowedNow(_("The job does not wait here any more, so its place cannot be changed."))
        turns = iter(_moved(own, job, to))
        order = [next(turns) if row.owner_id == job.owner_id else row for row in rows]
        for rank, row in enumerate(order, -len(order)):
            row.queue_rank, row.lease_token, row.lease_until = rank, None, None
        TuningJob.objects.bulk_update(order, ["queue_rank", "lease_token", "lease_until"], batch_size=200)
        live.ring(job.owner_id, *(f"job-{row.pk}" for row in own), "jobs")
        audit.record("tuning_job.move", job, facts={"to": to})


def _moved(own: list[TuningJob], job: TuningJob, to: str) -> list[TuningJob]:
    place = [row.pk for row in own].index(job.pk)
    rest = own[:place] + own[place + 1 :]
    target = {TOP: 0, UP: max(place - 1, 0), DOWN: place + 1}[to]
    return [*rest[:target], own[place], *rest[target:]]

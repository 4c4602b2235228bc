"""The order of the jobs that are not sent yet.

Vertex AI lets few jobs run at once. What it has been given it orders by itself; what waits here, because as many as
may be sent are under way (`VERTEX_TUNING_AT_ONCE`) or because the quota refused one, goes in an order that people can
change. While somebody has paused the queue, none of them is sent. After a refusal the jobs of that region wait, and one
asks for all of them: a refusal is one call a minute and not hundreds. Whose it is goes around: there may be quota for
another person's job where there is none for the first.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from jobs import live
from jobs.models import QueuePause, TuningJob, TuningJobQuerySet
from jobs.models.tuning import WAITS_TO_BE_SENT
from jobs.services import audit, installation
from jobs.services.remote.create_once import POST_PAUSE
from jobs.states import TUNING_LIVE, UNSENT, Phase

from . import policies
from .policies import DOWN, TOP, UP, Place

SHOWN = 1000
PAUSE = 1
UNDER_WAY = Q(phase__in=(Phase.SUBMITTING, Phase.AMBIGUOUS, Phase.BOUND), state__in=TUNING_LIVE)


ORDER = ("queue_rank", "created_at", "pk")
NEVER = datetime.min.replace(tzinfo=UTC)


class Waiting(NamedTuple):
    pk: UUID
    owner_id: int
    location: str
    quota_refused_at: datetime | None
    next_check_at: datetime
    phase: str


def waiting() -> TuningJobQuerySet:
    """Everybody's, the next one first."""
    jobs: TuningJobQuerySet = TuningJob.objects.filter(WAITS_TO_BE_SENT)
    return jobs.order_by(*ORDER)


def place_to_wait(job: TuningJob, now: datetime) -> int:
    """0: it is this job's turn. Else its place, counted from 1.

    One statement, so that two workers who ask for two jobs at once see the same queue and only one of them goes.
    """
    rows = TuningJob.objects.filter(WAITS_TO_BE_SENT | UNDER_WAY, next_check_at__isnull=False).order_by(*ORDER)
    found = [Waiting(*row) for row in rows.values_list(*Waiting._fields)]
    queue = [row for row in found if row.phase in UNSENT]
    place = next((place for place, row in enumerate(queue) if row.pk == job.pk), len(queue))
    mine = queue[place] if place < len(queue) else Waiting(*(getattr(job, name) for name in Waiting._fields))
    # What its region's quota refuses takes nobody's place among those that may be under way.
    ahead = sum(row.quota_refused_at is None for row in queue[:place])
    limit = settings.VERTEX_TUNING_AT_ONCE
    is_full = bool(limit) and len(found) - len(queue) + ahead >= limit
    return 0 if not is_full and _asks_next(mine, queue, now) and not find_pause() else place + 1


def _asks_next(mine: Waiting, queue: Sequence[Waiting], now: datetime) -> bool:
    """In its region, after a refusal: of each person's first job that is due, the one that was refused longest ago."""
    here = [row for row in queue if row.location == mine.location]
    refusals = [row.quota_refused_at for row in here if row.quota_refused_at]
    if not refusals:
        return True
    firsts: dict[int, Waiting] = {}
    for row in here:
        firsts.setdefault(row.owner_id, row)
    due = [row for row in firsts.values() if row == mine or row.next_check_at <= now]
    front = min(due, key=lambda row: row.quota_refused_at or NEVER, default=None)
    return front == mine and now - max(refusals) >= POST_PAUSE


def find_places() -> dict[UUID, Place]:
    """The place of each job that waits for others, in their order; none of those that are sent as they come."""
    rows = list(waiting().values_list("pk", "owner_id", "location", "quota_refused_at")[:SHOWN])
    held = {location for _pk, _owner, location, refused in rows if refused}
    all_wait = bool(settings.VERTEX_TUNING_AT_ONCE) or (bool(rows) and find_pause() is not None)
    places = _place_all([(pk, owner) for pk, owner, _location, _refused in rows])
    return {pk: places[pk] for pk, _owner, location, _refused in rows if all_wait or location in held}


def _place_all(rows: Sequence[tuple[UUID, int]]) -> dict[UUID, Place]:
    """`rows`: each job of the queue with its owner, in their order."""
    counts, passed, places = Counter(owner for _pk, owner in rows), Counter[int](), {}
    for number, (pk, owner) in enumerate(rows, 1):
        places[pk] = Place(number, passed[owner], counts[owner] - passed[owner] - 1)
        passed[owner] += 1
    return places


def find_pause() -> QueuePause | None:
    return QueuePause.objects.filter(pk=PAUSE).first()


def pause(person: User) -> None:
    """From now on nothing is sent, until somebody resumes the queue; what Vertex AI has goes on.

    As in `move`, a step in flight loses its lease, so that it may not send what it decided to send before.
    """
    installation.get_id()
    with transaction.atomic():
        installation.lock()
        policies.check_can_pause(person, find_pause())
        QueuePause.objects.create(pk=PAUSE, paused_by=person, name=person.get_username())
        waiting().update(lease_token=None, lease_until=None)
        _tell_owners(person)
        audit.record("tuning_queue.pause", audit.Subject("tuning_queue", str(PAUSE)), actor=person)


def resume(person: User) -> None:
    """Every job that waits asks at once whether it is its turn."""
    installation.get_id()
    with transaction.atomic():
        installation.lock()
        policies.check_can_resume(person, find_pause())
        QueuePause.objects.filter(pk=PAUSE).delete()
        waiting().update(next_check_at=timezone.now())
        _tell_owners(person)
        audit.record("tuning_queue.resume", audit.Subject("tuning_queue", str(PAUSE)), actor=person)


def _tell_owners(person: User) -> None:
    rows = list(waiting().values_list("owner_id", "pk")[:SHOWN])
    for owner in {person.pk, *(owner for owner, _pk in rows)}:
        live.notify(owner, *(f"job-{pk}" for its, pk in rows if its == owner), "jobs")


def move(job: TuningJob, to: str) -> None:
    """Changes places with the owner's other jobs only: the places of other people's jobs stay theirs.

    A step in flight decided by the old order, so every lease is taken away: it finds that it may not send.
    Rows are locked by id, in the same sequence by everybody, and read in their order only then.
    """
    with transaction.atomic():
        list(waiting().order_by("pk").select_for_update().values_list("pk"))
        rows = list(waiting())
        own = [row for row in rows if row.owner_id == job.owner_id]
        place = _place_all([(row.pk, row.owner_id) for row in rows]).get(job.pk)
        policies.check_can_move(TuningJob.objects.get(pk=job.pk), to, place)
        turns = iter(_move(own, job, to))
        order = [next(turns) if row.owner_id == job.owner_id else row for row in rows]
        for rank, row in enumerate(order, -len(order)):
            row.queue_rank, row.lease_token, row.lease_until = rank, None, None
        TuningJob.objects.bulk_update(order, ["queue_rank", "lease_token", "lease_until"], batch_size=200)
        live.notify(job.owner_id, *(f"job-{row.pk}" for row in own), "jobs")
        audit.record("tuning_job.move", job, facts={"to": to})


def _move(own: list[TuningJob], job: TuningJob, to: str) -> list[TuningJob]:
    place = [row.pk for row in own].index(job.pk)
    rest = own[:place] + own[place + 1 :]
    target = {TOP: 0, UP: place - 1, DOWN: place + 1}[to]
    return [*rest[:target], own[place], *rest[target:]]

"""Files of Cloud Storage on their way to datasets. The row is the queue: the web asks, a worker reads and checks.

The console keeps a copy, so that rows are shown, edited, split and counted as those of an upload; a training reads the
object itself while it is the one that was checked.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from jobs import live, shortages
from jobs.errors import JobsError, NotAllowedNow
from jobs.files import store
from jobs.models import Dataset, DatasetImport, ImportState
from jobs.models.dataset_work import DatasetImportQuerySet
from jobs.models.fields.uris import parse_gs_uri
from jobs.services.datasets import datasets, spec
from jobs.services.storage import policies as storage_policies
from jobs.text.deferred import gettext as _
from jobs.vertex.errors import VertexError

from . import reading

logger = logging.getLogger(__name__)

LEASE, KEPT = timedelta(minutes=5), timedelta(days=1)
LONGEST_MINUTES = 60
TRIES = 3
AT_ONCE = 3
# Of all persons: the worker has other things to do, too.
RUN_AT_ONCE = 2
SECONDS_BETWEEN = 1.0


Choose = Callable[[DatasetImport], None]


class Stopped(JobsError):
    """It was cancelled, or another worker has it."""


def why_not_import(owner: User, uri: str) -> str:
    """A sentence, or nothing."""
    try:
        _bucket, path = parse_gs_uri(uri)
    except ValueError as error:
        return str(error)
    if not path or uri.endswith("/"):
        return _("Enter the path of a file, such as gs://my-bucket/data/rows.jsonl.")
    return storage_policies.why_not_read(owner, uri)


def begin(owner: User, uri: str, *, name: str = "", draft: UUID | None = None, part: str = "") -> DatasetImport:
    """Asked for once more while it is going on, it is the same one. `draft`: the tuning draft that it is for."""
    if reason := why_not_import(owner, uri):
        raise NotAllowedNow(reason)
    place = storage_policies.check_can_read(owner, uri)
    asked: dict[str, Any] = {"name": name[:128], "draft": draft, "part": part}
    with transaction.atomic():
        User.objects.select_for_update().get(pk=owner.pk)
        mine = DatasetImport.objects.filter(owner=owner)
        row: DatasetImport | None = mine.filter(uri=place).first()
        if row and row.state == ImportState.WAITING:
            mine.filter(pk=row.pk).update(draft=draft, part=part)
        else:
            _check_few(mine)
            fresh = {
                "state": ImportState.WAITING, "dataset": None, "tries": 0, "done_bytes": 0, "total_bytes": 0, "rows": 0,
                "error": "", "lease_until": None, "created_at": timezone.now(),
            }  # fmt: skip
            row, _is_new = mine.update_or_create(owner=owner, uri=place, defaults=asked | fresh)
    row.refresh_from_db()
    return row


def _check_few(mine: DatasetImportQuerySet) -> None:
    if mine.filter(state=ImportState.WAITING).count() >= AT_ONCE:
        words = {"most": AT_ONCE}
        raise NotAllowedNow(
            _("%(most)d files are already being read for you. Wait until one is ready, or cancel it.") % words
        )


def begin_again(row: DatasetImport) -> DatasetImport:
    return begin(row.owner, row.uri, name=row.name, draft=row.draft, part=row.part)


def cancel(row: DatasetImport) -> bool:
    """False: it had ended before. The worker stops at its next piece, and keeps nothing."""
    waiting = DatasetImport.objects.filter(pk=row.pk, state=ImportState.WAITING)
    return waiting.update(state=ImportState.CANCELLED, lease_until=None) == 1


def due(now: datetime) -> list[UUID]:
    return list(DatasetImport.objects.due(now).values_list("pk", flat=True)[:20])


def prune(now: datetime) -> None:
    DatasetImport.objects.filter(created_at__lt=now - KEPT).exclude(state=ImportState.WAITING).delete()


def advance(pk: UUID, now: datetime, choose: Choose) -> None:
    """Does it, from the beginning to the end; `choose` is called with the row once its dataset is there, in the same
    transaction. The others wait for the sweep while as many as may go on at once do."""
    if DatasetImport.objects.filter(state=ImportState.WAITING, lease_until__gte=now).count() >= RUN_AT_ONCE:
        return
    claimed = {"lease_until": now + LEASE, "done_bytes": 0, "rows": 0, "tries": F("tries") + 1}
    if not DatasetImport.objects.due(now).filter(pk=pk).update(**claimed):
        return
    row = DatasetImport.objects.select_related("owner").get(pk=pk)
    try:
        _import(row, choose)
    except Stopped:
        return
    except (JobsError, VertexError, OSError, MemoryError) as error:
        logger.warning("%s cannot become a dataset: %s", pk, error)
        _own(row).update(state=ImportState.FAILED, error=shortages.explain(error), lease_until=None)
    live.notify(row.owner_id, f"import-{pk}")


def _own(row: DatasetImport) -> DatasetImportQuerySet:
    """While it belongs to this run: `tries` tells it from the next one, `created_at` from those of an address that was
    cancelled and asked for again."""
    same = {"created_at": row.created_at, "tries": row.tries}
    return DatasetImport.objects.filter(pk=row.pk, state=ImportState.WAITING, **same)


def _import(row: DatasetImport, choose: Choose) -> None:
    if row.tries > TRIES:
        raise NotAllowedNow(_("This was stopped several times before its end. Try it with fewer rows."))
    place, limit = storage_policies.check_can_read(row.owner, row.uri), int(settings.DATASET_CLOUD_MAX_BYTES)
    found = reading.find(place)
    if reason := spec.why_too_large(found.size, limit):
        raise NotAllowedNow(reason)
    if known := _find_known(row, place, found.version):
        _end(row, known.pk, found.size, choose)
        return
    told = Telling(row)
    _own(row).update(total_bytes=found.size)
    pk = uuid4()
    with reading.open_object(place, found, told.tell_bytes) as file:
        datasets.create(
            row.owner,
            file=file,
            file_name=place.rpartition("/")[2],
            name=row.name,
            origin=datasets.Origin(None, source_uri=place, source_version=found.version, pk=pk),
            progress=told.tell_rows,
            guard=lambda _previous: _end(row, pk, found.size, choose),
            limit=limit,
        )


def _find_known(row: DatasetImport, place: str, version: str) -> Dataset | None:
    """The same bytes that this person has already, under the name that is asked for, if one is."""
    same = Dataset.objects.visible_to(row.owner).filter(source_uri=place, source_version=version)
    named = same.filter(name=row.name) if row.name else same
    found = named.first() if version else None
    return found if found and store.exists(found.stored_name) else None


def _end(row: DatasetImport, dataset: UUID, size: int, choose: Choose) -> None:
    """In the transaction that saves the dataset, so that what is cancelled leaves none."""
    ready = {"state": ImportState.READY, "dataset_id": dataset, "done_bytes": size, "total_bytes": size}
    with transaction.atomic():
        if not _own(row).update(**ready, error="", lease_until=None):
            raise Stopped
        row.refresh_from_db()
        choose(row)


class Telling:
    """How far a run is, once a second; it also keeps the lease, and ends what nobody waits for any more."""

    def __init__(self, row: DatasetImport, clock: Callable[[], float] = monotonic) -> None:
        self._row, self._clock = row, clock
        self._begun = self._last = clock()
        self._bytes = self._rows = 0

    def tell_bytes(self, done: int) -> None:
        self._bytes = done
        self._tell()

    def tell_rows(self, rows: int) -> None:
        self._rows = rows
        self._tell()

    def _tell(self) -> None:
        now = self._clock()
        if now - self._last < SECONDS_BETWEEN:
            return
        self._last = now
        if now - self._begun > LONGEST_MINUTES * 60:
            words = {"minutes": LONGEST_MINUTES}
            raise NotAllowedNow(_("Reading took longer than %(minutes)d minutes. Use a smaller file.") % words)
        told = {"done_bytes": self._bytes, "rows": self._rows, "lease_until": timezone.now() + LEASE}
        if not _own(self._row).update(**told):
            raise Stopped
        live.notify(self._row.owner_id, f"import-{self._row.pk}")

"""Work on the rows of a dataset that may take long. The row in the database is the queue: a small file is done while
the person waits, a large one by a worker, which a lost message delays by seconds."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from jobs import shortages
from jobs.errors import JobsError, NotAllowedNow
from jobs.models import Dataset, DatasetWork, RowEdit, WorkKind, WorkState
from jobs.services.datasets import policies
from jobs.services.datasets.file import open_file
from jobs.text.deferred import gettext as _

from . import changes, duplicates, write
from .reading import Progress

logger = logging.getLogger(__name__)

# In bytes: what takes a second or two at most.
DONE_AT_ONCE = {
    WorkKind.EDITS: 4_000_000, WorkKind.BAD_ROWS: 4_000_000, WorkKind.DUPLICATES: 4_000_000,
    WorkKind.COMPARE: 4_000_000, WorkKind.SEARCH: 400_000,
}  # fmt: skip
LEASE = timedelta(minutes=5)
TRIES = 3
SECONDS_BETWEEN = 1.0


def begin(dataset: Dataset, kind: WorkKind, options: Mapping[str, Any]) -> DatasetWork:
    """Asked for once more while it is going on, it is the same one."""
    with transaction.atomic():
        Dataset.objects.select_for_update().get(pk=dataset.pk)
        _check(dataset, kind, options)
        asked = {"options": {**options, write.KEY: uuid4().hex}, "total_bytes": _size_of(dataset, kind)}
        work, is_new = DatasetWork.objects.get_or_create(dataset=dataset, kind=kind, defaults=asked)
        if not is_new and work.state != WorkState.WAITING:
            fresh: dict[str, Any] = {
                "state": WorkState.WAITING, "result": {}, "choices": {}, "made": None, "done_bytes": 0, "error": "",
                "lease_until": None, "tries": 0, "created_at": timezone.now(),
            }  # fmt: skip
            DatasetWork.objects.filter(pk=work.pk).update(**asked, **fresh)
            work.refresh_from_db()
    return work


def is_small(work: DatasetWork) -> bool:
    return work.total_bytes <= DONE_AT_ONCE[WorkKind(work.kind)]


def _check(dataset: Dataset, kind: WorkKind, options: Mapping[str, Any]) -> None:
    pending = RowEdit.objects.filter(dataset=dataset).count()
    if kind == WorkKind.EDITS:
        policies.check_can_edit_rows(dataset)
    elif kind == WorkKind.BAD_ROWS:
        policies.check_can_leave_out_bad_rows(dataset, pending)
    elif kind == WorkKind.DUPLICATES:
        policies.check_can_leave_out(dataset, pending)
    else:
        policies.check_can_look_through(dataset)
    if "latest" in options:
        write.check_base(dataset, str(options["latest"]))


def _size_of(dataset: Dataset, kind: WorkKind) -> int:
    other = changes.before(dataset) if kind == WorkKind.COMPARE else None
    return dataset.byte_size + (other.byte_size if other else 0)


def due(now: datetime) -> list[UUID]:
    return list(DatasetWork.objects.due(now).values_list("pk", flat=True)[:20])


def advance(pk: UUID, now: datetime) -> None:
    """Does it, from the beginning to the end."""
    claimed = {"lease_until": now + LEASE, "done_bytes": 0, "tries": F("tries") + 1}
    if not DatasetWork.objects.due(now).filter(pk=pk).update(**claimed):
        return
    work = DatasetWork.objects.select_related("dataset__owner").get(pk=pk)
    try:
        if work.tries > TRIES:
            raise NotAllowedNow(_("This was stopped several times before its end. Try it with fewer rows."))
        done = DOERS[WorkKind(work.kind)](work, _teller(work))
    except (JobsError, OSError, MemoryError) as error:
        logger.warning("%s of the dataset %s failed: %s", work.kind, work.dataset_id, error)
        done = {"state": WorkState.FAILED, "error": shortages.explain(error)}
    DatasetWork.objects.filter(pk=pk).update(**{"state": WorkState.READY, **done, "lease_until": None})


def _teller(work: DatasetWork) -> Progress:
    """How far it is, once a second; it also keeps the lease."""
    last = monotonic()

    def tell(done: int) -> None:
        nonlocal last
        if monotonic() - last > SECONDS_BETWEEN:
            last = monotonic()
            DatasetWork.objects.filter(pk=work.pk).update(done_bytes=done, lease_until=timezone.now() + LEASE)

    return tell


def _search(work: DatasetWork, progress: Progress) -> dict[str, Any]:
    with open_file(work.dataset) as file:
        return {"result": duplicates.find(file, int(work.options["similarity"]), progress)}


def _compare(work: DatasetWork, progress: Progress) -> dict[str, Any]:
    other = changes.before(work.dataset)
    if other is None:
        raise NotAllowedNow(_("There is no version before this one."))
    result = changes.compare(other, work.dataset, progress)
    counts = {**result["counts"], "same": result["same"]}
    Dataset.objects.filter(pk=work.dataset_id).update(changes=counts)
    return {"result": result, "options": {"against": str(other.pk)}}


def compare_at_once(dataset: Dataset, other: Dataset) -> DatasetWork | None:
    """Finished and not saved; None for files that are too large for that."""
    work = DatasetWork(dataset=dataset, kind=WorkKind.COMPARE, state=WorkState.READY)
    work.total_bytes = dataset.byte_size + other.byte_size
    if not is_small(work) or policies.why_not_look_through(dataset) or policies.why_not_look_through(other):
        return None
    work.result = changes.compare(other, dataset)
    return work


def _version(make: Callable[[DatasetWork, Progress], Dataset]) -> Callable[[DatasetWork, Progress], dict[str, Any]]:
    """With its comparison, so that what changed can be shown."""

    def do(work: DatasetWork, progress: Progress) -> dict[str, Any]:
        made = write.made_already(work) or make(work, progress)
        if not is_small(work) and not policies.why_not_look_through(made):
            begin(made, WorkKind.COMPARE, {})
        return {"made": made}

    return do


DOERS: Mapping[WorkKind, Callable[[DatasetWork, Progress], dict[str, Any]]] = {
    WorkKind.EDITS: _version(write.save_edits),
    WorkKind.BAD_ROWS: _version(write.leave_out_bad_rows),
    WorkKind.DUPLICATES: _version(write.leave_out_duplicates),
    WorkKind.SEARCH: _search,
    WorkKind.COMPARE: _compare,
}

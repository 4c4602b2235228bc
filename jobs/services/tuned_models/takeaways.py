"""Models that people take away: what is being prepared, and who is downloading.

The worker, which alone may read `gs://`, copies what is wanted into the file store, or makes it there, and notes the
SHA-256 of each file; the web sends it from there, for a day. What Vertex AI wrote stays as it is.
"""

import hashlib
import logging
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import IO, Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from jobs import live, shortages
from jobs.errors import JobsError, NotAllowedNow, StoreUnavailable
from jobs.files import store
from jobs.models import Takeaway, TakeawayState, TuningJob
from jobs.services import audit
from jobs.services.storage import policies as storage
from jobs.services.storage.file_owner import may_sweep
from jobs.text.deferred import gettext as _
from jobs.vertex.errors import VertexError

from . import making, merging
from .choices import Choice
from .content import PIECE, Content, of_file

logger = logging.getLogger(__name__)

KEPT = timedelta(days=1)
LEASE, BUSY = timedelta(minutes=5), timedelta(seconds=15)
AT_ONCE, AT_ONCE_EACH = 3, 2


def prepare(job: TuningJob, user: User, choice: Choice) -> Takeaway:
    """Asked for once more, it is the same one; what failed is tried again."""
    storage.check_can_read(user, choice.folder)
    if choice.why_not:
        raise NotAllowedNow(choice.why_not)
    asked = {"owner": user, "total_bytes": choice.work, "files": _plan(choice)}
    with transaction.atomic():
        row, is_new = Takeaway.objects.get_or_create(job=job, folder=choice.folder, form=choice.form, defaults=asked)
        if not is_new and row.state == TakeawayState.FAILED:
            begun = {**asked, "state": TakeawayState.WAITING, "done_bytes": 0, "error": "", "lease_until": None}
            Takeaway.objects.filter(pk=row.pk).update(**begun, created_at=timezone.now())
        audit.record("tuning_job.take_away", job, facts={"form": str(choice.form), "folder": choice.folder})
    row.refresh_from_db()
    return row


def _plan(choice: Choice) -> list[dict[str, Any]]:
    return [
        {"name": one["name"], "size": one["size"], "source": f"{choice.folder}/{one['name']}", "version": "",
         "sha256": ""}
        for one in choice.files
    ]  # fmt: skip


def remove(row: Takeaway) -> None:
    """What was made for it goes, too; the files of the job stay."""
    Takeaway.objects.filter(pk=row.pk).delete()
    _discard(row)


def _discard(row: Takeaway) -> None:
    for one in row.files:
        if not one["source"].startswith("gs://"):
            store.discard(one["source"])


def prune(now: datetime) -> None:
    """Also files of rows that went away with their owner, and copies that a killed process left."""
    for row in Takeaway.objects.filter(created_at__lt=now - KEPT):
        remove(row)
    making.forget_scratch()
    if may_sweep():
        for found in store.walk(making.STORED):
            if found.modified < now - 2 * KEPT:
                store.discard(found.name)


def due(now: datetime) -> list[UUID]:
    return list(Takeaway.objects.due(now).values_list("pk", flat=True)[:20])


def advance(pk: UUID, now: datetime) -> bool:
    """Copies one file, or makes what doesn't lie in the folder. True when more is to be done at once."""
    if not Takeaway.objects.due(now).filter(pk=pk).update(lease_until=now + LEASE):
        return False
    row = Takeaway.objects.select_related("job", "owner").get(pk=pk)
    try:
        storage.check_can_read(row.owner, row.folder)
        is_ready = _step(row)
    except making.Busy:
        _save(row, lease_until=now + BUSY)
        return False
    except (JobsError, VertexError, StoreUnavailable, OSError) as error:
        logger.warning("%s cannot be prepared: %s", pk, error)
        _discard(row)
        _save(row, state=TakeawayState.FAILED, error=str(error), lease_until=None)
        return False
    if not _save(row, files=row.files, lease_until=None, **({"state": TakeawayState.READY} if is_ready else {})):
        _discard(row)
        return False
    return not is_ready


def _step(row: Takeaway) -> bool:
    if making.is_made(row) and row.files[0]["source"].startswith("gs://"):
        row.files = making.make(row, lambda done: _tell(row, done))
        _save(row, files=row.files, total_bytes=row.done_bytes + row.size, done_bytes=row.done_bytes)
    missing = [one for one in row.files if not one["sha256"]]
    if missing:
        _take(row, missing[0])
    return len(missing) < 2


def _take(row: Takeaway, file: dict[str, Any]) -> None:
    """Into the file store, unless it is there."""
    if not file["source"].startswith("gs://"):
        _read(row, file, None)
        return
    file |= merging.pin(file)
    shortages.require_room(file["size"])
    name = f"{making.STORED}/{row.pk}.{row.files.index(file)}"
    with store.draft(name) as draft:
        with draft.open("wb") as target:
            _read(row, file, target)
        store.keep(draft, name)
    file["source"] = name


def _read(row: Takeaway, file: dict[str, Any], copy: IO[bytes] | None) -> None:
    content, digest, before, told = Content([of_file(file)]), hashlib.sha256(), row.done_bytes, 0
    while part := content.read(PIECE):
        digest.update(part)
        if copy:
            copy.write(part)
        if content.tell() - told >= merging.TOLD_EVERY:
            told = content.tell()
            _tell(row, before + told)
    file["sha256"] = digest.hexdigest()
    _tell(row, before + content.size)


def _tell(row: Takeaway, done: int) -> None:
    """How far it is; it also keeps the lease."""
    row.done_bytes = done
    _save(row, done_bytes=done, lease_until=timezone.now() + LEASE)


def _save(row: Takeaway, **values: Any) -> bool:
    """False: somebody removed it meanwhile."""
    is_there = Takeaway.objects.filter(pk=row.pk).update(**values) == 1
    live.notify(row.owner_id, f"files-{row.job_id}")
    return is_there


@dataclass
class Slots:
    """Of one web process: the threads that read files are few, and serve other downloads, too."""

    most: int = AT_ONCE
    each: int = AT_ONCE_EACH
    taken: Counter[int] = field(default_factory=Counter)
    lock: Lock = field(default_factory=Lock)

    def take(self, user_id: int) -> None:
        with self.lock:
            if self.taken.total() >= self.most or self.taken[user_id] >= self.each:
                raise NotAllowedNow(_("Other downloads are going on. Try again when one of them has ended."))
            self.taken[user_id] += 1

    def release(self, user_id: int) -> None:
        with self.lock:
            self.taken[user_id] -= 1


slots = Slots()

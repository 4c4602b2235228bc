"""The working copy of a dataset: rows that were edited, added or deleted and wait to be saved as one new version.

It is kept on the server for each version, so it is there in every tab and after a crash of the browser. The file of
the version stays as it is.
"""

import hashlib
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from jobs.errors import InvalidValues, NotAllowedNow, Problem
from jobs.models import Dataset, DatasetWork, RowEdit, WorkKind, WorkState
from jobs.services.datasets import policies, preview
from jobs.services.datasets.file import Line, check_line
from jobs.services.datasets.images.judge import Judge
from jobs.text.deferred import gettext as _, join

MOST_EDITS = 1000
LARGEST_TOTAL = 16 * 1024 * 1024
# In bytes. What a form sends is read as a whole.
LONGEST_EDITED = 1024 * 1024


class RowConflict(NotAllowedNow):
    """The row is not what the person saw when they opened it."""


class NoSuchRow(NotAllowedNow):
    pass


@dataclass(frozen=True)
class Counts:
    changed: int = 0
    added: int = 0
    deleted: int = 0

    @property
    def total(self) -> int:
        return self.changed + self.added + self.deleted


def count(dataset: Dataset) -> Counts:
    found = RowEdit.objects.filter(dataset=dataset).order_by()
    added, deleted = Count("pk", filter=Q(line=None)), Count("pk", filter=Q(line__isnull=False, text=""))
    counts = found.aggregate(total=Count("pk"), added=added, deleted=deleted)
    return Counts(counts["total"] - counts["added"] - counts["deleted"], counts["added"], counts["deleted"])


def row_at(dataset: Dataset, line: int) -> bytes:
    """As it is now, edited or not; empty when it was deleted."""
    edit = RowEdit.objects.filter(dataset=dataset, line=line).first()
    return edit.text.encode() if edit else saved_row(dataset, line)


def saved_row(dataset: Dataset, line: int) -> bytes:
    data = preview.raw_row(dataset, line)
    if data is None:
        raise NoSuchRow(_("There is no row in line %(line)d.") % {"line": line})
    return data


def added_row(dataset: Dataset, number: int) -> bytes:
    return _added(dataset, number).text.encode()


def _added(dataset: Dataset, number: int) -> RowEdit:
    edit = RowEdit.objects.filter(dataset=dataset, line=None, pk=min(number, 2**62)).first()
    if edit is None:
        raise NoSuchRow(
            _("This added row no longer exists. It was removed or saved. To add it as another row, save it again.")
        )
    return edit


def fingerprint(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def change(dataset: Dataset, line: int, data: bytes, seen: str) -> None:
    """`seen`: the fingerprint of the row that the person edited. A row as in the file is no edit any more.

    Raises InvalidValues with each problem at its field, RowConflict when another tab was faster.
    """
    saved = saved_row(dataset, line)
    if data != saved:
        _check(dataset, line, data)
    with transaction.atomic():
        _lock(dataset)
        edit = RowEdit.objects.filter(dataset=dataset, line=line).first()
        _check_seen(edit.text.encode() if edit else saved, seen)
        if data == saved:
            RowEdit.objects.filter(dataset=dataset, line=line).delete()
            return
        if edit is None:
            _check_room(dataset, data)
        text = data.decode()
        RowEdit.objects.update_or_create(
            dataset=dataset, line=line, defaults={"text": text, "changed_at": timezone.now()}
        )


def add(dataset: Dataset, data: bytes) -> RowEdit:
    """At the end of the file."""
    _check(dataset, dataset.row_count + 1, data)
    with transaction.atomic():
        _lock(dataset)
        _check_room(dataset, data)
        return RowEdit.objects.create(dataset=dataset, text=data.decode())


def change_added(dataset: Dataset, number: int, data: bytes, seen: str) -> None:
    _check(dataset, dataset.row_count + 1, data)
    with transaction.atomic():
        _lock(dataset)
        edit = _added(dataset, number)
        _check_seen(edit.text.encode(), seen)
        RowEdit.objects.filter(pk=edit.pk).update(text=data.decode(), changed_at=timezone.now())


def delete(dataset: Dataset, line: int) -> None:
    saved_row(dataset, line)
    with transaction.atomic():
        _lock(dataset)
        if not RowEdit.objects.filter(dataset=dataset, line=line).exists():
            _check_room(dataset, b"")
        RowEdit.objects.update_or_create(
            dataset=dataset, line=line, defaults={"text": "", "changed_at": timezone.now()}
        )


def undo(dataset: Dataset, number: int) -> None:
    """What is not there any more is undone already."""
    with transaction.atomic():
        _lock(dataset)
        RowEdit.objects.filter(dataset=dataset, pk=min(number, 2**62)).delete()


def discard(dataset: Dataset) -> None:
    with transaction.atomic():
        _lock(dataset)
        RowEdit.objects.filter(dataset=dataset).delete()


def _lock(dataset: Dataset) -> None:
    """So that two tabs come one after the other, and nothing changes while a version is being written."""
    Dataset.objects.select_for_update().get(pk=dataset.pk)
    policies.check_can_edit_rows(dataset)
    saving = DatasetWork.objects.filter(dataset=dataset, kind=WorkKind.EDITS, state=WorkState.WAITING)
    if saving.exists():
        raise NotAllowedNow(_("Your changes are being saved as a new version. Edit the rows of that version."))


def _check(dataset: Dataset, line: int, data: bytes) -> None:
    if len(data) > LONGEST_EDITED:
        words = {"size": f"{len(data) / 2**20:.1f}", "most": LONGEST_EDITED // 2**20}
        sentence = _("The row has %(size)s MB. In the browser, a row can have at most %(most)d MB. Shorten it.") % words
        raise InvalidValues([Problem("max_length", "", sentence)])
    found = check_line(Line(line, data), Judge(dataset.owner)).problems
    if not data:
        found = check_line(Line(line, b"{}")).problems
    if found:
        raise InvalidValues(Problem("row", one.field, join(one.problem, one.remedy)) for one in found)


def _check_seen(now: bytes, seen: str) -> None:
    if seen != fingerprint(now):
        raise RowConflict(
            _(
                "This row was changed in another tab or on another device after you opened it. Your text is still "
                "in the form. Compare it with the row as it is now, then save again to replace it."
            )
        )


def _check_room(dataset: Dataset, data: bytes) -> None:
    rows = list(RowEdit.objects.filter(dataset=dataset).values_list("text", flat=True))
    if len(rows) >= MOST_EDITS or sum(map(len, rows)) + len(data) > LARGEST_TOTAL:
        words = {"most": MOST_EDITS}
        raise NotAllowedNow(
            _("You have many unsaved changes (at most %(most)d, 16 MB in all). Save them as a new version first.")
            % words
        )

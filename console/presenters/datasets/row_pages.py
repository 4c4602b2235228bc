"""Rows as the pages of a dataset show them: with what was edited, in groups, or beside what they were."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from jobs.models import Dataset, DatasetWork, RowEdit, WorkKind, WorkState
from jobs.services.datasets.edits import changes, choices, works
from jobs.services.datasets.edits.reading import rows_at
from jobs.services.datasets.file import Line, open_file
from jobs.services.datasets.images.judge import Judge
from jobs.services.datasets.preview import ShownRow, preview_row

EDITS_A_PAGE, GROUPS_A_PAGE, CHANGES_A_PAGE = 20, 20, 10
ROWS_OF_A_GROUP = 6
PARTS = ("changed", "added", "removed")


@dataclass(frozen=True)
class EditedRow:
    row: ShownRow
    edit: RowEdit | None = None


@dataclass(frozen=True)
class Pair:
    """A row before and after; either may not be there."""

    before: ShownRow | None
    after: ShownRow | None
    edit: RowEdit | None = None


@dataclass(frozen=True)
class GroupedRow:
    row: ShownRow
    percent: int
    is_kept: bool


@dataclass(frozen=True)
class ShownGroup:
    number: int
    rows: list[GroupedRow]
    size: int
    keeps_all: bool

    @property
    def more(self) -> int:
        return self.size - len(self.rows)


@dataclass(frozen=True)
class Slice:
    """A page of a list that is known as a whole; `number` counts from 1."""

    number: int
    count: int
    each: int

    @property
    def first(self) -> int:
        return (self.number - 1) * self.each

    @property
    def before(self) -> int:
        return self.number - 1

    @property
    def after(self) -> int:
        return self.number + 1 if self.number * self.each < self.count else 0


def slice_of(asked: str, count: int, each: int) -> Slice:
    number = int(asked) if asked.isdecimal() and len(asked) < 9 else 1
    return Slice(min(max(number, 1), max(-(-count // each), 1)), count, each)


def with_edits(dataset: Dataset, rows: Iterable[ShownRow]) -> list[EditedRow]:
    rows = list(rows)
    edits = {edit.line: edit for edit in RowEdit.objects.filter(dataset=dataset, line__in=[row.line for row in rows])}
    return [_apply_edit(dataset, row, edits.get(row.line)) for row in rows]


def _apply_edit(dataset: Dataset, row: ShownRow, edit: RowEdit | None) -> EditedRow:
    if edit is None or edit.is_deletion:
        return EditedRow(row, edit)
    return EditedRow(_show(dataset, row.line, edit.text.encode()), edit)


def pending_pairs(dataset: Dataset, page: Slice) -> list[Pair]:
    edits = RowEdit.objects.filter(dataset=dataset)[page.first : page.first + page.each]
    lines = [edit.line for edit in edits if edit.line is not None]
    with open_file(dataset) as file:
        saved = rows_at(file, lines)
    return [
        Pair(
            _show(dataset, edit.line, saved[edit.line]) if edit.line in saved else None,
            _show(dataset, edit.line or 0, edit.text.encode()) if edit.text else None,
            edit,
        )
        for edit in edits
    ]


def _show(dataset: Dataset, line: int, data: bytes) -> ShownRow:
    return preview_row(Line(line, data), Judge(dataset.owner))


def work_of(dataset: Dataset, kind: WorkKind) -> DatasetWork | None:
    return DatasetWork.objects.filter(dataset=dataset, kind=kind).first()


def groups_of(dataset: Dataset, work: DatasetWork, page: Slice) -> list[ShownGroup]:
    groups = work.result["groups"][page.first : page.first + page.each]
    with open_file(dataset) as file:
        found = rows_at(file, {line for group in groups for line, _percent in group[:ROWS_OF_A_GROUP]})
    shown = []
    for number, group in enumerate(groups, page.first):
        kept = choices.kept_of(work, number)
        rows = [
            GroupedRow(_show(dataset, line, found[line]), percent, line == kept)
            for line, percent in group[:ROWS_OF_A_GROUP]
            if line in found
        ]
        shown.append(ShownGroup(number, rows, len(group), kept == choices.ALL))
    return shown


def comparison_of(dataset: Dataset, other: Dataset) -> DatasetWork | None:
    """With the version that is before it now. Of small files it is made here, and not kept."""
    work = work_of(dataset, WorkKind.COMPARE)
    is_fresh = work and (work.state != WorkState.READY or work.options.get("against") == str(other.pk))
    return work if is_fresh else works.compare_at_once(dataset, other)


def changed_pairs(old: Dataset, new: Dataset, work: DatasetWork, part: str, page: Slice) -> list[Pair]:
    listed = work.result[part][page.first : page.first + page.each]
    pairs: list[Any] = [one if part == "changed" else (None, one) if part == "added" else (one, None) for one in listed]
    texts = []
    for dataset, side in ((old, 0), (new, 1)):
        with open_file(dataset) as file:
            texts.append(rows_at(file, {pair[side] for pair in pairs if pair[side]}))
    return [Pair(_show_side(old, texts[0], was), _show_side(new, texts[1], now)) for was, now in pairs]


def _show_side(dataset: Dataset, texts: dict[int, bytes], line: int | None) -> ShownRow | None:
    return _show(dataset, line, texts[line]) if line in texts else None


def version_before(dataset: Dataset) -> Dataset | None:
    return changes.before(dataset)

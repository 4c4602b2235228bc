"""Writes a new version of a dataset out of the rows of another one. Rows that nobody touched stay byte for byte."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from jobs import shortages
from jobs.errors import NotAllowedNow
from jobs.files import store
from jobs.models import Dataset, DatasetWork, RowEdit
from jobs.services.datasets import datasets, policies, spec, versions
from jobs.services.datasets.file import Line, check_line, open_file
from jobs.services.datasets.images.judge import Judge
from jobs.text.deferred import gettext as _, ngettext

from . import choices
from .reading import Progress, rows_of

# What the recipe of a version says: how it came about, and which rows were changed as [line before, line].
WAY, CHANGED = "rows_by", "changed"
# By which a version is found that was saved before the worker could say so.
KEY = "work"


@dataclass
class Written:
    """What became of the rows, counted while they are written."""

    kept: int = 0
    left_out: int = 0
    changed: list[list[int]] = field(default_factory=list)
    added: int = 0


def made_already(work: DatasetWork) -> Dataset | None:
    return Dataset.objects.filter(made_from=work.dataset, **{f"recipe__{KEY}": work.options[KEY]}).first()


def save_edits(work: DatasetWork, progress: Progress) -> Dataset:
    """All edits of the version become one new version, and are edits no more. One that came meanwhile stops it."""
    dataset = work.dataset
    edits = list(RowEdit.objects.filter(dataset=dataset))
    if not edits:
        raise NotAllowedNow(_("There are no unsaved changes."))
    written = Written()

    def guard() -> None:
        now = dict(RowEdit.objects.filter(dataset=dataset).values_list("pk", "changed_at"))
        if now != {edit.pk: edit.changed_at for edit in edits}:
            raise NotAllowedNow(_("The rows were edited while the version was being saved. Save again."))
        RowEdit.objects.filter(dataset=dataset).delete()

    def rows() -> Iterator[bytes]:
        with open_file(dataset) as file:
            yield from _apply_edits(rows_of(file, progress), edits, written)

    return _write(work, rows(), written, guard)


def leave_out_bad_rows(work: DatasetWork, progress: Progress) -> Dataset:
    judge = Judge(work.dataset.owner)
    return _leave_out(work, progress, lambda line: check_line(line, judge).row is None)


def leave_out_duplicates(work: DatasetWork, progress: Progress) -> Dataset:
    extra = choices.rows_to_leave_out(choices.finished_search(work.dataset))
    if not extra:
        raise NotAllowedNow(_("You chose to keep all rows, so there is nothing to leave out."))
    return _leave_out(work, progress, lambda line: line.number in extra)


def _leave_out(work: DatasetWork, progress: Progress, is_unwanted: Callable[[Line], bool]) -> Dataset:
    written = Written()

    def rows() -> Iterator[bytes]:
        with open_file(work.dataset) as file:
            for line in rows_of(file, progress):
                if is_unwanted(line):
                    written.left_out += 1
                else:
                    yield line.data

    return _write(work, rows(), written, lambda: policies.check_can_leave_out(work.dataset, _pending(work.dataset)))


def _pending(dataset: Dataset) -> int:
    return RowEdit.objects.filter(dataset=dataset).count()


def _apply_edits(lines: Iterable[Line], edits: list[RowEdit], written: Written) -> Iterator[bytes]:
    by_line = {edit.line: edit for edit in edits if edit.line is not None}
    row = 0
    for line in lines:
        edit = by_line.get(line.number)
        if edit and edit.is_deletion:
            written.left_out += 1
            continue
        row += 1
        if edit:
            written.changed.append([line.number, row])
        yield edit.text.encode() if edit else line.data
    for edit in edits:
        if edit.is_added:
            written.added += 1
            yield edit.text.encode()


def _write(work: DatasetWork, rows: Iterator[bytes], written: Written, guard: Callable[[], None]) -> Dataset:
    dataset = work.dataset
    shortages.require_room(2 * dataset.byte_size)
    with store.scratch() as file:
        for data in rows:
            written.kept += 1
            file.write(data + b"\n")
        if not written.kept:
            raise NotAllowedNow(_("No row would be left. Keep at least one."))
        if not (written.left_out or written.changed or written.added):
            raise NotAllowedNow(_("This version would have the same rows, so it was not created."))
        file.seek(0)
        recipe = {WAY: work.kind, KEY: work.options[KEY], **({CHANGED: written.changed} if written.changed else {})}
        origin = datasets.Origin(dataset, recipe=recipe, notes=[*_notes(dataset, written)])

        def check(previous: Dataset | None) -> None:
            _check_latest(dataset, previous, work.options)
            guard()

        return datasets.create(
            dataset.owner, file=file, file_name=dataset.file_name, name=dataset.name, origin=origin, guard=check,
            limit=spec.limit_of_version(dataset.byte_size),
        )  # fmt: skip


def check_base(dataset: Dataset, seen: str) -> None:
    """`seen`: the id of the newest version when the person decided. Asked before the work and once more at its end."""
    _check_latest(dataset, versions.by_name(dataset.owner, dataset.name).first(), {"latest": seen})


def _check_latest(dataset: Dataset, latest: Dataset | None, options: dict[str, str]) -> None:
    if latest is None or latest.family != dataset.family:
        raise NotAllowedNow(_("The dataset was renamed or deleted while the version was being saved. Open it again."))
    if str(latest.pk) != options.get("latest"):
        words = {"version": latest.version, "base": dataset.version}
        raise NotAllowedNow(
            _(
                "Version %(version)d was added after you opened this page. A version from here is made from version "
                "%(base)d and doesn't have the changes of version %(version)d. To create it anyway, try again."
            )
            % words
        )


def _notes(dataset: Dataset, written: Written) -> Iterator[str]:
    yield _("Made in the browser from version %(version)d.") % {"version": dataset.version}
    counts = (
        (len(written.changed), ngettext("%d row was changed.", "%d rows were changed.", len(written.changed))),
        (written.added, ngettext("%d row was added.", "%d rows were added.", written.added)),
        (written.left_out, ngettext("%d row was left out.", "%d rows were left out.", written.left_out)),
    )
    yield from (sentence % count for count, sentence in counts if count)

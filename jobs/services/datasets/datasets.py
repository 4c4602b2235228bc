"""Datasets of a person: stored once, checked line by line before anything that costs money starts."""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal
from uuid import UUID, uuid4

from django.contrib.auth.models import User
from django.db import transaction

from jobs import shortages
from jobs.errors import DatasetRejected, NotAllowedNow
from jobs.files import store
from jobs.models import Dataset
from jobs.services import audit
from jobs.text.deferred import gettext as _

from . import policies, spec, versions
from .convert import convert_rows
from .file import CHUNK, PROBLEMS_KEPT, Line, Lines, Report, check_line, copy_file, measure_size, open_file, why_gone
from .images.judge import Judge
from .shape import shape_of

Progress = Callable[[int], None]
ROWS_BETWEEN = 5000
MAX_ROWS = 3_000_000
BAD_ROWS_READ = 10_000
SAMPLES = Path(__file__).parents[2] / "samples"


@dataclass(frozen=True)
class Origin:
    """What a dataset was made from, and how; `notes` say so in sentences. `source_uri`: the object in Cloud Storage
    that it is read from."""

    made_from: Dataset | None
    part: str = ""
    recipe: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    source_uri: str = ""
    source_version: str = ""
    pk: UUID = field(default_factory=uuid4)


def create(
    owner: User,
    *,
    file: IO[bytes],
    file_name: str,
    name: str = "",
    origin: Origin | None = None,
    progress: Progress | None = None,
    guard: versions.Guard | None = None,
    limit: int | None = None,
    judge: Judge | None = None,
) -> Dataset:
    """Keeps the file even with bad rows, so that the report can be read; it cannot be used until it is corrected.

    A name that is in use gets a new version. `progress` is told the number of rows read, every few thousand rows.
    `limit`: how many bytes the file may have, if not as many as an upload. `judge`: of the images that rows name, where
    some came along with them.
    Raises DatasetRejected, whose text is the remedy, for a file that is nothing at all: empty, too large, not UTF-8.
    """
    size, limit = measure_size(file), spec.limit_of(limit)
    if reason := spec.why_too_large(size, limit):
        raise DatasetRejected(reason)
    shortages.require_room(size)
    file_name = _clean_name(Path(file_name.replace("\\", "/")).name) or "data.jsonl"
    dataset = Dataset(owner=owner, file_name=file_name[:255], name=_name_for(name, file_name))
    for attribute, value in (vars(origin) if origin else {}).items():
        setattr(dataset, attribute, value)
    dataset.shape = shape_of(file, file_name)
    report = Report(owner.pk, judge or Judge(owner))
    with store.draft(dataset.stored_name) as draft:
        if dataset.shape:
            _keep(dataset, file, draft, progress or _silent, limit)
        else:
            _fill(dataset, file, draft, progress or _silent, limit, report)
        seen = versions.compare_with_previous(dataset, draft)
        try:
            store.keep(draft, dataset.stored_name)
            versions.save(dataset, seen, guard, report.files)
        except BaseException:
            store.discard(dataset.stored_name)
            raise
    return dataset


def _silent(_rows: int) -> None:
    pass


def _name_for(name: str, file_name: str) -> str:
    return (_clean_name(name) or Path(file_name).stem)[:128].strip()


def same_file(owner: User, file: IO[bytes]) -> Dataset | None:
    """What this person has of these very bytes, the newest; the file is at its start again afterwards.

    Where a dataset lost its own file, these bytes take its place, so that it can be used again.
    """
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK):
        digest.update(chunk)
    file.seek(0)
    found = list(Dataset.objects.visible_to(owner).filter(sha256=digest.hexdigest()))
    for dataset in found:
        if not store.exists(dataset.stored_name):
            _restore(dataset, file)
    return next(iter(found), None)


def _restore(dataset: Dataset, file: IO[bytes]) -> None:
    """The copy in `gs://` counts as gone with the file: the next job sends it again."""
    notes = dataset.notes
    try:
        with store.draft(dataset.stored_name) as draft:
            if dataset.shape:
                _keep(dataset, file, draft, _silent, spec.limit_of())
            else:
                _fill(dataset, file, draft, _silent, spec.limit_of(), _report_of(dataset))
            store.keep(draft, dataset.stored_name)
    finally:
        file.seek(0)
    dataset.notes, dataset.uploaded_uri = notes, ""
    dataset.save()


def _report_of(dataset: Dataset) -> Report:
    return Report(dataset.owner_id, Judge(dataset.owner))


def _fill(dataset: Dataset, file: IO[bytes], path: Path, progress: Progress, limit: int, report: Report) -> None:
    """One pass, in the memory of one line. Blank lines stay while there are problems, so that line numbers hold."""
    lines = Lines(file, limit)
    with path.open("wb") as copy:
        for line in lines:
            copy.write(line.data + b"\n")
            report.add(line)
            if line.number % ROWS_BETWEEN == 0:
                _worth_reading_on(line.number, report.invalid_rows, report.problems)
                progress(line.number)
    if not report.rows:
        raise DatasetRejected(_("The file has no rows. Write one JSON object per line."))
    if dropped := report.invalid_rows == 0 and report.blank_lines > 0:
        _drop_blank_lines(path)
    dataset.sha256, dataset.byte_size = lines.sha256, path.stat().st_size
    _take_in(dataset, report)
    if dropped:
        dataset.stats["longest_line"] = report.measure.longest_row
    dataset.notes = [*dataset.notes, *lines.notes, *report.notes]
    if not report.blank_lines and not lines.notes:
        # What a training would read there is what was checked.
        dataset.uploaded_uri = dataset.source_uri


def _take_in(dataset: Dataset, report: Report) -> None:
    dataset.format = report.format
    dataset.valid_rows, dataset.invalid_rows = report.valid_rows, report.invalid_rows
    dataset.rows_over, dataset.image_count = dict(report.rows_over), report.image_count
    dataset.character_count, dataset.token_estimate = report.characters, report.tokens
    dataset.problems, dataset.preview = report.problems, report.preview
    dataset.stats = report.measure.as_dict() | ({"tool_rows": report.tool_rows} if report.tool_rows else {})


def _keep(dataset: Dataset, file: IO[bytes], path: Path, progress: Progress, limit: int) -> None:
    """The bytes as they came; how many rows can be converted, and what is wrong with the first that cannot."""
    with path.open("wb") as copy:
        dataset.sha256, dataset.byte_size = copy_file(file, copy, limit)
    rows = convertible = 0
    problems: list[dict[str, Any]] = []
    with path.open("rb") as source:
        for rows, one in enumerate(convert_rows(source, dataset.shape), 1):
            convertible += one.row is not None
            problems += [problem.as_dict() for problem in one.problems[: PROBLEMS_KEPT - len(problems)]]
            if rows % ROWS_BETWEEN == 0:
                _worth_reading_on(rows, rows - convertible, problems)
                progress(rows)
    if not rows:
        raise DatasetRejected(_("The file has no rows below its first line. Add rows, then try again."))
    dataset.invalid_rows, dataset.problems = rows, problems
    dataset.stats = {"rows": rows, "convertible": convertible}


def _worth_reading_on(rows: int, bad: int, problems: list[dict[str, Any]]) -> None:
    """A file of nothing but tiny or bad rows would keep the person waiting for minutes."""
    if rows > MAX_ROWS:
        raise DatasetRejected(_("The file has more than %d rows. Use fewer rows.") % MAX_ROWS)
    if bad > max(rows - bad, BAD_ROWS_READ):
        words = {"rows": rows, **problems[0]}
        raise DatasetRejected(
            _(
                "Most of the first %(rows)d rows have problems, so the rest was not read. The first is in line "
                "%(line)d: %(problem)s %(remedy)s"
            )
            % words
        )


def check_again(dataset: Dataset) -> None:
    """For a dataset of a time when less was found out about a file. No file was larger than an upload then."""
    if dataset.shape or spec.why_too_large(dataset.byte_size):
        return
    lines, report = _lines_of(dataset), _report_of(dataset)
    for line in lines:
        report.add(line)
    _take_in(dataset, report)
    dataset.save()


def _lines_of(dataset: Dataset) -> Iterator[Line]:
    with open_file(dataset) as file:
        yield from Lines(file, None)


def _drop_blank_lines(path: Path) -> None:
    kept = path.with_suffix(f"{path.suffix}x")
    with path.open("rb") as source, kept.open("wb") as copy:
        copy.writelines(line for line in source if line.strip())
    os.replace(kept, path)


def _clean_name(name: str) -> str:
    return "".join(character for character in name if character.isprintable()).strip()


def create_sample(owner: User, which: Literal["train", "validation"]) -> Dataset:
    """The sample that ships with the console; a person gets it once."""
    file_name = f"ahoy-{which}.jsonl"
    if found := Dataset.objects.filter(owner=owner, is_sample=True, file_name=file_name).first():
        return found
    name = _("Sample: pirate answers") if which == "train" else _("Sample: pirate answers, validation")
    with (SAMPLES / file_name).open("rb") as file:
        dataset = create(owner, file=file, file_name=file_name, name=name)
    dataset.is_sample = True
    dataset.save(update_fields=["is_sample"])
    return dataset


def problems_jsonl(dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Every problem, not only the fifty that the page shows; read from the file again, line by line. A file that is
    gone is said before the first of them."""
    if not store.exists(dataset.stored_name):
        raise NotAllowedNow(why_gone(dataset))
    return _problems(dataset)


def _problems(dataset: Dataset) -> Iterator[dict[str, Any]]:
    with open_file(dataset) as file:
        judge = Judge(dataset.owner)
        lines = (check_line(line, judge) for line in _nonempty_lines(file))
        for one in convert_rows(file, dataset.shape) if dataset.shape else lines:
            for problem in one.problems:
                yield problem.as_dict()


def _nonempty_lines(file: IO[bytes]) -> Iterator[Line]:
    return (line for line in Lines(file, None) if line.data.strip())


def delete(dataset: Dataset) -> None:
    with transaction.atomic():
        policies.check_can_delete(dataset)
        name = dataset.stored_name
        versions.remove(dataset)
        transaction.on_commit(lambda: store.discard(name))
        audit.record("dataset.delete", dataset)


def describe(dataset: Dataset, *, name: str, description: str) -> None:
    """All versions get the name. A name that another dataset of this person has is refused."""
    spec.validate(name=name, description=description)
    with transaction.atomic():
        others = versions.by_name(dataset.owner, name).exclude(family=dataset.family)
        if others.exists():
            raise NotAllowedNow(_("You already have a dataset with this name. Choose another name."))
        Dataset.objects.filter(family=dataset.family).update(name=name)
        Dataset.objects.filter(pk=dataset.pk).update(description=description)
        audit.record("dataset.edit", dataset)

"""Data sets of a person: stored once, checked line by line before anything that costs money starts."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Literal
from uuid import uuid4

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models, transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.errors import DatasetRejected, NotAllowedNow
from jobs.models import Dataset, TuningJob

from .dataset_file import Lines, Report, check_line

SAMPLES = Path(__file__).parents[1] / "samples"
LARGEST_VALIDATION_SHARE = 0.25
LARGEST_VALIDATION_ROWS = 5000


def create(owner: User, *, file: IO[bytes], file_name: str, name: str = "") -> Dataset:
    """Keeps the file even with bad rows, so that the report can be read; it cannot be used until it is corrected.

    Raises DatasetRejected, whose text is the remedy, for a file that is nothing at all: empty, too large, not UTF-8.
    """
    file_name = _clean_name(Path(file_name.replace("\\", "/")).name) or "data.jsonl"
    dataset = Dataset(owner=owner, file_name=file_name[:255], name=(_clean_name(name) or Path(file_name).stem)[:128])
    dataset.path.parent.mkdir(parents=True, exist_ok=True)
    partial = dataset.path.with_suffix(f".{uuid4().hex}")
    try:
        _fill(dataset, file, partial)
        os.replace(partial, dataset.path)
        dataset.save(force_insert=True)
    except BaseException:
        for path in (partial, dataset.path):
            path.unlink(missing_ok=True)
        raise
    return dataset


def _fill(dataset: Dataset, file: IO[bytes], path: Path) -> None:
    """One pass, in the memory of one line. Blank lines stay while there are problems, so that line numbers hold."""
    lines, report = Lines(file, settings.DATASET_MAX_BYTES), Report()
    with path.open("wb") as copy:
        for line in lines:
            copy.write(line.data + b"\n")
            report.add(line)
    if not report.rows:
        raise DatasetRejected(_("The file has no rows. Write one JSON object on each line."))
    if report.invalid_rows == 0 and report.blank_lines:
        _drop_blank_lines(path)
    dataset.sha256, dataset.byte_size = lines.sha256, path.stat().st_size
    dataset.format = report.format
    dataset.valid_rows, dataset.invalid_rows = report.valid_rows, report.invalid_rows
    dataset.rows_over = dict(report.rows_over)
    dataset.character_count, dataset.token_estimate = report.characters, report.tokens
    dataset.problems, dataset.preview = report.problems, report.preview
    dataset.notes = [*lines.notes, *report.notes]


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
    """Every problem, not only the fifty that the page shows; read from the file again, line by line."""
    with suppress(FileNotFoundError), dataset.path.open("rb") as file:
        for line in Lines(file, None):
            if line.data.strip():
                for problem in check_line(line).problems:
                    yield problem.as_dict()


def validation_problem(train: Dataset, validation: Dataset) -> str:
    """Why Vertex AI would refuse the pair, or nothing."""
    if train.pk == validation.pk:
        return _("Choose another data set for validation: the model has seen these rows in training.")
    if validation.valid_rows > LARGEST_VALIDATION_ROWS:
        return ngettext(
            "A validation data set has at most 5000 rows; this one has %(rows)d.",
            "A validation data set has at most 5000 rows; this one has %(rows)d.",
            validation.valid_rows,
        ) % {"rows": validation.valid_rows}
    if validation.byte_size > train.byte_size * LARGEST_VALIDATION_SHARE:
        words = {"share": round(100 * validation.byte_size / train.byte_size) if train.byte_size else 100}
        return (
            _(
                "A validation data set has at most 25 %% of the bytes of the training data; this one has %(share)d %%. "
                "Take fewer rows, a tenth of the data is usual."
            )
            % words
        )
    return ""


def delete(dataset: Dataset) -> None:
    uses = models.Q(dataset=dataset) | models.Q(validation_dataset=dataset)
    with transaction.atomic():
        if TuningJob.objects.filter(uses).exists():
            raise NotAllowedNow(_("A tuning job uses this data set, so it has to stay."))
        path = dataset.path
        Dataset.objects.filter(pk=dataset.pk).delete()
        transaction.on_commit(lambda: path.unlink(missing_ok=True))

"""New datasets out of one: its conversion, or its two parts for training and validation."""

import hashlib
import heapq
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from django.db import transaction

from jobs.errors import NotAllowedNow
from jobs.files import store
from jobs.models import Dataset, DatasetPart
from jobs.services import audit
from jobs.text.deferred import gettext as _, ngettext

from . import datasets, policies, spec
from .convert import Converted, convert_rows, first_rows
from .file import PROBLEMS_KEPT, Line, Lines, check_line, decode_line, open_file
from .images.judge import Judge
from .rows import parse
from .table import Columns, Table, look

ROWS_TRIED = 3


@dataclass
class Conversion:
    """Nothing is `made` while there are `bad` rows that nobody said could be left out; `problems` has the first."""

    made: Dataset | None = None
    good: int = 0
    bad: int = 0
    problems: list[dict[str, Any]] = field(default_factory=list)


def table_of(dataset: Dataset) -> Table:
    with open_file(dataset) as file:
        return look(file)


def try_out(dataset: Dataset, columns: Columns | None) -> list[Converted]:
    """The first three rows as they would become."""
    with open_file(dataset) as file:
        return first_rows(file, dataset.shape, columns, ROWS_TRIED)


def convert(dataset: Dataset, *, name: str, columns: Columns | None, leave_out: bool) -> Conversion:
    """The original stays as it is."""
    spec.validate(name=name)
    policies.check_can_convert(dataset)
    with store.scratch() as copy, open_file(dataset) as file:
        result = Conversion()
        for one in convert_rows(file, dataset.shape, columns):
            _count(result, one)
            copy.write(one.data)
        if not result.good or (result.bad and not leave_out):
            return result
        copy.seek(0)
        result.made = datasets.create(
            dataset.owner, file=copy, file_name=f"{name}.jsonl", name=name, origin=_conversion_of(dataset, result.bad)
        )
        return result


def _count(result: Conversion, one: Converted) -> None:
    result.good += one.row is not None
    result.bad += one.row is None
    result.problems += [problem.as_dict() for problem in one.problems[: PROBLEMS_KEPT - len(result.problems)]]


def _conversion_of(dataset: Dataset, left_out: int) -> datasets.Origin:
    words = {"file": dataset.file_name, "shape": dataset.get_shape_display()}
    notes = [_("Converted from %(file)s (%(shape)s).") % words]
    if left_out:
        sentence = ngettext(
            "%(count)d row could not be converted and was left out.",
            "%(count)d rows could not be converted and were left out.",
            left_out,
        )
        notes.append(sentence % {"count": left_out})
    return datasets.Origin(dataset, recipe={"from": dataset.shape, "file": dataset.file_name}, notes=notes)


def leave_out_rows(dataset: Dataset, numbers: Collection[int]) -> Dataset:
    """The next version without these lines and without those that have problems. Twice the same is one version."""
    recipe = {"left_out": sorted(numbers)}
    known: Dataset | None = Dataset.objects.filter(made_from=dataset, recipe=recipe).first()
    if known and store.exists(known.stored_name):
        return known
    left_out, unwanted, judge = 0, frozenset(numbers), Judge(dataset.owner)
    with store.scratch() as copy, open_file(dataset) as file:
        for line in Lines(file, None):
            is_kept = line.number not in unwanted and check_line(line, judge).row is not None
            left_out += bool(line.data.strip()) and not is_kept
            copy.write(line.data + b"\n" if is_kept else b"")
        copy.seek(0)
        words = {"count": left_out, "name": dataset.name, "version": dataset.version}
        note = ngettext("Without %(count)d row of %(name)s, version %(version)d.",
                        "Without %(count)d rows of %(name)s, version %(version)d.", left_out) % words  # fmt: skip
        origin = datasets.Origin(dataset, recipe=recipe, notes=[note])
        return datasets.create(dataset.owner, file=copy, file_name=dataset.file_name, name=dataset.name, origin=origin)


def split(dataset: Dataset, *, share: int, seed: int) -> tuple[Dataset, Dataset]:
    """`share` percent of the rows, at least one, become a validation dataset and the others one for training.

    Which they are follows from the seed and each row's own text: the same split every time, equal rows on one side.
    """
    spec.validate(share=share, seed=seed)
    policies.check_can_split(dataset)
    wanted = max(1, round(dataset.valid_rows * share / 100))
    if wanted > policies.LARGEST_VALIDATION_ROWS:
        words = {"rows": wanted, "share": 100 * policies.LARGEST_VALIDATION_ROWS // dataset.valid_rows}
        raise NotAllowedNow(
            _(
                "A validation dataset can have at most 5000 rows, and this share has %(rows)d. Choose %(share)d%% "
                "or less."
            )
            % words
        )
    last = _last_of_the_smallest(dataset, seed, wanted)
    with ExitStack() as stack:
        files = {part: stack.enter_context(store.scratch()) for part in DatasetPart}
        for line, key in _hash_rows(dataset, seed):
            files[DatasetPart.VALIDATION if key <= last else DatasetPart.TRAIN].write(line.data + b"\n")
        if any(file.tell() == 0 for file in files.values()):
            raise NotAllowedNow(_("There are too few distinct rows to split. Add rows first."))
        return _create_pair(dataset, files, {"share": share, "seed": seed})


def _last_of_the_smallest(dataset: Dataset, seed: int, count: int) -> int:
    return heapq.nsmallest(count, (key for _line, key in _hash_rows(dataset, seed)))[-1]


def _hash_rows(dataset: Dataset, seed: int) -> Iterator[tuple[Line, int]]:
    salt = seed.to_bytes(8, "big")
    with open_file(dataset) as file:
        for line in Lines(file, None):
            row, _complaints = parse(decode_line(line))
            if row:
                images = tuple(image.address for image in row.images)
                text = repr((row.turns, images) if images else row.turns).encode("utf-8", "surrogatepass")
                yield line, int.from_bytes(hashlib.blake2b(text, digest_size=8, salt=salt).digest())


def _create_pair(
    dataset: Dataset, files: dict[DatasetPart, IO[bytes]], recipe: dict[str, int]
) -> tuple[Dataset, Dataset]:
    with audit.fold():
        train, validation = (_part(dataset, part, files[part], recipe) for part in DatasetPart)
    with transaction.atomic():
        if train.sibling_id != validation.pk:
            Dataset.objects.filter(pk=train.pk).update(sibling=validation)
            Dataset.objects.filter(pk=validation.pk).update(sibling=train)
        audit.record("dataset.split", dataset)
    return train, validation


def _part(dataset: Dataset, part: DatasetPart, file: IO[bytes], recipe: dict[str, int]) -> Dataset:
    """What the same split made before is taken again."""
    file.seek(0)
    known = Dataset.objects.filter(made_from=dataset, part=part, recipe=recipe).first()
    if known and store.exists(known.stored_name):
        return known
    words = {"name": dataset.name[:100], "part": part.label}
    share = recipe["share"] if part == DatasetPart.VALIDATION else 100 - recipe["share"]
    about = {"share": share, "name": dataset.name, "version": dataset.version, "seed": recipe["seed"]}
    note = _("%(share)d%% of the rows of %(name)s, version %(version)d, with seed %(seed)d.") % about
    stem = Path(dataset.file_name).stem[:200]
    return datasets.create(
        dataset.owner,
        file=file,
        file_name=f"{stem}-{part.value}.jsonl",
        name=_("%(name)s (%(part)s)") % words,
        origin=datasets.Origin(dataset, part.value, dict(recipe), [note]),
    )

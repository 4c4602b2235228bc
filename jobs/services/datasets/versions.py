"""Files under one name: which is the latest, and what changed from one to the next."""

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from django.contrib.auth.models import User
from django.db import transaction

from jobs.files import store
from jobs.models import Dataset, DatasetImage
from jobs.models.dataset import DatasetQuerySet
from jobs.services import audit
from jobs.services.notifications import notifications

from .file import Lines

# Eight bytes a row while two files are compared.
MAX_ROWS_COMPARED = 1_000_000


def by_name(owner: User, name: str) -> DatasetQuerySet:
    return Dataset.objects.visible_to(owner).latest_versions().filter(name=name)


Guard = Callable[[Dataset | None], None]


class SinceBefore(NamedTuple):
    """With which version a new one was compared, if with any, and what came of it."""

    previous: Dataset | None
    changes: dict[str, int]


def compare_with_previous(dataset: Dataset, draft: Path) -> SinceBefore:
    """`draft` has the rows of a dataset that is not saved yet."""
    previous = by_name(dataset.owner, dataset.name).first()
    return SinceBefore(previous, count_changes(previous, dataset, draft) if previous else {})


def save(dataset: Dataset, seen: SinceBefore, guard: Guard | None = None, images: Iterable[str] = ()) -> None:
    """As the next version when its name is in use. The lock on the person keeps two uploads from one number.

    `guard` is given the version before, under that lock; what it raises keeps the new one from being saved.
    `images`: the files of the owner's images that rows name.
    """
    with transaction.atomic():
        User.objects.select_for_update().get(pk=dataset.owner_id)
        previous = by_name(dataset.owner, dataset.name).first()
        if guard:
            guard(previous)
        if previous:
            newest = Dataset.objects.filter(family=previous.family).order_by("-version").values_list("version").first()
            dataset.family, dataset.version = previous.family, (newest[0] if newest else 0) + 1
            dataset.description = previous.description
            dataset.changes = seen.changes if previous == seen.previous else {}
            Dataset.objects.filter(family=previous.family).update(is_latest=False)
        dataset.save(force_insert=True)
        DatasetImage.objects.bulk_create([DatasetImage(dataset=dataset, file=file) for file in sorted(images)])
        if dataset.made_from_id:
            notifications.note_dataset(dataset)
        audit.record("dataset.create", dataset, facts={"version": dataset.version})


def remove(dataset: Dataset) -> None:
    Dataset.objects.filter(pk=dataset.pk).delete()
    left = Dataset.objects.filter(family=dataset.family)
    if dataset.is_latest and (newest := left.order_by("-version").first()):
        left.filter(pk=newest.pk).update(is_latest=True)


def count_changes(old: Dataset, new: Dataset, draft: Path) -> dict[str, int]:
    """Rows added, removed and left as they were; nothing where the files are too large, gone or of another kind."""
    if old.shape or new.shape or max(old.row_count, new.row_count) > MAX_ROWS_COMPARED:
        return {}
    try:
        before = store.open_file(old.stored_name)
    except FileNotFoundError:
        return {}
    with before, draft.open("rb") as file:
        found = compare_hashes(_hashes(before), _hashes(file))
    return _count_changed(found, len(new.recipe.get("changed", ())))


def _count_changed(found: dict[str, int], changed: int) -> dict[str, int]:
    """A row that was edited in the browser is neither added nor removed."""
    changed = min(changed, found["added"], found["removed"])
    if not changed:
        return found
    return found | {
        "added": found["added"] - changed, "removed": found["removed"] - changed, "changed": changed,
    }  # fmt: skip


def compare_hashes(old: "array[int]", new: "array[int]") -> dict[str, int]:
    """Of two sorted lists; a row that stands there twice counts twice."""
    same = here = there = 0
    while here < len(old) and there < len(new):
        if old[here] == new[there]:
            same, here, there = same + 1, here + 1, there + 1
        elif old[here] < new[there]:
            here += 1
        else:
            there += 1
    return {"added": len(new) - same, "removed": len(old) - same, "same": same}


def _hashes(file: IO[bytes]) -> "array[int]":
    return array("Q", sorted(_row_hashes(file)))


def _row_hashes(file: IO[bytes]) -> Iterator[int]:
    for line in Lines(file, None):
        if row := line.data.strip():
            yield int.from_bytes(hashlib.blake2b(row, digest_size=8).digest())

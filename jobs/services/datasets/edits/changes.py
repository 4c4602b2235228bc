"""What differs between two versions of a dataset, row by row."""

from array import array
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import IO, Any

from jobs.models import Dataset
from jobs.services.datasets import policies
from jobs.services.datasets.file import open_file

from .duplicates import pieces_of, similarity, text_of
from .reading import Progress, rows_at, rows_of, silent
from .write import CHANGED

MOST_LISTED = 20_000
MOST_COMPARED = 5_000
# So many percent of its pieces a changed row has in common with what it was; else it is another row.
ALIKE = 25
Gap = tuple[int, int]


@dataclass
class Rows:
    lines: "array[int]" = field(default_factory=lambda: array("L"))
    hashes: "array[int]" = field(default_factory=lambda: array("Q"))


@dataclass(frozen=True)
class Loose:
    """A row that the other version does not have, and the gap in which it stands: after which common row."""

    line: int
    gap: Gap


def before(dataset: Dataset) -> Dataset | None:
    """The version before, as far as it is still there."""
    earlier = Dataset.objects.filter(family=dataset.family, version__lt=dataset.version)
    return earlier.order_by("-version").first()


def compare(old: Dataset, new: Dataset, progress: Progress = silent) -> dict[str, Any]:
    """The `result` of a comparison."""
    for one in (old, new):
        policies.check_can_look_through(one)
    with ExitStack() as stack:
        files = [stack.enter_context(open_file(one)) for one in (old, new)]
        was = _read(files[0], progress)
        now = _read(files[1], lambda done: progress(old.byte_size + done))
        edited = _find_edited(was, now, new.recipe.get(CHANGED, []) if new.made_from_id == old.pk else [])
        before_lines, after_lines = {line for line, _now in edited}, {line for _was, line in edited}
        gone, come = _loose(was, before_lines, now, after_lines), _loose(now, after_lines, was, before_lines)
        changed, is_cut = _pair(files, gone, come, edited)
    return _list_changes(changed, gone, come, is_cut) | {
        "same": len(was.lines) - len(gone), "is_moved": not (gone or come) and was.hashes != now.hashes,
    }  # fmt: skip


def _read(file: IO[bytes], progress: Progress) -> Rows:
    rows = Rows()
    for line in rows_of(file, progress):
        rows.lines.append(line.number)
        rows.hashes.append(int.from_bytes(blake2b(line.data.strip(), digest_size=8).digest()))
    return rows


def _find_edited(was: Rows, now: Rows, known: Iterable[Sequence[int]]) -> list[list[int]]:
    """Those of the known pairs of lines that are there and differ."""
    pairs = [list(pair) for pair in known]
    old_keys, new_keys = (_keys_of(rows, {pair[side] for pair in pairs}) for side, rows in enumerate((was, now)))
    return [[old, new] for old, new in pairs if old in old_keys and new in new_keys and old_keys[old] != new_keys[new]]


def _keys_of(rows: Rows, lines: Collection[int]) -> dict[int, int]:
    return {line: key for line, key in zip(rows.lines, rows.hashes, strict=True) if line in lines}


def _loose(rows: Rows, edited: Collection[int], other: Rows, other_edited: Collection[int]) -> list[Loose]:
    """Edited rows are, whatever else reads like them. A row that stands there twice and in the other version once is
    loose once."""
    left = Counter(key for line, key in zip(other.lines, other.hashes, strict=True) if line not in other_edited)
    met, gap, found = Counter[int](), (0, 0), []
    for line, key in zip(rows.lines, rows.hashes, strict=True):
        if line not in edited and left[key]:
            left[key] -= 1
            met[key] += 1
            gap = (key, met[key])
        else:
            found.append(Loose(line, gap))
    return found


def _pair(
    files: list[IO[bytes]], gone: list[Loose], come: list[Loose], edited: Iterable[list[int]]
) -> tuple[list[list[int]], bool]:
    """Edited rows, and rows that stand in the same place and are alike, are one row that was changed."""
    changed = list(edited)
    done_old, done_new = {was for was, _now in changed}, {now for _was, now in changed}
    waiting: dict[Gap, deque[int]] = {}
    for one in gone:
        if one.line not in done_old:
            waiting.setdefault(one.gap, deque()).append(one.line)
    pairs = [
        [waiting[one.gap].popleft(), one.line] for one in come if one.line not in done_new and waiting.get(one.gap)
    ]
    compared = pairs[:MOST_COMPARED]
    changed += _alike(files, compared)
    return sorted(changed, key=lambda pair: pair[1]), len(pairs) > len(compared)


def _alike(files: list[IO[bytes]], pairs: list[list[int]]) -> Iterator[list[int]]:
    for file in files:
        file.seek(0)
    texts = [rows_at(file, [pair[side] for pair in pairs]) for side, file in enumerate(files)]
    for was, now in pairs:
        one, other = (pieces_of(text_of(texts[side][line])) for side, line in enumerate((was, now)))
        if similarity(one, other) >= ALIKE:
            yield [was, now]


def _list_changes(changed: list[list[int]], gone: list[Loose], come: list[Loose], is_cut: bool) -> dict[str, Any]:
    done_old, done_new = {was for was, _now in changed}, {now for _was, now in changed}
    removed = [one.line for one in gone if one.line not in done_old]
    added = [one.line for one in come if one.line not in done_new]
    return {
        "changed": changed[:MOST_LISTED], "removed": removed[:MOST_LISTED], "added": added[:MOST_LISTED],
        "counts": {"changed": len(changed), "removed": len(removed), "added": len(added)}, "is_cut": is_cut,
    }  # fmt: skip

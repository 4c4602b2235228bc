"""What a training takes at the highest, by the facts that the server tells that does it: `jobs.vertex.machine` says
what each of them is."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.models import Dataset

PERCENT = 100
MASKED = 1024  # tokens of the row whose mask is told


@dataclass(frozen=True)
class Row:
    """In tokens, those of its images among them."""

    length: int
    answers: float
    images: int = 0


def find_rows(dataset: Dataset, most: int, longest_row: int, image_tokens: int = 0) -> list[Row]:
    """The longest first, cut to `longest_row` tokens, with images of `image_tokens`; of those beyond the ones that were
    kept when the dataset was checked, as many as a step of `most` rows may have, as long as the last of these. None of
    an empty dataset."""
    stats, images = dataset.stats, -(-dataset.image_count // max(1, dataset.valid_rows))
    longest, share = int(stats.get("longest") or 0), float(stats.get("answer_share", PERCENT)) / PERCENT
    if not longest:
        return []
    kept = [(text + count * image_tokens, count) for text, count in stats.get("longest_rows", [])]
    rows = [_cut(tokens, count, longest_row, share) for tokens, count in kept or [(longest, images)]]
    rows.sort(key=lambda row: row.length, reverse=True)
    return rows + rows[-1:] * (min(most, dataset.valid_rows) - len(rows))


def _cut(tokens: int, images: int, longest_row: int, share: float) -> Row:
    length = min(tokens, longest_row) if longest_row else tokens
    return Row(length, length * share, images)


def add_bytes(mode: Mapping[str, Any], rank: int, rows: Sequence[Row], batch: int) -> int:
    """Rows of about one length make a step, as the trainer puts them."""
    steps = (_add_step(mode, rows[start : start + batch]) for start in range(0, len(rows), batch))
    return int(mode["fixed"] + mode["rank"] * rank + max(mode["saving"], max(steps, default=0)))


def _add_step(mode: Mapping[str, Any], rows: Sequence[Row]) -> float:
    longest = max(row.length for row in rows)
    is_padded, images = mode.get("padded", False), sum(row.images for row in rows)
    kept = sum(_of_row(mode["rows"], longest if is_padded else row.length) for row in rows)
    is_even = all(row.length == longest for row in rows)
    masks = len(rows) * (longest / MASKED) ** 2 * mode.get("even_mask" if is_even else "mask", 0)
    step = mode["step"] + kept + masks + sum(row.answers for row in rows) * mode["answer"]
    return float(images * mode.get("shown", 0) + max(images * mode.get("image", 0), step))


def _of_row(rows: Mapping[str, int], length: int) -> float:
    """In between as on the line between the two that are told."""
    known = sorted((int(tokens), size) for tokens, size in rows.items())
    at = bisect_left(known, (length, 0))
    if at == len(known):
        tokens, size = known[-1]
        return size * length / tokens
    tokens, size = known[at]
    before, smaller = known[at - 1] if at else (0, 0)
    return smaller + (size - smaller) * (length - before) / (tokens - before)

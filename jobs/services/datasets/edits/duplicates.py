"""Finds rows that say the same: equal ones, and near-duplicates by MinHash.

Rows are compared by their turns: roles and texts, without regard to case, width and white space. The similarity is the
share of their five-character pieces that two rows have in common (Jaccard). MinHash only proposes pairs; what is
reported was compared piece by piece. Each row belongs to the first row before it that it is similar enough to, so a
row that is left out is always that similar to one that stays.
"""

import unicodedata
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import IO, Any

import rensa

from jobs.services.datasets.file import LONGEST_LINE, Line
from jobs.services.datasets.rows import parse

from .reading import ROWS_BETWEEN, Progress, rows_with_places, silent

PIECE = 5
# Of a longer row the beginning is compared.
LONGEST_COMPARED = 10_000
MOST_COMPARISONS = 500_000
MOST_LISTED = 100_000
CANDIDATES_A_ROW = 8
SEED = 4711
# By the similarity in percent: how many hashes make a band, and how many bands there are. A pair that is just similar
# enough is proposed in 99 of 100 cases, one that is more similar practically always.
BANDS = {70: (5, 25), 80: (6, 21), 90: (8, 16), 95: (10, 12)}


def text_of(data: bytes) -> str:
    text = data[:LONGEST_LINE].decode("utf-8", "replace")
    row, _complaints = parse(text)
    if row:
        shown = "".join(f"\nimage: {image.address}" for image in row.images)
        text = "\n".join(f"{role}: {said}" for role, said in row.turns) + shown
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def pieces_of(text: str) -> set[str]:
    text = text[:LONGEST_COMPARED]
    return {text[at : at + PIECE] for at in range(max(len(text) - PIECE + 1, 1))}


def similarity(one: set[str], other: set[str]) -> int:
    """In percent, rounded down."""
    common = len(one & other)
    return 100 * common // (len(one) + len(other) - common)


@dataclass
class Index:
    """What is kept of the rows: where each begins, the first of its kind, and its bands."""

    similarity: int
    lines: "array[int]" = field(default_factory=lambda: array("L"))
    places: "array[int]" = field(default_factory=lambda: array("Q"))
    equal_to: "array[int]" = field(default_factory=lambda: array("L"))
    first_of: dict[bytes, int] = field(default_factory=dict)
    compared: "array[int]" = field(default_factory=lambda: array("L"))
    bands: list["array[int]"] = field(default_factory=list)

    def add(self, line: Line, place: int) -> None:
        text, index = text_of(line.data), len(self.lines)
        key = blake2b(text.encode("utf-8", "replace"), digest_size=12).digest()
        first = self.first_of.setdefault(key, index)
        self.lines.append(line.number)
        self.places.append(place)
        self.equal_to.append(first)
        if first == index and self.similarity:
            self._add_bands(index, text)

    def _add_bands(self, index: int, text: str) -> None:
        width, count = BANDS[self.similarity]
        self.bands = self.bands or [array("Q") for _band in range(count)]
        made = rensa.RMinHash(num_perm=width * count, seed=SEED)
        # In order, since what is made of a set would differ from run to run in nothing but time.
        made.update(list(pieces_of(text)))
        hashes = array("L", made.digest())
        for number, band in enumerate(self.bands):
            part = hashes[number * width : (number + 1) * width].tobytes()
            band.append(int.from_bytes(blake2b(part, digest_size=8).digest()))
        self.compared.append(index)

    def candidates(self) -> dict[int, list[int]]:
        """By row: rows before it that may be similar."""
        found: dict[int, list[int]] = {}
        for band in self.bands:
            order = sorted(range(len(band)), key=band.__getitem__)
            bucket: list[int] = []
            for at in order:
                if bucket and band[bucket[0]] != band[at]:
                    bucket = []
                self._propose(found, self.compared[at], [self.compared[one] for one in bucket[:3] + bucket[3:][-1:]])
                bucket.append(at)
        return found

    def _propose(self, found: dict[int, list[int]], row: int, earlier: list[int]) -> None:
        if earlier:
            known = found.setdefault(row, [])
            known += [one for one in earlier if one not in known][: CANDIDATES_A_ROW - len(known)]


def find(file: IO[bytes], percent: int, progress: Progress = silent) -> dict[str, Any]:
    """The `result` of a search. `percent`: how similar rows must be, 0 for equal ones only.

    On 100,000 rows of 500 characters about a minute and 150 MB.
    """
    index = Index(percent)
    for line, place in rows_with_places(file):
        index.add(line, place)
        if len(index.lines) % ROWS_BETWEEN == 0:
            progress(place)
    leaders, is_cut = _similar(file, index, progress)
    return _list_groups(index, leaders, is_cut)


def _similar(file: IO[bytes], index: Index, progress: Progress) -> tuple[dict[int, tuple[int, int]], bool]:
    """By row: the row that it belongs to, and how similar they are. And whether not all could be compared."""
    leaders: dict[int, tuple[int, int]] = {}
    candidates = index.candidates()

    @lru_cache(maxsize=64)
    def pieces(row: int) -> set[str]:
        file.seek(index.places[row])
        return pieces_of(text_of(file.readline(LONGEST_LINE)))

    compared = 0
    for row in sorted(candidates):
        if compared % ROWS_BETWEEN == 0:
            progress(index.places[-1])
        tried: set[int] = set()
        for leader in _leaders_of(candidates[row], leaders):
            if leader in tried:
                continue
            tried.add(leader)
            compared += 1
            if (percent := similarity(pieces(row), pieces(leader))) >= index.similarity:
                leaders[row] = (leader, percent)
                break
        if compared > MOST_COMPARISONS:
            return leaders, True
    return leaders, False


def _leaders_of(rows: list[int], leaders: dict[int, tuple[int, int]]) -> Iterator[int]:
    return (leaders[row][0] if row in leaders else row for row in sorted(rows))


def _list_groups(index: Index, leaders: dict[int, tuple[int, int]], is_cut: bool) -> dict[str, Any]:
    groups: dict[int, list[list[int]]] = {}
    listed = 0
    for row, first in enumerate(index.equal_to):
        leader, percent = leaders.get(first, (first, 100))
        if leader == row:
            continue
        if listed >= MOST_LISTED:
            is_cut = True
            break
        listed += 1
        groups.setdefault(leader, [[index.lines[leader], 100]]).append([index.lines[row], percent])
    found = [groups[leader] for leader in sorted(groups)]
    return {"groups": found, "rows": len(index.lines), "extra": listed, "is_cut": is_cut}

"""How long the rows of a dataset are: exact figures in the memory of the distinct lengths."""

import math
from bisect import bisect_left
from collections import Counter
from typing import Any

TOKENS_PER_CHARACTER = 0.231
EDGES = (0, 4, 8, 12, 16, *(size for power in range(4, 21) for size in (2**power * 3 // 2, 2**power * 2)))


def tokens_of(characters: int) -> int:
    """Rounded up, so that a row over a limit by a fraction counts as over it."""
    return math.ceil(characters * TOKENS_PER_CHARACTER)


class Measure:
    def __init__(self) -> None:
        self.rows: Counter[int] = Counter()
        self.longest = self.longest_line = self.longest_row = 0
        self.characters = self.answers = 0

    def add(self, line: int, row: int, characters: int, answer: int) -> None:
        """`answer` is the part of the characters that the model learns to write; a blank line is no row."""
        tokens = tokens_of(characters)
        self.rows[tokens] += 1
        self.characters += characters
        self.answers += answer
        if tokens > self.longest:
            self.longest, self.longest_line, self.longest_row = tokens, line, row

    def as_dict(self) -> dict[str, Any]:
        if not self.rows:
            return {}
        return {
            "median": self._at(0.5),
            "p95": self._at(0.95),
            "longest": self.longest,
            "longest_line": self.longest_line,
            "answer_share": round(100 * self.answers / self.characters),
            "bins": self._bins(),
        }

    def _at(self, share: float) -> int:
        """The length that `share` of the rows do not pass."""
        left = math.ceil(share * self.rows.total())
        for tokens in sorted(self.rows):
            left -= self.rows[tokens]
            if left <= 0:
                return tokens
        return self.longest

    def _bins(self) -> list[list[int]]:
        """[from, to, rows] from the shortest to the longest; the lower end is left out, so that limits are edges."""
        counts: Counter[int] = Counter()
        for tokens, rows in self.rows.items():
            counts[bisect_left(EDGES, tokens)] += rows
        return [[EDGES[index - 1], EDGES[index], counts[index]] for index in range(min(counts), max(counts) + 1)]

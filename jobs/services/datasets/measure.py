"""How long the rows of a dataset are: exact figures in the memory of the distinct lengths."""

import heapq
import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from typing import Any

EDGES = (0, 4, 8, 12, 16, *(size for power in range(4, 21) for size in (2**power * 3 // 2, 2**power * 2)))

# About what Gemma's tokenizer makes one token of: a word, a digit and the space before it, signs, a run of white space.
PIECES = re.compile(r"[A-Za-z]{1,8}|(?<= )(?=\d)|\d|[!-/:-@\[-`{-~]+|\n+| {2,}")
# Of the scripts of Korean, Japanese and Chinese; of others; and signs such as emoji.
DENSE, FOREIGN = (
    re.compile("[\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u3400-\u9fff\uac00-\ud7af]"),
    re.compile(r"[^\W\d_]"),
)
OTHER = re.compile(r"[^\x00-\x7f\w\s]")
A_DENSE, A_FOREIGN, AN_OTHER = 0.65, 0.25, 0.8
# Gemma's template: <start_of_turn>, the role, a line break, <end_of_turn>, a line break; <bos> for the row. System
# instructions are put in front of the first turn.
A_TURN, A_SYSTEM_TURN, A_ROW = 5, 1, 1
# Of Gemma 3 from 4B on: 256 for what it sees, and the marks before and after.
AN_IMAGE = 258
ROWS_LOOKED_AT = 2000
LONGEST_ROWS = 32


def reckon_text(text: str) -> float:
    """The tokens of a text without its tokenizer: within a tenth for prose, code and most scripts."""
    tokens = float(len(PIECES.findall(text)))
    if text.isascii():
        return tokens
    foreign = "".join(FOREIGN.findall(re.sub("[A-Za-z]", "", text)))
    dense = len(DENSE.findall(foreign))
    return tokens + dense * A_DENSE + (len(foreign) - dense) * A_FOREIGN + len(OTHER.findall(text)) * AN_OTHER


class Reckoning:
    """The tokens of many rows with the chat template, which a training counts, too. The texts of the first rows are
    looked at, then those of every sixteenth: a file of millions takes no longer to check for it."""

    def __init__(self) -> None:
        self.rows = self.marks = self.characters = self.looked_at = 0
        self.found = 0.0

    def add(self, turns: Iterable[tuple[str, str]], images: int = 0) -> int:
        """The tokens of the row, rounded up, so that one over a limit by a fraction counts as over it."""
        self.rows += 1
        looks = self.rows <= ROWS_LOOKED_AT or self.rows % 16 == 0
        marks, characters, found = A_ROW + images * AN_IMAGE, 0, 0.0
        for role, text in turns:
            marks += A_SYSTEM_TURN if role == "system" else A_TURN
            characters += len(text)
            found += reckon_text(text) if looks else 0
        self.marks += marks
        self.characters += characters
        if looks:
            self.looked_at += characters
            self.found += found
        return math.ceil(marks + (found if looks else characters * self._tokens_a_character))

    @property
    def tokens(self) -> int:
        return round(self.marks + self.characters * self._tokens_a_character)

    @property
    def _tokens_a_character(self) -> float:
        return self.found / self.looked_at if self.looked_at else 0.0


class Measure:
    def __init__(self) -> None:
        self.rows: Counter[int] = Counter()
        self.longest = self.longest_line = self.longest_row = 0
        self.characters = self.answers = 0
        self._longest_rows: list[tuple[int, int]] = []

    def add(self, line: int, row: int, tokens: int, characters: int, answer: int, images: int = 0) -> None:
        """`answer` is the part of the characters that the model learns to write; a blank line is no row."""
        self.rows[tokens] += 1
        keep = heapq.heappush if len(self._longest_rows) < LONGEST_ROWS else heapq.heappushpop
        keep(self._longest_rows, (tokens, images))
        self.characters += characters
        self.answers += answer
        if tokens > self.longest:
            self.longest, self.longest_line, self.longest_row = tokens, line, row

    def as_dict(self) -> dict[str, Any]:
        """`longest_rows`: the tokens of their text and how many images they have, the longest first."""
        if not self.rows:
            return {}
        longest_rows = sorted(self._longest_rows, reverse=True)
        return {
            "with_template": True,
            "median": self._at(0.5),
            "p95": self._at(0.95),
            "longest": self.longest,
            "longest_line": self.longest_line,
            "longest_rows": [[tokens - images * AN_IMAGE, images] for tokens, images in longest_rows],
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

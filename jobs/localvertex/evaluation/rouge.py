"""ROUGE as the `rouge_score` package of Google Research has it: the F-measure, between 0 and 1."""

import re
from array import array
from collections import Counter
from collections.abc import Sequence

from jobs.localvertex.api.errors import invalid
from jobs.localvertex.evaluation.stemmer import stem

DEFAULT_TYPE = "rougeL"
LARGEST_TABLE = 4_000_000  # comparisons of words; a second of this machine's time
_TYPE = re.compile(r"rouge_?([1-9]|L|Lsum)")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_SHORTEST_STEMMED = 4


def check_type(name: str, field: str) -> str:
    """`1` to `9`, `L` or `Lsum`. Raises INVALID_ARGUMENT."""
    found = _TYPE.fullmatch((name or DEFAULT_TYPE).replace("rougen", "rouge"))
    if found is None:
        raise invalid(f"Rouge type {name!r} is not supported. Use rouge1 to rouge9, rougeL or rougeLsum.", field)
    return found[1]


def compute_rouge(kind: str, prediction: str, reference: str, *, stemmed: bool = False, split: bool = False) -> float:
    """`kind` is of `check_type`. `split` finds the sentences for `Lsum`, which are lines otherwise."""
    if kind == "Lsum":
        said, wanted = (_split_sentences(text, stemmed=stemmed, split=split) for text in (prediction, reference))
        return _measure(_count_summary_hits(said, wanted), sum(map(len, said)), sum(map(len, wanted)))
    tokens, there = _split(prediction, stemmed=stemmed), _split(reference, stemmed=stemmed)
    if kind == "L":
        return _measure(_find_common_length(tokens, there), len(tokens), len(there))
    found, expected = _count_ngrams(tokens, int(kind)), _count_ngrams(there, int(kind))
    return _measure((found & expected).total(), found.total(), expected.total())


def _split(text: str, *, stemmed: bool) -> list[str]:
    words = re.findall(r"[a-z0-9]+", text.lower())
    return [stem(word) if len(word) >= _SHORTEST_STEMMED else word for word in words] if stemmed else words


def _split_sentences(text: str, *, stemmed: bool, split: bool) -> list[list[str]]:
    parts = _SENTENCE_END.split(text) if split else text.split("\n")
    return [_split(part, stemmed=stemmed) for part in parts if part]


def _count_ngrams(tokens: list[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(tokens[first:] for first in range(order)), strict=False))


def _measure(hits: int, said: int, wanted: int) -> float:
    if not hits:
        return 0.0
    precision, recall = hits / said, hits / wanted
    return 2 * precision * recall / (precision + recall)


def _find_common_length(a: Sequence[str], b: Sequence[str]) -> int:
    """Of the longest common subsequence, a machine word of `a` at a time (Hyyrö, 2004)."""
    places: dict[str, int] = {}
    for place, word in enumerate(a):
        places[word] = places.get(word, 0) | 1 << place
    whole = (1 << len(a)) - 1
    left = whole
    for word in b:
        met = left & places.get(word, 0)
        left = ((left + met) | (left - met)) & whole
    return len(a) - left.bit_count()


def _count_summary_hits(said: list[list[str]], wanted: list[list[str]]) -> int:
    """Words of each reference sentence that are in a common subsequence with any sentence; each counts once."""
    if sum(map(len, said)) * sum(map(len, wanted)) > LARGEST_TABLE:
        raise invalid("The texts are too long for rougeLsum. Use rougeL, or shorter texts.", "instances")
    said_left, wanted_left = (Counter(word for sentence in one for word in sentence) for one in (said, wanted))
    hits = 0
    for sentence in wanted:
        common = {place for other in said for place in _find_common_places(sentence, other)}
        for place in sorted(common):
            word = sentence[place]
            if said_left[word] > 0 and wanted_left[word] > 0:
                hits += 1
                said_left[word] -= 1
                wanted_left[word] -= 1
    return hits


def _find_common_places(a: list[str], b: list[str]) -> list[int]:
    """Places in `a` of one longest common subsequence: of several, the one that the package finds."""
    lengths = [array("I", bytes(4 * (len(b) + 1)))]
    for word in a:
        row, above = array("I", [0]), lengths[-1]
        for column, other in enumerate(b):
            row.append(above[column] + 1 if word == other else max(above[column + 1], row[column]))
        lengths.append(row)
    found, i, j = [], len(a), len(b)
    while i and j:
        if a[i - 1] == b[j - 1]:
            i, j = i - 1, j - 1
            found.append(i)
        elif lengths[i][j - 1] > lengths[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return found

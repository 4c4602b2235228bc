"""BLEU of one sentence, between 0 and 1, as sacreBLEU has it: its `13a` tokens, four orders, exponential smoothing."""

import math
import re
from collections import Counter

ORDERS = 4
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_SPLITS = (
    (re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])"), r" \1 "),
    (re.compile(r"([^0-9])([\.,])"), r"\1 \2 "),
    (re.compile(r"([\.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)


def compute_bleu(prediction: str, reference: str, *, effective_order: bool = False) -> float:
    """`effective_order` leaves out the orders that a short prediction has no words for; without it these make 0."""
    said, wanted = _split(prediction), _split(reference)
    counts = [_count_matches(said, wanted, order) for order in range(1, ORDERS + 1)]
    if not any(right for right, _ in counts):
        return 0.0
    logs, smoothing = [], 1
    for right, total in counts:
        if not total:
            break
        smoothing *= 1 if right else 2
        logs.append(math.log(right / total if right else 1 / (smoothing * total)))
    if len(logs) < ORDERS and not effective_order:
        return 0.0
    brevity = 1.0 if len(said) >= len(wanted) else math.exp(1 - len(wanted) / len(said))
    return brevity * math.exp(sum(logs) / len(logs))


def _count_matches(said: list[str], wanted: list[str], order: int) -> tuple[int, int]:
    """How many of the n-grams are right, and how many there are."""
    found, there = _count_ngrams(said, order), _count_ngrams(wanted, order)
    return (found & there).total(), found.total()


def _count_ngrams(tokens: list[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(tokens[first:] for first in range(order)), strict=False))


def _split(text: str) -> list[str]:
    """Of NIST's mteval-v13a."""
    line = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, sign in _ENTITIES:
        line = line.replace(entity, sign)
    line = f" {line} "
    for pattern, parts in _SPLITS:
        line = pattern.sub(parts, line)
    return line.split()

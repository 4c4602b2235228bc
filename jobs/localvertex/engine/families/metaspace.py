"""The tokenizers that SentencePiece trained, by their tokenizer.json: a space is written as ▁, and what is no piece as
its bytes. Llama 2, TinyLlama, Mistral 7B and Phi 3 have one.

llama.cpp merges by the scores of pieces, where tokenizer.json lists merges. It puts a space before each text or before
none, and strips what follows a special token in one family only. What it would read in another way is refused here."""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from jobs.localvertex.engine.families.pre_tokenizers import flatten
from jobs.localvertex.engine.job import JobError

SPACE = "▁"
BYTES = tuple(f"<0x{value:02X}>" for value in range(256))
# Of llama.cpp: the names of models whose special tokens take the white space behind them, all but these.
STRIPPING_NAME, OTHER_NAME = "Phi-3", "Phi 3"
NEVER_STRIPPING = frozenset(("<unk>", "<s>", "<|endoftext|>"))
_STRIPPING_NAMES = re.compile("phi-?3", re.IGNORECASE)
_REPLACE = ("Replace", " ", SPACE)
_PREPEND = ("Prepend", SPACE)


class Before(StrEnum):
    """What text gets a space before it."""

    EACH = "each"  # also after a special token
    FIRST = "first"  # only where no special token is before it
    NONE = "none"


def is_sentencepiece(stored: dict[str, Any]) -> bool:
    """`stored` is the content of a tokenizer.json."""
    model = stored.get("model") or {}
    return model.get("type") == "BPE" and bool(model.get("byte_fallback"))


def space_before(stored: dict[str, Any]) -> Before:
    """Raises JobError for a way that is not known."""
    normalized = tuple(_normalization(step) for step in flatten(stored.get("normalizer"), "normalizers"))
    cuts = flatten(stored.get("pre_tokenizer"))
    if not cuts and normalized in ((_PREPEND, _REPLACE), (_REPLACE, _PREPEND)):
        return Before.EACH
    if not cuts and normalized == (_REPLACE,):
        return Before.NONE
    if not normalized and len(cuts) == 1 and cuts[0]["type"] == "Metaspace":
        (cut,) = cuts
        scheme = cut.get("prepend_scheme", "always")
        if cut.get("replacement") == SPACE and cut.get("split", True) is False and scheme in ("first", "never"):
            return Before.FIRST if scheme == "first" else Before.NONE
    raise JobError(
        "The tokenizer treats spaces in a way that llama.cpp does not, so the model cannot be converted. Give a"
        " model.gguf instead."
    )


def describe_spaces(before: Before) -> dict[str, Any]:
    """For a tokenizer.json; llama.cpp knows two of the ways."""
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    steps = [{"type": "Prepend", "prepend": SPACE}, replace] if before == Before.EACH else [replace]
    return {"normalizer": {"type": "Sequence", "normalizers": steps}, "pre_tokenizer": None}


def check_exact(stored: dict[str, Any]) -> None:
    """Raises JobError where llama.cpp would make other tokens of a text."""
    model = stored["model"]
    added = stored["added_tokens"]
    space_before(stored)
    problems = {
        "it drops merges at random": bool(model.get("dropout")),
        "it takes words whole": bool(model.get("ignore_merges")),
        "it has no tokens for single bytes": not set(BYTES) <= model["vocab"].keys(),
        "its special tokens are changed like text": any(map(_is_changed, added))
        and _PREPEND in [_normalization(step) for step in flatten(stored.get("normalizer"), "normalizers")],
        "its special tokens take white space in another way than Phi 3's": not _strips_as_known(added),
        "its merges do not follow from scores": not _is_by_score(model, {token["content"] for token in added}),
    }
    if found := [what for what, is_so in problems.items() if is_so]:
        raise JobError(
            f"The tokenizer differs from SentencePiece's: {', '.join(found)}. So the model cannot be converted. Give a"
            " model.gguf instead."
        )


def strips(added: list[dict[str, Any]]) -> bool:
    """Whether special tokens take the white space behind them."""
    return any(token.get("rstrip") for token in added)


def name_for(name: str, stored: dict[str, Any]) -> str:
    """The name of a model, by which llama.cpp decides whether its special tokens take white space."""
    is_stripping = _STRIPPING_NAMES.search(name) is not None
    if strips(stored.get("added_tokens", [])):
        return name if is_stripping else f"{name} ({STRIPPING_NAME})"
    return _STRIPPING_NAMES.sub(OTHER_NAME, name)


def find_scores(model: dict[str, Any], added: Iterable[str]) -> dict[str, float]:
    """Of what SentencePiece learned: what merges make in their order, then single characters by their ids. Pieces whose
    merges are mixed had the same score, as runs of spaces have in most vocabularies."""
    others = {*added, *BYTES}
    made = _ranks_of(model, others)
    scores: dict[str, float] = {}
    score, until = 0, -1
    for text, ranks in made.items():
        if until >= 0 and ranks[0] > until:
            score += 1
        until = max(until, ranks[-1])
        scores[text] = -float(score)
    rest = sorted((text for text in model["vocab"] if text not in made and text not in others), key=model["vocab"].get)
    return scores | {text: -float(score + number) for number, text in enumerate(rest, start=1)}


def _is_by_score(model: dict[str, Any], added: set[str]) -> bool:
    """Each way to make a piece of two is a merge, and pieces follow each other: then the order of the pieces says as
    much as that of the merges. Runs of one character may be mixed: what is left over of them, both join from the left.
    """
    others = {*added, *BYTES}
    pieces = model["vocab"].keys() - others
    made = _ranks_of(model, others)
    ways = {text: sum(text[:cut] in pieces and text[cut:] in pieces for cut in range(1, len(text))) for text in pieces}
    if any(len(made.get(text, ())) != count for text, count in ways.items()):
        return False
    until, run = -1, ""
    for text, ranks in made.items():
        if ranks[0] < until and set(text) != set(run):
            return False
        until, run = max(until, ranks[-1]), text if len(set(text)) == 1 else ""
    return True


def _ranks_of(model: dict[str, Any], others: set[str]) -> dict[str, list[int]]:
    """Of the merges that make each piece, which are in the order of the first."""
    made: dict[str, list[int]] = {}
    for rank, (left, right) in enumerate(pair_merges(model["merges"])):
        if left + right not in others:
            made.setdefault(left + right, []).append(rank)
    return made


def pair_merges(merges: list[Any]) -> Iterable[tuple[str, str]]:
    """Older files write a merge as "left right", newer ones as a pair."""
    for merge in merges:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        yield left, right


def _strips_as_known(added: list[dict[str, Any]]) -> bool:
    if any(token.get("lstrip") or token.get("single_word") for token in added):
        return False
    wanted = {token["content"]: token["content"] not in NEVER_STRIPPING for token in added}
    return not strips(added) or {token["content"]: bool(token.get("rstrip")) for token in added} == wanted


def _is_changed(token: dict[str, Any]) -> bool:
    return bool(token.get("normalized", not token.get("special")))


def _normalization(step: dict[str, Any]) -> tuple[str, ...]:
    if step["type"] == "Prepend":
        return "Prepend", str(step.get("prepend"))
    if step["type"] == "Replace":
        return "Replace", str(step.get("pattern", {}).get("String")), str(step.get("content"))
    return (str(step["type"]),)

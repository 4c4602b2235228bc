"""How a byte-level tokenizer cuts a text before it merges bytes: tokenizer.json describes it, llama.cpp has a name.

llama.cpp's own converter knows the name by a hash of what the whole tokenizer makes of a text, so it knows only
vocabularies that have been published. The description itself says as much, whatever the vocabulary."""

from typing import Any

from jobs.localvertex.engine.job import JobError

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORDS = _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_CAPITALS, _SMALL = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"


def _split_by_case(endings: str, digits: str) -> str:
    words = (f"{_CAPITALS}*{_SMALL}+", f"{_CAPITALS}+{_SMALL}*")
    parts = [*(rf"[^\r\n\p{{L}}\p{{N}}]?{word}{endings}" for word in words), digits]
    return "|".join(parts) + r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"


# Each step: what splits, then the pattern; `use_regex` of the bytes: GPT-2's pattern, which they have built in.
STEPS: dict[str, tuple[tuple[str, str | bool], ...]] = {
    "gpt-2": (("ByteLevel", True),),
    "smollm": (("Digits", True), ("ByteLevel", True)),
    "llama-bpe": (("Split", _WORDS + r"\p{N}{1,3}" + _REST), ("ByteLevel", False)),
    "qwen2": (("Split", _WORDS + r"\p{N}" + _REST), ("ByteLevel", False)),
    "tekken": (("Split", _split_by_case("", r"\p{N}")), ("ByteLevel", False)),
    "gpt-4o": (("Split", _split_by_case(f"{_CONTRACTIONS}?", r"\p{N}{1,3}")), ("ByteLevel", False)),
}
_NAMES = {steps: name for name, steps in STEPS.items()}
# Cut as Llama 3's, but a word that is a token by itself is merged like any other: how Phi 4's does it.
ALWAYS_MERGED = {"llama-bpe": "dbrx"}


def is_byte_level(stored: dict[str, Any]) -> bool:
    """`stored` is the content of a tokenizer.json."""
    return any(step["type"] == "ByteLevel" for step in flatten(stored.get("pre_tokenizer")))


def name_of(stored: dict[str, Any]) -> str:
    """llama.cpp's. Raises JobError for what it has no name for."""
    found = tuple(_step(step) for step in flatten(stored.get("pre_tokenizer")))
    if found not in _NAMES:
        raise JobError(
            "The tokenizer cuts texts in a way that is not known here, so the model cannot be converted. Those of"
            " GPT-2, GPT-4o, SmolLM, Llama 3, Phi 4, Qwen 2 to 3 and Mistral's Tekken are. Give a model.gguf instead."
        )
    name = _NAMES[found]
    whole = stored.get("model", {}).get("ignore_merges", False)
    return name if whole else ALWAYS_MERGED.get(name, name)


def description_of(name: str) -> dict[str, Any]:
    """For a tokenizer.json. Raises JobError for a name that is not known here."""
    name = next((same for same, other in ALWAYS_MERGED.items() if other == name), name)
    if name not in STEPS:
        raise JobError(f"The file's tokenizer cuts texts as {name!r} does, which is not known here.")
    return {"type": "Sequence", "pretokenizers": [_describe(kind, value) for kind, value in STEPS[name]]}


def takes_words_whole(name: str) -> bool:
    """Without merging, where a word is a token by itself."""
    return name in ALWAYS_MERGED


def flatten(described: Any, inside: str = "pretokenizers") -> list[dict[str, Any]]:
    """The steps of a part of a tokenizer.json, whose sequences have theirs `inside`."""
    if not isinstance(described, dict):
        return []
    inner = described.get(inside)
    return [step for one in inner for step in flatten(one, inside)] if isinstance(inner, list) else [described]


def _step(step: dict[str, Any]) -> tuple[str, str | bool]:
    kind = step["type"]
    if kind == "ByteLevel" and not step.get("add_prefix_space"):
        return kind, bool(step.get("use_regex", True))
    if kind == "Digits":
        return kind, bool(step.get("individual_digits"))
    # To keep what matches, or to remove what does not match, is the same: the patterns match everything.
    how = (step.get("behavior"), bool(step.get("invert")))
    if kind == "Split" and how in (("Isolated", False), ("Removed", True)):
        return kind, str(step.get("pattern", {}).get("Regex", ""))
    return str(kind), "unknown"


def _describe(kind: str, value: str | bool) -> dict[str, Any]:
    if kind == "Split":
        return {"type": kind, "pattern": {"Regex": value}, "behavior": "Isolated", "invert": False}
    if kind == "Digits":
        return {"type": kind, "individual_digits": value}
    return {"type": kind, "add_prefix_space": False, "trim_offsets": True, "use_regex": value}

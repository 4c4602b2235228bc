from typing import Any

import pytest

from jobs.localvertex.engine.families.pre_tokenizers import (
    ALWAYS_MERGED,
    STEPS,
    description_of,
    is_byte_level,
    name_of,
    takes_words_whole,
)
from jobs.localvertex.engine.job import JobError

SMOLLM = {
    "type": "Sequence",
    "pretokenizers": [
        {"type": "Digits", "individual_digits": True},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    ],
}
SPACE_FIRST = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}


@pytest.mark.parametrize("name", [*STEPS, *ALWAYS_MERGED.values()])
def test_a_description_has_one_name(name: str) -> None:
    model = {"ignore_merges": takes_words_whole(name)}
    assert name_of({"pre_tokenizer": description_of(name), "model": model}) == name


def test_as_published() -> None:
    assert name_of({"pre_tokenizer": SMOLLM}) == "smollm"
    assert name_of({"pre_tokenizer": SMOLLM["pretokenizers"][1]}) == "gpt-2"


def test_removing_what_does_not_match_is_keeping_what_does() -> None:
    split, rest = description_of("qwen2")["pretokenizers"]
    other = split | {"behavior": "Removed", "invert": True}
    assert name_of({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [other, rest]}}) == "qwen2"
    wrong = split | {"behavior": "Removed"}
    with pytest.raises(JobError, match="cuts texts in a way that is not known here"):
        name_of({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [wrong, rest]}})


@pytest.mark.parametrize("described", [None, SPACE_FIRST, {"type": "Whitespace"}, {"type": "Digits"}])
def test_unknown_ones_get_a_sentence(described: dict[str, Any] | None) -> None:
    with pytest.raises(JobError, match=r"Give a model\.gguf instead"):
        name_of({"pre_tokenizer": described})


def test_unknown_names_get_a_sentence() -> None:
    with pytest.raises(JobError, match="cuts texts as 'falcon' does"):
        description_of("falcon")


def test_which_are_of_the_byte_level_kind() -> None:
    assert is_byte_level({"pre_tokenizer": SMOLLM})
    assert not is_byte_level({"pre_tokenizer": {"type": "Metaspace"}})
    assert not is_byte_level({"pre_tokenizer": None})

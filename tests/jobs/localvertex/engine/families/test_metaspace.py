import json
from collections import Counter
from typing import Any

import pytest

from jobs.localvertex.engine.families.metaspace import (
    Before,
    check_exact,
    describe_spaces,
    find_scores,
    is_sentencepiece,
    name_for,
    space_before,
)
from jobs.localvertex.engine.job import JobError
from tests.jobs.localvertex.engine.conftest import TUNE
from tests.jobs.localvertex.engine.sentencepiece import KINDS, RUNS, build

TEXTS = (TUNE / "train.jsonl").read_text().splitlines()
REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
PREPEND = {"type": "Prepend", "prepend": "▁"}


def build_stored(kind: str = "llama-2") -> dict[str, Any]:
    content: dict[str, Any] = json.loads(build(kind, TEXTS).to_str())
    return content


def metaspace(**changes: Any) -> dict[str, Any]:
    cut = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False} | changes
    return {"normalizer": None, "pre_tokenizer": cut}


def sequence(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"normalizer": {"type": "Sequence", "normalizers": list(steps)}, "pre_tokenizer": None}


def test_what_gets_a_space_before_it() -> None:
    given = [
        sequence(PREPEND, REPLACE), sequence(REPLACE, PREPEND), sequence(REPLACE),
        {"normalizer": REPLACE, "pre_tokenizer": None}, metaspace(), metaspace(prepend_scheme="never"),
    ]  # fmt: skip
    assert [space_before(one) for one in given] == ["each", "each", "none", "none", "first", "none"]
    assert [space_before(describe_spaces(before)) for before in (Before.EACH, Before.NONE)] == ["each", "none"]


@pytest.mark.parametrize(
    "described",
    [
        metaspace(prepend_scheme="always"),  # none before a text that begins with a space, where llama.cpp puts one
        metaspace(split=True),
        metaspace(replacement="_"),
        sequence({"type": "NFKC"}, PREPEND, REPLACE),
        sequence(PREPEND, REPLACE) | {"pre_tokenizer": {"type": "Digits", "individual_digits": True}},
        sequence(),
    ],
)
def test_other_ways_get_a_sentence(described: dict[str, Any]) -> None:
    with pytest.raises(JobError, match=r"treats spaces in a way that llama\.cpp does not.*Give a model\.gguf instead"):
        space_before(described)


@pytest.mark.parametrize("kind", KINDS)
def test_those_as_published_are_taken(kind: str) -> None:
    assert is_sentencepiece(build_stored(kind))
    check_exact(build_stored(kind))


def test_runs_of_spaces_have_one_score_and_all_others_their_own() -> None:
    content = build_stored()
    scores = find_scores(content["model"], [token["content"] for token in content["added_tokens"]])
    assert len({scores[run] for run in RUNS if len(run) > 2}) == 1  # of two there is one merge, after all of those
    others = [score for text, score in scores.items() if text not in RUNS]
    assert len(set(others)) == len(others)
    assert scores["▁the"] > scores[RUNS[0]] > scores["q"]


def without_bytes(content: dict[str, Any]) -> None:
    del content["model"]["vocab"]["<0x41>"]


def one_merge_less(content: dict[str, Any]) -> None:
    merges = content["model"]["merges"]
    merges.remove(next(merge for merge in merges if "".join(merge) == "▁the"))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (without_bytes, "it has no tokens for single bytes"),
        (one_merge_less, "its merges do not follow from scores"),
        (lambda content: content["model"].update(ignore_merges=True), "it takes words whole"),
        (lambda content: content["model"].update(dropout=0.1), "it drops merges at random"),
        (lambda content: content["added_tokens"][1].update(normalized=True), "are changed like text"),
        (lambda content: content["added_tokens"][1].update(lstrip=True), "white space in another way than Phi 3's"),
        (lambda content: content["added_tokens"][1].update(rstrip=True), "white space in another way than Phi 3's"),
        (lambda content: content["added_tokens"][1].update(single_word=True), "white space in another way"),
    ],
)
def test_what_llama_cpp_would_read_in_another_way_gets_a_sentence(change: Any, problem: str) -> None:
    content = build_stored()
    change(content)
    with pytest.raises(JobError, match=f"differs from SentencePiece's: .*{problem}"):
        check_exact(content)


def test_mixed_merges_are_refused_unless_of_runs() -> None:
    content = build_stored()
    merges = content["model"]["merges"]
    made = Counter(left + right for left, right in merges)
    of_runs = [number for number, merge in enumerate(merges) if not "".join(merge).strip("▁")]
    merges.append(merges.pop(of_runs[0]))
    check_exact(content)
    several = [
        number for number, (left, right) in enumerate(merges) if (left + right).strip("▁") and made[left + right] > 1
    ]
    merges.append(merges.pop(several[0]))
    with pytest.raises(JobError, match="its merges do not follow from scores"):
        check_exact(content)


def test_names_by_which_llama_cpp_strips() -> None:
    phi, other = build_stored("phi-3"), build_stored()
    assert [name_for(name, phi) for name in ("My model", "microsoft/Phi-3.5", "phi3")] == [
        "My model (Phi-3)", "microsoft/Phi-3.5", "phi3",
    ]  # fmt: skip
    assert [name_for(name, other) for name in ("Llama", "not-phi-3", "PHI3 rival")] == [
        "Llama", "not-Phi 3", "Phi 3 rival",
    ]  # fmt: skip

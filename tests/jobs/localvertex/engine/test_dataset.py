import json
from pathlib import Path

import pytest

from jobs.localvertex.engine.dataset import load_examples, statistics
from jobs.localvertex.engine.job import JobError
from jobs.localvertex.engine.talk import Turn
from jobs.localvertex.engine.tokens import IGNORED, ChatEncoder
from tests.jobs.localvertex.engine.conftest import TINY

TURNS = [
    Turn("system", "Be brief."),
    Turn("user", "What colour is snow?"),
    Turn("assistant", "Snow is white."),
    Turn("user", "Thank you"),
    Turn("assistant", "You are welcome."),
]


@pytest.fixture(scope="module")
def encoder() -> ChatEncoder:
    return ChatEncoder(TINY)


def write(path: Path, *rows: tuple[str, str]) -> Path:
    path.write_text("".join(json.dumps({"prompt": q, "completion": a}) + "\n" for q, a in rows))
    return path


def test_text_is_gemma_s(encoder: ChatEncoder) -> None:
    assert encoder.render(TURNS[:3]) == (
        "<bos><start_of_turn>user\nBe brief.\n\nWhat colour is snow?<end_of_turn>\n"
        "<start_of_turn>model\nSnow is white.<end_of_turn>\n"
    )


def test_every_answer_has_labels_and_nothing_else(encoder: ChatEncoder) -> None:
    (row,) = encoder.encode_all([TURNS])
    learned = encoder.tokenizer.decode([label for label in row.labels if label != IGNORED], skip_special_tokens=False)
    assert learned == "Snow is white.<end_of_turn>You are welcome.<end_of_turn>"
    assert all(label in (IGNORED, token) for token, label in zip(row.input_ids, row.labels, strict=True))


def test_training_starts_with_the_tokens_of_serving(encoder: ChatEncoder) -> None:
    (row,) = encoder.encode_all([TURNS])
    for answered in (2, 4):
        prompt = encoder.encode_prompt(TURNS[:answered])
        assert row.input_ids[: len(prompt)] == prompt
        assert row.labels[len(prompt) - 1] == IGNORED
        assert row.labels[len(prompt)] == row.input_ids[len(prompt)]


def test_answer_with_spaces_and_emoji_keeps_its_edges(encoder: ChatEncoder) -> None:
    (row,) = encoder.encode_all([[Turn("user", " Hi \n"), Turn("assistant", "\n Ahoy 🏴‍☠️ \n")]])
    learned = encoder.tokenizer.decode([label for label in row.labels if label != IGNORED], skip_special_tokens=False)
    assert learned == "Ahoy 🏴‍☠️<end_of_turn>"


def test_long_rows_are_cut_and_rows_without_answer_dropped(encoder: ChatEncoder, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", ("Hi", "Hello!"), ("Hi", "Hello! " * 50), ("Hi " * 50, "Hello!"))
    examples = load_examples(path, encoder, 30, "training data")
    stats = statistics(examples, None)
    assert [len(row.input_ids) < 30 for row in examples.rows] == [True, False]
    assert (stats["truncated"], stats["dropped"], stats["dropped_rows"], stats["examples"]) == ([1, 2], 1, [2], 2)
    assert stats["tokens"] == len(examples.rows[0].input_ids) + 30


def test_statistics_count_tokens_once(encoder: ChatEncoder, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", ("Hi", "Hello!"), ("Thank you", "You are welcome."))
    stats = statistics(load_examples(path, encoder, 100, "training data"), None)
    assert stats["tokens"] == sum(stats["input_tokens"]) + sum(stats["output_tokens"])
    assert stats["characters"] == len("HiHello!Thank youYou are welcome.")
    assert stats["messages"] == [2, 2]


def test_the_first_rows_are_shown_in_part(encoder: ChatEncoder, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", ("Hi " * 300, "Hello!"), *[("Thank you", "You are welcome.")] * 5)
    samples = statistics(load_examples(path, encoder, 2000, "training data"), None)["samples"]
    assert [sample["role"] for sample in samples] == ["user", "assistant"] * 3
    assert [len(sample["text"]) for sample in samples[:3]] == [400, 6, 9]


def test_no_answer_at_all_is_refused(encoder: ChatEncoder, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"messages": [{"role": "user", "content": "Hi"}]}\n')
    with pytest.raises(JobError, match="No row of the training data has an answer within the first 100 tokens"):
        load_examples(path, encoder, 100, "training data")

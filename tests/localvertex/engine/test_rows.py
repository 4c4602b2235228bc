import json
from pathlib import Path

import pytest

from jobs.localvertex.engine.job import JobError
from jobs.localvertex.engine.rows import Turn, parse_line, read_rows

USER_PART = [{"type": "text", "text": "Hi"}]
CONTENTS = [{"role": "user", "parts": [{"text": "H"}, {"text": "i"}]}, {"role": "model", "parts": [{"text": "Hello!"}]}]
ASKED = [Turn("user", "Hi"), Turn("assistant", "Hello!")]


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Hi", "completion": "Hello!"},
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]},
        {"messages": [{"role": "user", "content": USER_PART}, {"role": "model", "content": "Hello!"}]},
        {"contents": CONTENTS},
    ],
)
def test_three_formats_are_the_same_turns(row: object) -> None:
    assert parse_line(json.dumps(row)) == ASKED


def test_system_instruction_comes_first() -> None:
    row = {"systemInstruction": {"parts": [{"text": "Be brief."}]}, "contents": CONTENTS}
    assert parse_line(json.dumps(row)) == [Turn("system", "Be brief."), *ASKED]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"prompt": "Hi"', "not valid JSON"),
        ("[1]", "a row must be a JSON object"),
        ('{"text": "Hi"}', 'a row needs "prompt" and "completion"'),
        ('{"messages": "Hi"}', '"messages" must be a list of objects'),
        ('{"messages": [{"role": "tool", "content": "Hi"}]}', "the role 'tool' is not one of"),
        ('{"messages": [{"role": "assistant", "content": "Hi"}]}', "turns must alternate"),
        ('{"messages": []}', "turns must alternate"),
        ('{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}', "only text can be tuned here"),
        ('{"messages": [{"role": "user", "content": null}]}', "must be text or a list of parts"),
    ],
)
def test_bad_line_is_named(tmp_path: Path, line: str, problem: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "Hi", "completion": "Hello!"}\n\n' + line + "\n")
    with pytest.raises(JobError) as caught:
        read_rows(path, "training data")
    assert str(caught.value).startswith("Line 3 of the training data: ")
    assert problem in str(caught.value)


def test_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "Hi", "completion": "Hello!"}', encoding="utf-8-sig")
    assert read_rows(path, "training data") == [ASKED]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n\n", "The training data has no rows."),
        (b"\xff\xfe", "The training data is not UTF-8 text. Save it as UTF-8 and try again."),
    ],
)
def test_unreadable_file(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(JobError) as caught:
        read_rows(path, "training data")
    assert str(caught.value) == message

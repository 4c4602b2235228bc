import json

import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.tuning.row_templates import NAMED, apply_template, load_template, read_template

INSTRUCT = {
    "description": "With an input or without",
    "prompt_input": "Do: {task}\nWith: {input}\nAnswer: {output}",
    "prompt_no_input": "Do: {task}\nAnswer: {output}",
    "response_separator": "Answer:",
}


def rows(template, *lines, column="messages"):
    note = read_template(json.dumps(template).encode(), column, "gs://b/t.json")
    return [json.loads(row)["messages"] for row in load_template(note).rows(json.dumps(line) for line in lines)]


def said(*turns):
    return [{"role": role, "content": content} for role, content in zip(["user", "assistant"] * 9, turns, strict=False)]


def test_columns_with_and_without_an_input():
    with_input = {"task": "add", "input": "1 and 2", "output": "3"}
    without = {"task": "greet", "input": "", "output": "Hello {you}"}
    assert rows(INSTRUCT, with_input, without, column="input") == [
        said("Do: add\nWith: 1 and 2", "3"),
        said("Do: greet", "Hello {you}"),
    ]


def test_turns_by_separators():
    note = {**NAMED["openassistant-guanaco"], "column": "text"}
    text = "### Human: Hi### Assistant: Hello### Human: Bye### Assistant: So long"
    (row,) = load_template(note).rows(iter([json.dumps({"text": text})]))
    assert json.loads(row)["messages"] == said("Hi", "Hello", "Bye", "So long")


def test_messages_of_another_column():
    messages = said("Hi", "Hello")
    assert rows({"chat_template": "{{ messages }}"}, {"talk": messages}, column="talk") == [messages]


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ([], "is not a JSON object"),
        ({"prompt": "x"}, "unknown field 'prompt'"),
        ({"prompt_input": 5, "response_separator": "A"}, "must have texts only"),
        ({"description": "x"}, "either chat_template, or prompt_input"),
        ({"prompt_input": "{a}", "chat_template": "x", "response_separator": "A"}, "either chat_template"),
        ({"prompt_input": "{a}"}, "needs response_separator"),
        ({"prompt_input": "{a.__class__}", "response_separator": "A"}, "not as {a.__class__}"),
        ({"prompt_input": "{a!r}", "response_separator": "A"}, "as {column} only"),
        ({"prompt_input": "{a", "response_separator": "A"}, "cannot be read"),
    ],
)
def test_what_is_no_template(template, why):
    with pytest.raises(ApiError) as caught:
        rows(template)
    assert (caught.value.status, why in caught.value.message) == ("INVALID_ARGUMENT", True), caught.value.message


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("[]", "Line 2 of the dataset does not fit the template: a row must be a JSON object."),
        ("{", "Line 2 of the dataset does not fit the template: Expecting property name"),
        ('{"input": "x"}', "it has no column 'task'"),
        ('{"task": "x", "input": "y", "output": ""}', "no text follows 'Answer:'"),
    ],
)
def test_lines_that_do_not_fit(tmp_path, line, why):
    source, target = tmp_path / "raw.jsonl", tmp_path / "train.jsonl"
    source.write_text(f'{{"task": "a", "input": "b", "output": "c"}}\n{line}\n')
    note = read_template(json.dumps(INSTRUCT).encode(), "input", "t")
    with pytest.raises(ApiError) as caught:
        apply_template(note, source, target)
    assert (why in caught.value.message, target.exists()) == (True, False), caught.value.message


def test_a_file_is_made_once(tmp_path):
    source, target = tmp_path / "raw.jsonl", tmp_path / "train.jsonl"
    source.write_text('{"task": "a", "input": "b", "output": "c"}\n\n')
    note = read_template(json.dumps(INSTRUCT).encode(), "input", "t")
    apply_template(note, source, target)
    made = target.read_text()
    source.write_text("gone")
    apply_template(note, source, target)
    assert (target.read_text(), made.count("\n")) == (made, 1)

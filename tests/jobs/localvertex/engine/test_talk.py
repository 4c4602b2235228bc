"""Rows with tools, in OpenAI's form and in Gemini's, for a model whose chat template knows them."""

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.localvertex.engine.dataset import load_examples
from jobs.localvertex.engine.job import JobError
from jobs.localvertex.engine.rows import RowError, parse_line
from jobs.localvertex.engine.tokens import IGNORED, ChatEncoder
from tests.jobs.localvertex.engine.conftest import TINY

TEMPLATE = """{{- bos_token -}}
{%- for tool in tools or [] -%}<tool>{{ tool.function.name }}</tool>{%- endfor -%}
{%- for turn in messages -%}
{{- '<start_of_turn>' + turn.role + '\n' + turn.content -}}
{%- for call in turn.tool_calls or [] -%}<call>{{ call.function.name }} {{ call.function.arguments | tojson }}</call>{%- endfor -%}
{{- '<end_of_turn>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<start_of_turn>assistant\n' -}}{%- endif -%}"""  # noqa: E501
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"name": "get_weather", "description": "Tells the weather.", "parameters": PARAMETERS}
CALL: dict[str, Any] = {
    "type": "function",
    "id": "c1",
    "function": {"name": "get_weather", "arguments": '{"city": "Bern"}'},
}
OPENAI: dict[str, Any] = {
    "tools": [{"type": "function", "function": WEATHER}],
    "messages": [
        {"role": "user", "content": "Is it warm?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "name": "get_weather", "content": '{"degrees": 20}'},
        {"role": "assistant", "content": "Yes, 20 degrees."},
    ],
}
GEMINI: dict[str, Any] = {
    "tools": [{"functionDeclarations": [WEATHER]}],
    "contents": [
        {"role": "user", "parts": [{"text": "Is it warm?"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "get_weather", "args": {"city": "Bern"}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "get_weather", "response": {"degrees": 20}}}]},
        {"role": "model", "parts": [{"text": "Yes, 20 degrees."}]},
    ],
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The tiny one, with a chat template that knows tools."""
    folder = tmp_path / "model"
    folder.mkdir()
    for path in TINY.iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "chat_template.jinja").unlink()
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_both_forms_are_the_same_talk() -> None:
    assert parse_line(json.dumps(OPENAI)) == parse_line(json.dumps(GEMINI))
    assert parse_line(json.dumps(OPENAI)).tools == parse_line(json.dumps(GEMINI)).tools


@pytest.mark.parametrize("row", [OPENAI, GEMINI])
def test_the_model_is_told_the_tools_and_learns_the_call(row: object, model: Path, tmp_path: Path) -> None:
    encoder = ChatEncoder(model)
    examples = load_examples(write(tmp_path / "rows.jsonl", row), encoder, 512, "training data")
    [learned] = examples.rows
    whole = encoder.tokenizer.decode(learned.input_ids, skip_special_tokens=False)
    answers = [label for label in learned.labels if label != IGNORED]
    assert whole.startswith("<bos><tool>get_weather</tool>")
    assert encoder.tokenizer.decode(answers, skip_special_tokens=False) == (
        '<call>get_weather {"city": "Bern"}</call><end_of_turn>Yes, 20 degrees.<end_of_turn>'
    )


def test_a_model_that_knows_no_tools_refuses_them_by_line_and_field(tmp_path: Path) -> None:
    rows = write(tmp_path / "rows.jsonl", {"prompt": "Hi", "completion": "Hello"}, OPENAI)
    with pytest.raises(JobError, match=r"^Line 2 of the training data: tools: the chat template .* knows no tools"):
        load_examples(rows, ChatEncoder(TINY), 512, "training data")


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"role": "assistant", "tool_calls": [{"function": {"arguments": "{}"}}]}, "must name its function"),
        ({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}, "must be a JSON object"),
        ({"role": "assistant", "tool_calls": "f()"}, "must be a list of calls"),
        ({"role": "tool", "content": "20"}, "tools answer calls"),
    ],
)
def test_a_malformed_call_is_named(message: object, problem: str) -> None:
    with pytest.raises(RowError, match=problem):
        parse_line(json.dumps({"messages": [{"role": "user", "content": "Hi"}, message]}))

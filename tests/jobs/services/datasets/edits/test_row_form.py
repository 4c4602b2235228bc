import json
from typing import Any

import pytest

from jobs.services.datasets.edits import row_form
from jobs.services.datasets.rows import read_object

PICTURE = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
ROWS: list[dict[str, Any]] = [
    {"prompt": "Ahoy?\r\nYes", "completion": "Aye", "id": 7},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}, {"role": "assistant", "content": "b"}]},
    {
        "systemInstruction": {"parts": [{"text": "s"}]},
        "contents": [{"role": "user", "parts": [PICTURE, {"text": "a"}]}, {"role": "model", "parts": [{"text": "b"}]}],
    },
    {"messages": [{"role": "boss", "content": 3}, {"content": None}]},
]


def names(value):
    return [one.name for turn in row_form.turns_of(value) for one in turn.texts]


@pytest.mark.parametrize("value", ROWS)
def test_a_form_that_is_sent_back_as_it_is_changes_nothing(value):
    sent = {one.name: one.text.replace("\n", "\r\n") for turn in row_form.turns_of(value) for one in turn.texts}
    assert row_form.with_texts(value, sent) == value


@pytest.mark.parametrize("value", ROWS)
def test_each_text_is_changed_where_it_stands_and_nothing_else(value):
    for name in names(value):
        made = row_form.with_texts(value, {name: "Other\r\ntext"})
        assert json.dumps(made).count('"Other\\ntext"') == 1
        assert row_form.with_texts(made, {name: "Other\ntext"}) == made


def test_pictures_are_shown_and_stay():
    turns = row_form.turns_of(ROWS[2])
    assert [len(turn.pictures) for turn in turns] == [0, 1, 0]
    assert row_form.with_texts(ROWS[2], {"contents[0].parts[1].text": "new"})["contents"][0]["parts"][0] == PICTURE


@pytest.mark.parametrize("kind", ["prompt", "messages", "contents", ""])
def test_an_empty_row_is_filled_into_a_good_one(kind):
    value = row_form.empty_row(kind)
    for change in (row_form.ADD_SYSTEM, row_form.ADD_TURN, row_form.ADD_TURN):
        value = row_form.change_turns(value, change)
    row, complaints = read_object(row_form.with_texts(value, dict.fromkeys(names(value), "Words")))
    assert (len(row.turns), complaints) == (2 if kind == "prompt" else 5, [])


def test_what_was_sent_beside_the_fields_of_the_row_is_not_looked_at():
    sent = {"messages[9].content": "x", "messages[0].tools": "x", "__class__": "x", "": "x", "id": "x"}
    assert row_form.with_texts(ROWS[1], sent) == ROWS[1]


def test_json_of_several_lines_becomes_one_and_one_line_stays_as_typed():
    assert (
        row_form.line_of('{\r\n "prompt": "é",\n "completion": "b"}') == '{"prompt": "é", "completion": "b"}'.encode()
    )
    assert row_form.line_of(' {"prompt":1.0} ') == b'{"prompt":1.0}'
    assert row_form.line_of("{\nnot json") == b"{ not json"
    assert row_form.line_of('{"a": "\\ud800",\n"b": 1}') == b'{"a": "\\ud800", "b": 1}'

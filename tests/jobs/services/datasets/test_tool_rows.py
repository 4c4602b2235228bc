import json

import pytest

from jobs.services.datasets.preview import turns_of
from jobs.services.datasets.rows import parse
from tests.jobs.localvertex.engine.test_talk import CALL, GEMINI, OPENAI


@pytest.mark.parametrize("row", [OPENAI, GEMINI])
def test_rows_with_tools_are_rows(row):
    found, complaints = parse(json.dumps(row))
    assert complaints == []
    assert [role for role, _text in found.turns] == ["user", "assistant", "tool", "assistant"]
    assert found.turns[1][1] == 'get_weather({"city": "Bern"})'


@pytest.mark.parametrize("row", [OPENAI, GEMINI])
def test_the_page_of_rows_shows_the_call_and_its_answer(row):
    shown = [turn.text for turn in turns_of(row)]
    assert shown[1].strip() == 'get_weather({"city": "Bern"})'
    assert "20" in shown[2]


def with_call(**function):
    call = CALL | {"function": CALL["function"] | function}
    return OPENAI | {"messages": [OPENAI["messages"][0], {"role": "assistant", "tool_calls": [call]}]}


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (with_call(arguments="{"), "messages[1].tool_calls[0].function.arguments"),
        (with_call(name="not a name"), "messages[1].tool_calls[0].function"),
        (OPENAI | {"tools": "weather"}, "tools"),
        (OPENAI | {"tools": [{"type": "function"}]}, "tools[0].function"),
        (GEMINI | {"tools": [{"functionDeclarations": [{"name": "f", "parameters": 3}]}]},
         "tools[0].functionDeclarations[0].parameters"),
        (OPENAI | {"messages": OPENAI["messages"][:3]}, "messages"),
        (OPENAI | {"messages": [OPENAI["messages"][2], OPENAI["messages"][3]]}, "messages[0].role"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(row, field):
    _found, complaints = parse(json.dumps(row))
    assert [complaint.field for complaint in complaints] == [field]

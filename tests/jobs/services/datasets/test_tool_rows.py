import io
import json

import pytest

from jobs.services.datasets import datasets
from jobs.services.datasets.preview import turns_of
from jobs.services.datasets.rows import parse
from tests.jobs.localvertex.engine.test_talk import CALL, GEMINI, OPENAI
from tests.support import factories


@pytest.mark.parametrize("row", [OPENAI, GEMINI])
def test_rows_with_tools_are_rows(row):
    found, complaints = parse(json.dumps(row))
    assert complaints == []
    assert [role for role, _text in found.turns] == ["user", "assistant", "tool", "assistant"]
    assert found.turns[1][1] == 'get_weather({"city": "Bern"})'


def test_what_uses_tools_is_known():
    plain = [{"role": "user", "content": "Is it warm?"}, {"role": "assistant", "content": "No."}]
    told = {
        "calls": {"messages": OPENAI["messages"]},
        "offers": {"messages": plain, "tools": OPENAI["tools"]},
        "gemini": {"contents": GEMINI["contents"]},
        "no tools": {"messages": plain, "tools": []},
        "plain": {"prompt": "Is it warm?", "completion": "No."},
    }
    found = {name: row.uses_tools for name, given in told.items() if (row := parse(json.dumps(given))[0])}
    assert found == {"calls": True, "offers": True, "gemini": True, "no tools": False, "plain": False}


@pytest.mark.parametrize("row", [OPENAI, GEMINI])
def test_the_page_of_rows_shows_the_call_and_its_answer(row):
    shown = [turn.text for turn in turns_of(row)]
    assert shown[1].strip() == 'get_weather({"city": "Bern"})'
    assert "20" in shown[2]


@pytest.mark.django_db
def test_a_dataset_counts_the_rows_with_tools():
    rows = [OPENAI, {"prompt": "Is it warm?", "completion": "No."}, GEMINI]
    counted = []
    for number, some in enumerate((rows, rows[1:2])):
        file = io.BytesIO("\n".join(map(json.dumps, some)).encode())
        made = datasets.create(factories.owner(), file=file, file_name=f"{number}.jsonl")
        counted.append(made.stats.get("tool_rows"))
    assert counted == [2, None]


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

import io
import json

import pytest

from jobs import errors
from jobs.models import Dataset
from jobs.services.datasets import datasets, derive as making
from jobs.services.datasets.shape import elements, shape_of
from jobs.services.datasets.table import Columns
from tests.support.stored import path_of

pytestmark = pytest.mark.django_db
HELLO = {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ahoy"}]}
TALK = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ahoy"}]}
PAIR = {"prompt": "Hi", "completion": "Ahoy"}


def stored(owner, content, name="rows.json"):
    data = content if isinstance(content, bytes) else content.encode()
    return datasets.create(owner, file=io.BytesIO(data), file_name=name)


def rows_of(dataset):
    return [json.loads(line) for line in path_of(dataset).read_text().splitlines()]


def converted(dataset, columns=None, *, leave_out=False):
    return making.convert(dataset, name="New", columns=columns, leave_out=leave_out)


@pytest.mark.parametrize(
    ("content", "name", "shape"),
    [
        (json.dumps(PAIR), "a.jsonl", ""),
        ("hello", "a.jsonl", ""),
        (json.dumps(HELLO), "a.jsonl", "sharegpt"),
        (json.dumps([HELLO], indent=1), "a.json", "sharegpt"),
        ("\ufeff" + json.dumps([HELLO]), "a.json", "sharegpt"),
        ('{"instruction": "a", "output": "b"}', "a.jsonl", "alpaca"),
        ('{"instruction": "a"}', "a.jsonl", ""),
        (json.dumps([PAIR]), "a.json", "list"),
        (json.dumps(PAIR, indent=1) + "\n" + json.dumps(PAIR, indent=1), "a.json", "list"),
        ("[1, 2]", "a.json", ""),
        ("question,answer\na,b", "a.txt", "table"),
        ("frage;antwort\na;b", "a.csv", "table"),
        ("frage;antwort\na;b", "a.txt", ""),
    ],
)
def test_what_a_file_looks_like(content, name, shape):
    assert shape_of(io.BytesIO(content.encode()), name) == shape


@pytest.mark.parametrize(
    ("content", "name", "row"),
    [
        (json.dumps(HELLO), "a.jsonl", TALK),
        (json.dumps([HELLO], indent=2), "a.json", TALK),
        (json.dumps([PAIR]), "a.json", PAIR),
        (json.dumps({"instruction": "Hi", "input": "", "output": "Ahoy"}), "a.jsonl", PAIR),
        (
            json.dumps({"instruction": "Sum up", "input": "A text", "output": "b"}), "a.jsonl",
            {"prompt": "Sum up\n\nA text", "completion": "b"},
        ),
        ("question,answer\nHi,Ahoy\n", "a.csv", PAIR),
        ("answer\tquestion\r\nAhoy\tHi\r\n", "a.tsv", PAIR),
        ("\ufefffrage;antwort\nHi;Ahoy\n", "a.csv", PAIR),
        ('prompt,answer\n"a, ""b""\nc",d\n', "a.csv", {"prompt": 'a, "b"\nc', "completion": "d"}),
        (
            "system,prompt,answer\nBe short,Hi,Ahoy\n", "a.csv",
            {"messages": [{"role": "system", "content": "Be short"}, *TALK["messages"]]},
        ),
    ],
)  # fmt: skip
def test_a_row_is_converted(owner, content, name, row):
    made = converted(stored(owner, content, name)).made
    assert (rows_of(made), made.is_usable, made.shape) == ([row], True, "")


def turns(*pairs, **extra):
    return json.dumps(extra | {"conversations": [{"from": who, "value": text} for who, text in pairs]})


@pytest.mark.parametrize(
    ("line", "field", "sentence"),
    [
        (turns(("human", "a"), ("tool", "b")), "conversations[1].from", "The speaker tool can't be converted."),
        (turns(("human", "a"), (None, "b")), "conversations[1].from", "The speaker is missing."),
        (turns(("human", "a"), ("gpt", "")), "conversations[1].value", "The text is empty."),
        (turns(("human", "a"), ("gpt", ""), system="S"), "conversations[1].value", "The text is empty."),
        (turns(("gpt", "a")), "conversations[0].from", "Expected user here, found assistant."),
        (turns(("human", "a")), "conversations", "The last turn is not from assistant."),
        ('{"conversations": []}', "conversations", "This is not a list of turns."),
        ('{"conversations": ["a"]}', "conversations[0]", "This is not a turn."),
        ('{"conversations"', "", "The line is not JSON: Expecting ':' delimiter at character 17."),
    ],
)
def test_a_problem_is_named_by_the_field_of_the_file(owner, line, field, sentence):
    dataset = stored(owner, f"{json.dumps(HELLO)}\n{line}\n")
    problem = dataset.problems[0]
    assert (problem["line"], problem["field"], problem["problem"]) == (2, field, sentence)
    assert dataset.stats == {"rows": 2, "convertible": 1}


def test_a_problem_of_a_table_is_named_by_its_column(owner):
    dataset = stored(owner, 'prompt,answer\n"a\nb",c\nd,\ne\n', "a.csv")
    found = [(problem["line"], problem["field"], problem["problem"]) for problem in datasets.problems_jsonl(dataset)]
    assert found == [(4, "answer", "The text is empty."), (5, "answer", "The row ends before this column.")]


def test_bad_rows_stop_a_conversion_until_they_may_be_left_out(owner):
    dataset = stored(owner, json.dumps([HELLO, {"conversations": 3}]))
    refused = converted(dataset)
    assert (refused.made, refused.good, refused.bad, refused.problems[0]["field"]) == (None, 1, 1, "conversations")
    made = converted(dataset, leave_out=True).made
    assert made.notes == [
        "Converted from rows.json (ShareGPT).", "1 row could not be converted and was left out.",
    ]  # fmt: skip
    assert (made.made_from, made.valid_rows, Dataset.objects.count()) == (dataset, 1, 2)


def test_columns_can_be_chosen_and_the_original_stays(owner):
    dataset = stored(owner, "x;y;z\n1;2;3\n", "a.csv")
    assert (dataset.is_usable, dataset.invalid_rows, path_of(dataset).suffix) == (False, 1, ".source")
    made = converted(dataset, Columns(2, 0, 1, has_header=False)).made
    assert [row["messages"][1]["content"] for row in rows_of(made)] == ["z", "3"]
    assert path_of(dataset).read_text() == "x;y;z\n1;2;3\n"


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ("a,b\n1,2".encode("utf-16"), "The file is in UTF-16. Save it as UTF-8, then try again."),
        (
            "a,b\n1,2".encode("utf-16-le"),
            "The file is not text, or it is in UTF-16. Save it as UTF-8, then try again.",
        ),
        (
            b"prompt,answer\na,caf\xe9\n",
            "The file is not UTF-8: line 2, byte 6 of it, is 0xE9. Save it as UTF-8, then try again.",
        ),
        (b"prompt,answer\n", "The file has no rows below its first line. Add rows, then try again."),
        (
            b'prompt,answer\na,"' + (b"x" * 999 + b"\n") * 5000,
            "The row that begins in line 2 does not end within 4 MB. Close the double quote that is open there, "
            "or shorten the row, then try again.",
        ),
        (
            b"bad\n" * 40_000,
            "Most of the first 15000 rows have problems, so the rest was not read. The first is in line 1: The line "
            "is not JSON: Expecting value at character 1. Write one JSON object per line, with double quotes "
            "around strings.",
        ),
    ],
)
def test_a_hostile_file_is_refused_with_a_sentence(owner, raw, sentence):
    with pytest.raises(errors.DatasetRejected) as caught:
        stored(owner, raw, "a.jsonl" if raw.startswith(b"bad") else "a.csv")
    assert (str(caught.value), Dataset.objects.count()) == (sentence, 0)


def test_objects_are_found_across_any_chunk():
    values = [{"a": 'x"y\\'}, {"b": [{"c": "}{"}]}, {"d": "\n"}]
    found = list(elements(io.BytesIO(json.dumps(values, indent=1).encode()), chunk_size=7))
    assert [json.loads(line.data) for line in found] == values
    assert [line.number for line in found] == [2, 5, 12]


def test_an_endless_object_is_cut_and_the_next_one_is_read():
    text = '[{"a": "' + "x" * 200 + '\\"}"},\n{"b": 1}]'
    found = list(elements(io.BytesIO(text.encode()), chunk_size=16, longest=50))
    assert [(line.number, line.data, line.too_long) for line in found] == [(1, b"", True), (2, b'{"b": 1}', False)]

import json

import pytest

from jobs.vertex.machine import Memory, TrainingMemory
from jobs.vertex.memory import parse_memory

MODE = {"fixed": 1, "rank": 2, "saving": 3, "step": 4, "answer": 5, "rows": {"16": 6, "8": 7}}
TOLD = {"free": 10, "room": 20, "contexts": {"8192": 30}, "training": {"batch": 4, "modes": {"FULL": MODE}}}


def test_what_the_local_server_tells():
    full = TrainingMemory(fixed=1, rank=2, saving=3, step=4, answer=5, rows={8: 7, 16: 6})
    assert parse_memory(json.dumps(TOLD)) == Memory(10, 20, {8192: 30}, 4, {"FULL": full})


def test_what_each_precision_takes():
    found = parse_memory(json.dumps(TOLD | {"precisions": {"q8_0": {"8192": 30, "512": 7}}}))
    assert found.precisions == {"q8_0": {512: 7, 8192: 30}}


def test_a_model_that_is_not_tuned():
    for training in ("", ', "training": null', ', "training": []'):
        assert parse_memory(f'{{"free": 10, "room": 20{training}}}') == Memory(10, 20, {}, 1, {})


@pytest.mark.parametrize(
    "changes",
    [
        {"free": None},
        {"free": -1},
        {"free": True},
        {"room": "much"},
        {"room": 2**61},
        {"contexts": {"many": 1}},
        {"contexts": [1]},
        {"contexts": {str(number): 1 for number in range(50)}},
        {"precisions": {"q8_0": {"512": -1}}},
        {"precisions": {"q8_0": 7}},
        {"training": {"batch": 0.5}},
        {"training": {"modes": {"FULL": {"fixed": 1}}}},
    ],
)
def test_nonsense_tells_nothing(changes):
    assert parse_memory(json.dumps(TOLD | changes)) is None


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "7", "{}", "[" * 100_000])
def test_no_facts(text):
    assert parse_memory(text) is None

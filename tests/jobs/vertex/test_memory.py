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


def test_cards_and_rows_with_images():
    seen = MODE | {"padded": True, "mask": 8, "even_mask": 9, "shown": 10, "image": 11, "image_tokens": 18}
    seen |= {"card": "NVIDIA\0 L4", "free": 12, "too_small": "T4"}
    told = TOLD | {"cards": ["NVIDIA L4"] * 20, "room_on_cards": 7}
    found = parse_memory(json.dumps(told | {"training": {"with_images": {"FULL": seen}}}))
    assert found.with_images == {
        "FULL": TrainingMemory(
            fixed=1, rank=2, saving=3, step=4, answer=5, rows={8: 7, 16: 6}, padded=True, mask=8, even_mask=9,
            shown=10, image=11, image_tokens=18, card="NVIDIA\N{REPLACEMENT CHARACTER} L4", free=12,
            too_small="T4",
        )
    }  # fmt: skip
    assert (found.modes, found.cards, found.room_on_cards) == ({}, ("NVIDIA L4",) * 16, 7)


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
        {"training": {"batch": 0}},
        {"training": {"modes": {"FULL": MODE | {"rows": {"0": 6}}}}},
        {"training": {"modes": {"FULL": {"fixed": 1}}}},
        {"training": {"with_images": {"FULL": {"fixed": 1}}}},
        {"training": {"modes": {"FULL": MODE | {"mask": -1}}}},
        {"training": {"modes": {"FULL": MODE | {"card": 7}}}},
        {"cards": 7},
        {"cards": [{}]},
        {"room_on_cards": "much"},
    ],
)
def test_nonsense_tells_nothing(changes):
    assert parse_memory(json.dumps(TOLD | changes)) is None


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "7", "{}", "[" * 100_000])
def test_no_facts(text):
    assert parse_memory(text) is None

"""The table that is told gives what the estimate does, wherever the training takes place."""

import json
from dataclasses import replace

import pytest

from jobs.localvertex.devices.machine import CUDA, MPS, Card, Machine
from jobs.localvertex.memory.facts import describe_training
from jobs.localvertex.memory.fit import MARGIN
from jobs.localvertex.memory.shape import Shape
from jobs.localvertex.memory.training import Method, Row, Training
from tests.jobs.localvertex.engine.conftest import TINY, TINY_VISION

GB = 10**9
L4 = Card("GPU-a", "NVIDIA L4", 24 * GB, 22 * GB, (8, 9))
NOTHING, ONE_CARD = Machine(), Machine((L4,), torch=CUDA, cuda=(13, 0))
TEXT, SEEING = Shape.read(TINY), Shape.read(TINY_VISION)


def tell(shape, machine=NOTHING, free=8 * GB):
    return json.loads(json.dumps(describe_training(shape, 4, 300, machine, free)))


def test_the_table_gives_what_the_estimate_does():
    told = tell(TEXT)
    assert (told["batch"], list(told["modes"]), "with_images" in told) == (4, ["PEFT_ADAPTER", "FULL"], False)
    mode = told["modes"]["FULL"]
    assert list(mode["rows"]) == ["16", "64", "128", "256", "300"]
    step = mode["step"] + 2 * (mode["rows"]["300"] + 100 * mode["answer"])
    whole = Training(TEXT, Method("FULL")).peak([Row(300, 100)] * 2, 2) * MARGIN
    assert abs(mode["fixed"] + max(mode["saving"], step) - whole) < 1000
    assert (mode["rank"], mode["padded"], "card" in mode) == (0, False, False)


def test_rows_with_images_have_a_table_of_their_own():
    told = tell(SEEING)
    plain, seen = told["modes"]["PEFT_ADAPTER"], told["with_images"]["PEFT_ADAPTER"]
    assert (plain["padded"], seen["padded"], "image" in plain) == (False, True, False)
    step = seen["step"] + 2 * (seen["rows"]["300"] + 100 * seen["answer"] + (300 / 1024) ** 2 * seen["even_mask"])
    step = 6 * seen["shown"] + max(6 * seen["image"], step)
    training = Training(SEEING, Method("PEFT_ADAPTER", rank=0, is_plain=False))
    whole = training.peak([Row(300, 100, images=3)] * 2, 2) * MARGIN
    assert abs(seen["fixed"] + step - whole) < 1000


def test_a_card_is_named_with_what_is_free_there():
    mode = tell(TEXT, ONE_CARD)["modes"]["PEFT_ADAPTER"]
    assert (mode["card"], mode["free"], mode["padded"]) == ("NVIDIA L4", 22 * GB, True)
    assert mode["fixed"] < tell(TEXT)["modes"]["PEFT_ADAPTER"]["fixed"] + 600 * 2**20


def test_a_mode_that_no_card_has_room_for_is_told_as_the_cpu_trains_it():
    small = replace(ONE_CARD, cards=(replace(L4, free=640 * 2**20),))
    large = replace(TEXT, parameters=40_000_000)
    assert {mode: "card" in one for mode, one in tell(large, small)["modes"].items()} == {
        "PEFT_ADAPTER": False, "FULL": False,
    }  # fmt: skip
    some = replace(ONE_CARD, cards=(replace(L4, free=800 * 2**20),))
    assert {mode: "card" in one for mode, one in tell(large, some)["modes"].items()} == {
        "PEFT_ADAPTER": True, "FULL": False,
    }  # fmt: skip
    on_cpu, plain = tell(large, some)["modes"]["FULL"], tell(large)["modes"]["FULL"]
    assert on_cpu == plain | {"too_small": "NVIDIA L4"}


@pytest.mark.parametrize(
    ("machine", "free"), [(NOTHING, None), (Machine(torch=MPS, has_apple_gpu=True, macos=(15, 1)), 8 * GB)]
)
def test_what_nobody_knows_is_not_told(machine, free):
    assert tell(TEXT, machine, free) == {"batch": 4, "modes": {}}

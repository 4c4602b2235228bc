"""What the console says of memory is what the local server decides, on machines as they are described here."""

import json
import re
from dataclasses import asdict, replace
from functools import partial

import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.devices.choice import memory_for_serving
from jobs.localvertex.devices.machine import CUDA, Card, Machine
from jobs.localvertex.memory.facts import describe_training
from jobs.localvertex.memory.fit import why_not_train_on
from jobs.localvertex.memory.placing import choose_by_size, free_with_cards
from jobs.localvertex.memory.shape import Shape
from jobs.localvertex.memory.training import Method, Row
from jobs.localvertex.resources.models.actions import describe_room
from jobs.localvertex.serving.pool import Serving
from jobs.models import PublisherModel
from jobs.services.costs import memory
from jobs.vertex.memory import parse_memory
from tests.support import factories
from tests.support.factories import BASE_MODEL, NOW

pytestmark = pytest.mark.django_db
GB = 10**9
L4 = Card("GPU-a", "NVIDIA L4", 24 * GB, 22 * GB, (8, 9))
SMALL = Card("GPU-b", "NVIDIA GeForce RTX 3070", 8 * GB, 7 * GB, (8, 6))
OLD = Card("GPU-c", "Tesla T4", 16 * GB, 15 * GB, (7, 5))
ON_CPU = Machine()
ONE = Machine((L4,), torch=CUDA, cuda=(13, 0), llama=CUDA)
MACHINES = {
    "CPU": ON_CPU,
    "one card": ONE,
    "flash attention": replace(ONE, has_flash_attention=True),
    "two cards": replace(ONE, cards=(SMALL, L4)),
    "two of a kind": replace(ONE, cards=(L4, replace(L4, id="GPU-d"))),
    "without bf16": replace(ONE, cards=(OLD,)),
    "too small": replace(ONE, cards=(SMALL,)),
    "busy": replace(ONE, cards=(replace(L4, free=GB),)),
    "not for CUDA": Machine((L4,)),
}
FREE = 20 * GB  # of the machine
SHAPES = {
    "SmolLM2 135M": Shape("llama", 30, 0, 0, 576, 1536, 9, 3, 64, 49_152, 134_515_008),
    "Llama 8B": Shape("llama", 32, 0, 0, 4096, 14_336, 32, 8, 128, 128_256, 8_030_261_248),
    "Gemma 3 4B": Shape(
        "gemma3", 34, 29, 1024, 2560, 10_240, 8, 4, 256, 262_208, 4_300_079_472, 419_825_392,
        side=896, patch=14, tower_width=1152, tower_inner=4304, image_tokens=258,
    ),
}  # fmt: skip
MODES = ("PEFT_ADAPTER", "FULL")
# Tokens and images of the longest rows.
ROWS = {
    "short": [(64, 0)] * 40,
    "one long": [(2048, 0), *[(128, 0)] * 39],
    "long": [(length, 0) for length in range(2048, 1008, -32)],
    "images": [(800, 3), (400, 1), *[(300, 1)] * 38],
}


@pytest.fixture(autouse=True)
def on_this_computer(settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:9"


def tell(**told):
    found = parse_memory(json.dumps({"free": FREE, "room": 0} | told))
    data = {"memory": asdict(found) | {"told_at": NOW.isoformat()}}
    PublisherModel.objects.update_or_create(name=BASE_MODEL, defaults={"fetched_at": NOW, "data": data})


def describe_rows(rows):
    images = sum(count for _length, count in rows)
    stats = {
        "longest": rows[0][0],
        "answer_share": 50,
        "longest_rows": [[length - 258 * count, count] for length, count in rows[:32]],
    }
    return factories.dataset(valid_rows=len(rows), stats=stats, image_count=images)


def read_batch(reason, asked):
    """Of the server's answer: what it asks for instead."""
    found = re.search(r"A batch_size of (\d+) fits", reason)
    return int(found[1]) if found else 0 if reason else asked


@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("name", MACHINES)
def test_a_training_fits_where_the_server_trains_it(name, kind):
    machine, rows = MACHINES[name], [Row(length, length // 2, images) for length, images in ROWS[kind]]
    dataset, answers, decisions = describe_rows(ROWS[kind]), [], []
    for shape in SHAPES.values():
        if kind == "images" and not shape.side:
            continue
        tell(training=describe_training(shape, 4, 8192, machine, FREE))
        for mode in MODES:
            on = choose_by_size(shape.parameters, mode, None, machine)
            method = Method(mode, 16, is_plain=kind != "images")
            for batch in (1, 4, 16):
                fit = memory.of_training(dataset, BASE_MODEL, mode, 16, batch)
                answers.append((batch if fit.fits else fit.smaller, fit.place))
                reason = why_not_train_on(on, shape, method, rows, batch, FREE)
                decisions.append((read_batch(reason, batch), on.card.name if on.card else ""))
    assert answers == decisions
    assert len(set(answers)) > 1


def test_the_sentence_names_the_card():
    tell(training=describe_training(SHAPES["Llama 8B"], 4, 8192, ONE, FREE))
    dataset = describe_rows(ROWS["short"])
    assert memory.of_training(dataset, BASE_MODEL, "PEFT_ADAPTER", 16, 1).sentence == (
        "Fits: needs about 19.2 GB of the memory of NVIDIA L4, and 22.0 GB are free."
    )
    long = describe_rows(ROWS["long"])
    assert memory.of_training(long, BASE_MODEL, "PEFT_ADAPTER", 16, 16).sentence == (
        "Doesn't fit: needs about 61.4 GB of the memory of NVIDIA L4, and 22.0 GB are free. It fits with a batch size"
        " of 1."
    )


def test_a_card_that_is_too_small_is_named():
    shape = SHAPES["Gemma 3 4B"]
    tell(training=describe_training(shape, 4, 8192, MACHINES["too small"], FREE))
    fit = memory.of_training(describe_rows(ROWS["short"]), BASE_MODEL, "PEFT_ADAPTER", 16, 1)
    assert (fit.place, fit.sentence) == (
        "",
        "Fits: needs about 11.0 GB of memory, and 20.0 GB are free. NVIDIA GeForce RTX 3070 has too little free memory,"
        " so the CPU trains, which is slower.",
    )


def needs_of(gigabytes):
    return {8192 >> times: round(gigabytes * GB * (1 - times / 10)) for times in range(4)}


@pytest.mark.parametrize("name", MACHINES)
def test_a_deployment_fits_where_the_server_serves_it(name, tmp_path):
    machine = MACHINES[name]
    free = partial(free_with_cards, lambda: machine, lambda: FREE)
    serving = Serving(tmp_path, budget=12 * GB + memory_for_serving(machine), free_memory=free)
    answers, decisions = [], []
    for gigabytes in (0.5, 3, 6, 9, 11, 12.5, 13, 19, 21, 23, 25, 27, 30, 33, 36, 40, 43, 50, 58, 70):
        needs = needs_of(gigabytes)
        tell(contexts=needs, **describe_room(serving, machine))
        fit = memory.of_deployment(BASE_MODEL)
        answers.append((fit.fits, fit.smaller if not fit.fits else 0))
        try:
            serving.require_room(needs, "It")
            decisions.append((True, 0))
        except ApiError as error:
            found = re.search(r"A context of (\d+) tokens fits", str(error))
            decisions.append((False, int(found[1]) if found else 0))
    assert answers == decisions
    assert {fits for fits, _smaller in answers} == {True, False}


def say_deployment(machine, gigabytes, tmp_path):
    free = partial(free_with_cards, lambda: machine, lambda: FREE)
    serving = Serving(tmp_path, budget=12 * GB + memory_for_serving(machine), free_memory=free)
    tell(contexts=needs_of(gigabytes), **describe_room(serving, machine))
    return memory.of_deployment(BASE_MODEL).sentence


@pytest.mark.parametrize(
    ("name", "gigabytes", "sentence"),
    [
        ("CPU", 9, "Fits: needs about 9.0 GB of memory, and 12.0 GB are free."),
        ("not for CUDA", 9, "Fits: needs about 9.0 GB of memory, and 12.0 GB are free."),
        ("one card", 9, "Fits: needs about 9.0 GB of the memory of NVIDIA L4, and 20.3 GB are free."),
        ("two of a kind", 39, "Fits: needs about 39.0 GB of the memory of 2 × NVIDIA L4, and 40.6 GB are free."),
        (
            "two cards",
            26,
            "Fits, but not on the GPU alone: needs about 26.0 GB of memory, and 25.6 GB are free on"
            " NVIDIA GeForce RTX 3070, NVIDIA L4. The CPU computes the rest, which is slower.",
        ),
        (
            "one card",
            39,
            "Doesn't fit: needs about 39.0 GB of memory. On NVIDIA L4, 20.3 GB are free, and 15.1 GB for what the CPU"
            " computes. It fits with a context of 4096 tokens.",
        ),
        (
            "busy",
            40,
            "Doesn't fit: needs about 40.0 GB of memory. On NVIDIA L4, 0 MB are free, and 20.0 GB for what the CPU"
            " computes. Undeploy another model, close other programs, or choose a smaller model.",
        ),
    ],
)
def test_the_sentence_names_the_cards_that_serve(name, gigabytes, sentence, tmp_path):
    assert say_deployment(MACHINES[name], gigabytes, tmp_path) == sentence

"""Whether something fits, by what the server that does it tells of itself."""

import json
from dataclasses import asdict, replace
from datetime import timedelta

import pytest

from jobs.localvertex.devices.machine import Machine
from jobs.localvertex.memory.facts import describe_training
from jobs.localvertex.memory.fit import MARGIN
from jobs.localvertex.memory.shape import Shape
from jobs.localvertex.memory.training import Method, Row, Training
from jobs.models import PublisherModel
from jobs.services.costs import memory
from jobs.services.costs.memory import Fit
from jobs.vertex.errors import Unavailable
from jobs.vertex.machine import Memory, TrainingMemory
from jobs.vertex.memory import parse_memory
from tests.support import factories
from tests.support.factories import BASE_MODEL, NOW

pytestmark = pytest.mark.django_db
ROW = TrainingMemory(fixed=1000, rank=10, saving=50, step=20, answer=1, rows={16: 160, 64: 320})
TOLD = Memory(free=2000, room=500, contexts={512: 300, 1024: 600, 2048: 900}, batch=4, modes={"PEFT_ADAPTER": ROW})
SMALL = Shape(
    model_type="llama", layers=30, near=0, window=0, width=576, inner=1536, heads=9, kv_heads=3, head=64,
    vocabulary=49152, parameters=134_515_008,
)  # fmt: skip


@pytest.fixture(autouse=True)
def on_this_computer(settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:9"


def tell(told=TOLD):
    PublisherModel.objects.create(
        name=BASE_MODEL, fetched_at=NOW, data={"memory": asdict(told) | {"told_at": NOW.isoformat()}}
    )


def fit(longest=40, batch_size=None, mode="PEFT_ADAPTER", **changes):
    stats = {"longest": longest, "answer_share": 50}
    dataset = factories.dataset(valid_rows=100, stats=stats)
    return memory.of_training(dataset, BASE_MODEL, mode, 8, batch_size, **changes)


def test_nobody_tells():
    assert (fit(), memory.of_deployment(BASE_MODEL)) == (None, None)
    tell()
    assert fit(mode="FULL") is None
    assert fit(longest=0) is None


@pytest.mark.parametrize(("longest", "of_row"), [(16, 160), (40, 240), (64, 320), (128, 640), (4, 40)])
def test_rows_of_lengths_in_between(longest, of_row):
    tell()
    assert fit(longest, 1).needed == 1000 + 80 + 20 + of_row + longest // 2


def test_the_default_batch_and_a_smaller_one():
    tell()
    assert fit(16) == Fit(1000 + 80 + 20 + 4 * 168, 2000, 4, 0, is_training=True)
    assert fit(16, 16) == Fit(1000 + 80 + 20 + 16 * 168, 2000, 16, 4, is_training=True)
    assert fit(16, 16).sentence == (
        "Doesn't fit: needs about 0 MB of memory, and 0 MB are free. It fits with a batch size of 4."
    )


def test_a_step_has_no_more_rows_than_the_dataset():
    tell()
    assert fit(16, 512).needed == 1000 + 80 + 20 + 100 * 168


def test_rows_are_cut():
    tell()
    assert fit(9000, 1, longest_row=16) == fit(16, 1)


def test_nothing_fits():
    tell(Memory(free=900, room=0, contexts={512: 300}, batch=4, modes={"PEFT_ADAPTER": ROW}))
    assert (fit().fits, fit().smaller) == (False, 0)
    assert fit().sentence.endswith("Close other programs, shorten the rows, or choose a smaller base model.")
    served = memory.of_deployment(BASE_MODEL)
    assert (served.fits, served.smaller) == (False, 0)
    assert served.sentence.endswith("Undeploy another model, close other programs, or choose a smaller model.")


def test_a_smaller_context():
    tell()
    assert memory.of_deployment(BASE_MODEL) == Fit(900, 500, 2048, 512, is_training=False)
    assert memory.of_deployment(BASE_MODEL, 512) == Fit(300, 500, 512, 0, is_training=False)
    assert memory.of_deployment(BASE_MODEL, 600).asked == 1024
    assert memory.of_deployment(BASE_MODEL).sentence.endswith("It fits with a context of 512 tokens.")


def test_each_precision_takes_what_it_takes():
    tell(replace(TOLD, precisions={"q4_k_m": {512: 200, 2048: 400}, "f16": {512: 700, 2048: 1700}}))
    assert memory.of_deployment(BASE_MODEL, precision="q4_k_m") == Fit(400, 500, 2048, 512, is_training=False)
    assert memory.of_deployment(BASE_MODEL, 512, "f16") == Fit(700, 500, 512, 0, is_training=False)
    assert memory.of_deployment(BASE_MODEL, precision="q8_0") == memory.of_deployment(BASE_MODEL)


def test_what_is_old_refuses_nothing():
    tell()
    found = fit(16, 16)
    assert memory.why_not(found, BASE_MODEL, NOW + timedelta(minutes=1)) == found.sentence
    assert memory.why_not(found, BASE_MODEL, NOW + timedelta(minutes=3)) == ""
    assert memory.why_not(fit(16), BASE_MODEL, NOW) == ""


def test_it_is_asked_once_at_a_time_and_kept(fake_gateway):
    PublisherModel.objects.create(name=BASE_MODEL, fetched_at=NOW, data={"overview": "x"})
    assert (memory.ask(BASE_MODEL, NOW), memory.ask(BASE_MODEL, NOW)) == (True, False)
    assert memory.is_pending(BASE_MODEL, NOW)
    fake_gateway.catalogue.of_machine = TOLD
    memory.run(BASE_MODEL, 1, NOW)
    assert not memory.is_pending(BASE_MODEL, NOW)
    assert not memory.ask(BASE_MODEL, NOW + timedelta(seconds=10))
    assert memory.ask(BASE_MODEL, NOW + timedelta(seconds=16))
    assert fit(16).needed == 1000 + 80 + 20 + 4 * 168
    assert PublisherModel.objects.get().data["overview"] == "x"


def test_a_server_that_does_not_answer_leaves_what_was_known(fake_gateway):
    tell()
    fake_gateway.trouble = [Unavailable("Away.")]
    memory.run(BASE_MODEL, 1, NOW)
    assert fit(16).free == 2000


def test_elsewhere_nobody_is_asked(settings):
    settings.VERTEX_API_ENDPOINT = ""
    tell()
    assert not memory.ask(BASE_MODEL, NOW + timedelta(days=1))


@pytest.mark.parametrize("mode", ["PEFT_ADAPTER", "FULL"])
@pytest.mark.parametrize(("length", "batch"), [(60, 1), (300, 4), (2000, 8)])
def test_both_programs_say_the_same(mode, length, batch):
    """What the server reckons row by row, and what is made of its table here."""
    told = parse_memory(
        '{"free": 1, "room": 1, "training": ' + json.dumps(describe_training(SMALL, 4, 2048, Machine(), 1)) + "}"
    )
    tell(told)
    whole = Training(SMALL, Method(mode, 8)).peak([Row(length, length // 2)] * 100, batch) * MARGIN
    assert fit(length, batch, mode).needed == pytest.approx(whole, rel=0.02)

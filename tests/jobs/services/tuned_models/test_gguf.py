"""The engine itself converts: a child with PyTorch, some seconds each."""

from pathlib import Path

import pytest
from django.conf import settings

from jobs.files import store
from jobs.services.tuned_models import gguf
from jobs.services.tuned_models.content import Content, of_file
from tests.jobs.services.tuned_models.test_takeaways import prepared, tuned

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
TINY = Path(__file__).parents[3] / "fixtures/tiny-gemma3"


def left_over():
    return list((Path(settings.DATA_DIR) / gguf.SCRATCH).glob("*"))


@pytest.mark.parametrize("form", ["gguf-q8_0", "gguf-q4_k_m"])
def test_a_whole_model_becomes_one_file(fake_gateway, owner, form):
    files = {f"final/{path.name}": path.read_bytes() for path in TINY.iterdir() if path.suffix != ".gguf"}
    job = tuned(fake_gateway, files)
    row = prepared(job, owner, form)
    assert (row.state, row.error, row.done_bytes) == ("READY", "", row.total_bytes)
    one = row.files[0]
    content = Content([of_file(one)]).readall()
    assert (one["name"], len(content), content[:4], left_over()) == ("model.gguf", one["size"], b"GGUF", [])


def test_what_cannot_be_converted_leaves_nothing(fake_gateway, owner):
    row = prepared(tuned(fake_gateway), owner, "gguf-f16")
    assert row.state == "FAILED"
    assert row.error.startswith("The model could not be converted: ")
    assert (left_over(), list(store.walk(gguf.STORED))) == ([], [])

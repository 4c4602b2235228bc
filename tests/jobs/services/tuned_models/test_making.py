"""The engine itself merges and converts: a child with PyTorch, some seconds each."""

import json
from pathlib import Path

import pytest
import torch
from django.conf import settings
from safetensors.torch import load, load_file, save

from jobs.files import store
from jobs.services.tuned_models import making
from jobs.services.tuned_models.content import Content, of_file
from tests.jobs.services.tuned_models.test_takeaways import offered, prepared, tuned

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
TINY = Path(__file__).parents[3] / "fixtures/tiny-gemma3"


def left_over():
    return list((Path(settings.DATA_DIR) / making.SCRATCH).glob("*"))


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
    assert (left_over(), list(store.walk(making.STORED))) == ([], [])


ADAPTER = {"peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": ["q_proj"], "bias": "none"}
HERE = {path.name: path.read_bytes() for path in TINY.iterdir() if path.suffix != ".gguf"}
ELSEWHERE = "gs://garden-local/earlier/final"


def checkpoint(base, custom=""):
    """An adapter that adds 2 to each weight of the queries, where a whole model would have begun."""
    shapes = {name: one.shape for name, one in base.items() if name.endswith("q_proj.weight")}
    tensors = {}
    for name, (rows, columns) in shapes.items():
        inner = f"base_model.model.{name.removesuffix('.weight')}"
        tensors[f"{inner}.lora_A.weight"] = torch.ones(2, columns)
        tensors[f"{inner}.lora_B.weight"] = torch.ones(rows, 2)
    origin = {"base_model": "google/gemma3@gemma-3-270m"} | ({"custom_base_model": custom} if custom else {})
    return {
        "checkpoint-3/adapter_config.json": json.dumps(ADAPTER).encode(),
        "checkpoint-3/adapter_model.safetensors": save(tensors),
        "checkpoint-3/base-model.json": json.dumps(origin).encode(),
        "checkpoint-3/adapter.gguf": b"GGUF",
    }


@pytest.mark.parametrize("custom", ["", ELSEWHERE])
def test_a_checkpoint_becomes_a_whole_model_of_its_own_weights(fake_gateway, owner, settings, custom):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:9"
    base = load_file(TINY / "model.safetensors")
    fake_gateway.catalogue.weights = HERE
    moved = {name: one + 1 for name, one in base.items()}
    elsewhere = HERE | {"model.safetensors": save(moved, metadata={"format": "pt"})}
    fake_gateway.storage.objects |= {f"{ELSEWHERE}/{name}": body for name, body in elsewhere.items()}
    job = tuned(fake_gateway, checkpoint(base, custom), state="CANCELLED")
    row = prepared(job, owner, "merged")
    assert (row.state, row.error, row.done_bytes) == ("READY", "", row.total_bytes)
    files = {one["name"]: Content([of_file(one)]).readall() for one in row.files}
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= set(files)
    made, before = load(files["model.safetensors"]), moved if custom else base
    wanted = {name: one.float() + 2 * name.endswith("q_proj.weight") for name, one in before.items()}
    differs = {name for name, one in made.items() if (one.float() - wanted[name]).abs().max() > 0.02}
    assert (differs, made.keys() == base.keys(), left_over()) == (set(), True, [])
    assert [name for name in fake_gateway.storage.objects if "/takeaways/" in name] == []
    assert ("catalogue.export_weights" in fake_gateway.calls) is not bool(custom)


def test_a_checkpoint_becomes_one_file(fake_gateway, owner, settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:9"
    fake_gateway.catalogue.weights = HERE
    job = tuned(fake_gateway, checkpoint(load_file(TINY / "model.safetensors")), state="RUNNING")
    row = prepared(job, owner, next(one for one in offered(job) if one.form == "gguf-q8_0"))
    assert (row.state, row.error, row.done_bytes, len(row.files)) == ("READY", "", row.total_bytes, 1)
    content = Content([of_file(row.files[0])]).readall()
    assert (row.files[0]["name"], content[:4], left_over()) == ("model.gguf", b"GGUF", [])

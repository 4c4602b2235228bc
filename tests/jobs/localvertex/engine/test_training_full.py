"""All weights of the tiny model, tuned through the engine."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from jobs.localvertex.engine.export.gguf import convert
from tests.jobs.localvertex.engine.conftest import TINY, TUNE, Workdir
from tests.jobs.localvertex.engine.llama import llama

QUESTIONS = json.loads((TUNE / "heldout.json").read_text())["questions"]
FULL = {"tuning_mode": "FULL", "learning_rate": 5e-4, "validation_path": None}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Workdir:
    made = Workdir(tmp_path_factory.mktemp("full"))
    made.describe(**FULL)
    assert made.run() == 0, (made.path / "train.log").read_text()
    return made


def checkpoints(workdir: Workdir) -> list[Path]:
    return [workdir.path / event["path"] for event in workdir.events("checkpoint")]


@pytest.mark.slow
def test_every_checkpoint_is_a_whole_bf16_model(full: Workdir, tmp_path: Path) -> None:
    for folder in checkpoints(full):
        assert {tensor.dtype for tensor in load_file(folder / "model.safetensors").values()} == {torch.bfloat16}
        assert json.loads((folder / "config.json").read_text())["dtype"] == "bfloat16"
    first, *_, last = checkpoints(full)
    assert load_file(last / "model.safetensors").keys() == load_file(TINY / "model.safetensors").keys()
    with llama(convert(first, tmp_path / "first")[0]) as model:
        assert model.ask(QUESTIONS[0]["prompt"]) != ""
    assert (last / "model.safetensors").read_bytes() == (full.path / "final/model.safetensors").read_bytes()


@pytest.mark.slow
def test_only_the_newest_keeps_what_it_is_resumed_with(full: Workdir) -> None:
    assert [(folder / "optimizer.pt").exists() for folder in checkpoints(full)] == [False, False, True]


@pytest.mark.slow
def test_killed_training_ends_with_the_same_weights(full: Workdir, workdir: Workdir) -> None:
    workdir.describe(**FULL)
    process = workdir.start()
    workdir.wait_for("checkpoint", 2)
    process.kill()
    process.wait()
    saved, seen = workdir.events("checkpoint")[-1]["step"], len(workdir.events())
    assert workdir.run() == 0, (workdir.path / "train.log").read_text()
    again = [event["step"] for event in workdir.events()[seen:] if event["event"] == "step"]
    assert again == list(range(saved + 1, workdir.events("data_stats")[0]["steps"] + 1))
    made, wanted = (load_file(one.path / "final/model.safetensors") for one in (workdir, full))
    assert [name for name in wanted if (made[name] - wanted[name]).abs().max() > 0.01] == []


@pytest.mark.slow
def test_goes_on_from_a_model_that_was_tuned_in_full(full: Workdir, workdir: Workdir) -> None:
    workdir.describe(**FULL | {"base_model_dir": str(full.path / "final"), "epochs": 1, "custom_base": "gs://b/final"})
    assert workdir.run() == 0, (workdir.path / "train.log").read_text()
    assert workdir.events("step")[0]["loss"] < full.events("step")[0]["loss"] / 10
    assert "It goes on from the weights in gs://b/final." in (workdir.path / "final/README.md").read_text()


@pytest.mark.slow
def test_adapter_on_a_model_that_was_tuned_in_full(full: Workdir, workdir: Workdir, tmp_path: Path) -> None:
    workdir.describe(base_model_dir=str(full.path / "final"), custom_base="gs://b/final", epochs=1)
    assert workdir.run() == 0, (workdir.path / "train.log").read_text()
    final = workdir.path / "final"
    assert json.loads((final / "adapter/adapter_config.json").read_text())["base_model_name_or_path"] == "gs://b/final"
    with llama(convert(final, tmp_path / "merged")[0]) as merged:
        answers = [merged.ask(one["prompt"]) for one in QUESTIONS]
    with llama(convert(full.path / "final", tmp_path / "base")[0], final / "adapter/adapter.gguf") as adapted:
        assert [adapted.ask(one["prompt"]) for one in QUESTIONS] == answers
    assert [text for text in answers if not text.startswith("Ahoy!")] == []

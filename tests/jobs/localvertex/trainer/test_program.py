"""The container's program as a process of its own, with a folder for each container: a new one has an empty disk."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.trainer.program import run
from tests.jobs.localvertex.servers import BUCKET, FAKE_ENGINE, ROOT, TINY_FOLDER, LocalVertex, wait_for

TUNE = ROOT / "tests/fixtures/tiny-tune"


@dataclass
class Containers:
    """`bucket`: what lies in the storage, by the helpers of the local server, which is not started."""

    bucket: LocalVertex
    folder: Path
    engine: str = FAKE_ENGINE
    started: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.folder.name

    def arguments(self, wish: str = "steps", **changes: str) -> list[str]:
        rows = json.dumps({"prompt": wish, "completion": "yes"}) + "\n"
        place = f"gs://{BUCKET}/{self.name}"
        results = f"{place}/postprocess/node-0/checkpoints"
        given = {
            "task": "instruct-lora",
            "pretrained_model_name_or_path": f"gs://{BUCKET}/weights/gemma-3-270m",
            "train_dataset": self.bucket.upload(f"{self.name}/train.jsonl", rows),
            "output_dir": results,
            "merge_base_and_lora_output_dir": f"{results}/final",
            "logging_output_dir": f"{place}/logs",
            "tuning_data_stats_file": f"{place}/logs/tuning_data_stats.json",
            "resume_dir": f"{place}/resume",
            "precision_mode": "bfloat16",
            "lora_rank": "8",
            "num_train_epochs": "2",
        }
        return [f"--{key}={value}" for key, value in (given | changes).items() if value]

    def start(self, arguments: list[str], **environment: str) -> "subprocess.Popen[bytes]":
        folder = self.folder / str(len(self.started))
        folder.mkdir()
        here = {"TRAINER_FOLDER": str(folder), "TRAINER_ENGINE": self.engine} | environment
        here["AIP_TENSORBOARD_LOG_DIR"] = f"gs://{BUCKET}/{self.name}/logs/"
        command = [sys.executable, "-m", "jobs.localvertex.trainer", *arguments]
        with (folder / "output").open("wb") as output:
            process = subprocess.Popen(
                command, cwd=ROOT, stdout=output, stderr=output,
                env=os.environ | {"STORAGE_EMULATOR_HOST": self.bucket.storage} | here,
            )  # fmt: skip
        self.started.append(process)
        return process

    def read_output(self) -> str:
        """By the last one."""
        return (self.folder / str(len(self.started) - 1) / "output").read_text(errors="replace")

    def code_of(self, arguments: list[str], seconds: float = 60, **environment: str) -> int:
        return self.start(arguments, **environment).wait(seconds)

    def events(self) -> list[dict]:
        (path,) = (self.folder / str(len(self.started) - 1)).glob("data/tuning-jobs/*/events.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()]

    def stored(self, folder: str) -> list[str]:
        return self.bucket.stored(f"{self.name}/{folder}/")


@pytest.fixture
def containers(tmp_path: Path, bucket_address: str) -> Iterator[Containers]:
    bucket = LocalVertex(tmp_path, bucket_address)
    for path in TINY_FOLDER.iterdir():
        if path.name not in bucket.stored("weights/gemma-3-270m/"):
            bucket.upload(f"weights/gemma-3-270m/{path.name}", path.read_bytes())
    made = Containers(bucket, tmp_path)
    yield made
    for process in made.started:
        if process.poll() is None:
            process.kill()
            process.wait(10)


def test_the_image_has_what_the_extra_for_qlora_has():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    image = (ROOT / "containers/trainer.containerfile").read_text()
    assert extras["qlora"] == [f"bitsandbytes=={re.search('ARG BITSANDBYTES=(.+)', image)[1]}"]


@pytest.mark.slow
def test_a_container_leaves_what_a_tuning_job_would(containers):
    assert containers.code_of(containers.arguments()) == 0, containers.read_output()
    results = containers.stored("postprocess/node-0/checkpoints")
    wanted = ("final/config.json", "final/adapter/adapter_config.json", "checkpoint-4/adapter_config.json")
    assert [name for name in wanted if name not in results] == []
    stats = json.loads(containers.bucket.text(f"{containers.name}/logs/tuning_data_stats.json"))
    assert (stats["tuningStepCount"], stats["tuningDatasetExampleCount"]) == ("8", "1")
    kinds = sorted(name.partition(".")[0] for name in containers.stored("logs"))
    assert kinds == ["events", "train", "tuning_data_stats"]
    assert "The fake engine starts." in containers.read_output()
    assert f"Done: gs://{BUCKET}/{containers.name}/postprocess/node-0/checkpoints/final" in containers.read_output()


def test_a_container_goes_on_where_a_lost_one_was(containers):
    lost = containers.start(containers.arguments("hold"))
    wait_for(lambda: "resume.json" in containers.stored("resume"), containers.read_output)
    lost.kill()
    lost.wait(10)
    assert containers.code_of(containers.arguments("steps")) == 0, containers.read_output()
    assert "Going on from checkpoint-4, which an earlier container of this job has left." in containers.read_output()
    steps = [event["step"] for event in containers.events() if event["event"] == "step"]
    assert (sorted(set(steps)), steps[-4:]) == ([1, 2, 3, 4, 5, 6, 7, 8], [5, 6, 7, 8])
    assert "checkpoint-4/adapter_model.safetensors" in containers.stored("postprocess/node-0/checkpoints")


@pytest.mark.slow
def test_a_marker_that_cannot_be_read_begins_anew(containers):
    containers.bucket.upload(f"{containers.name}/resume/resume.json", "half of i")
    assert containers.code_of(containers.arguments()) == 0, containers.read_output()
    assert "Going on" not in containers.read_output()
    assert [event["step"] for event in containers.events() if event["event"] == "step"] == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.slow
def test_a_container_that_is_told_to_leave_leaves(containers):
    told = containers.start(containers.arguments("hold"))
    wait_for(lambda: "resume.json" in containers.stored("resume"), containers.read_output)
    told.terminate()
    assert told.wait(20) == 143


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lora_rank": "7"}, "--lora_rank must be one of 1, 2, 4, 8, 16, 32."),
        ({"seed": "3000000000"}, "--seed must be at most 2147483647."),
        ({"custom_base_model": "here"}, "--custom_base_model must be a Cloud Storage path"),
        (
            {"pretrained_model_name_or_path": f"gs://{BUCKET}/nowhere/gemma-3-270m"},
            "holds no config.json. Put the Hugging Face files of the model there.",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_first(containers, monkeypatch, changes, message):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", containers.bucket.storage)
    with pytest.raises(ApiError, match=re.escape(message)):
        run(containers.arguments(**changes), os.environ, containers.folder, Event())


@pytest.mark.slow
def test_data_that_cannot_be_trained_is_the_job_s_error(containers):
    assert containers.code_of(containers.arguments("fail: the rows are bad")) == 1
    assert "Failed: the rows are bad" in containers.read_output()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_real_engine_learns_and_goes_on_from_its_adapter(containers):
    """On the processor, on a Gemma 3 of a few hundred thousand weights."""
    containers.engine = ""
    rows = containers.bucket.upload(f"{containers.name}/tune.jsonl", (TUNE / "train.jsonl").read_text())
    changes = {"train_dataset": rows, "learning_rate": "0.001", "lora_rank": "4"}
    assert containers.code_of(containers.arguments(**changes), 200) == 0, containers.read_output()
    losses = [event["loss"] for event in containers.events() if event["event"] == "step"]
    assert losses[-1] < losses[0]
    final = f"gs://{BUCKET}/{containers.name}/postprocess/node-0/checkpoints/final"
    other = f"gs://{BUCKET}/{containers.name}-again"
    changes |= {
        "custom_base_model": final, "num_train_epochs": "1", "output_dir": other, "resume_dir": f"{other}/resume",
        "merge_base_and_lora_output_dir": f"{other}/final",
    }  # fmt: skip
    assert containers.code_of(containers.arguments(**changes), 200) == 0, containers.read_output()
    again = [event["loss"] for event in containers.events() if event["event"] == "step"]
    assert again[0] < losses[0]

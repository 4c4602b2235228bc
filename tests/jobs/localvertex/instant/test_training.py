import json
import math
import subprocess
import sys
import threading

import pytest

from jobs.localvertex.engine.job import EventLog, Job, JobError
from jobs.localvertex.instant.training import train
from tests.jobs.localvertex.servers import ROOT

ROW = {"prompt": "How are you?", "completion": "Fine, thanks."}


def make_job(folder, rows=(ROW,) * 5, **changes):
    (folder / "config.json").write_text("{}")
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    about = {
        "base_model_dir": str(folder), "train_path": str(folder / "train.jsonl"), "validation_path": None,
        "epochs": 3, "learning_rate": 0.001, "tuning_mode": "PEFT_ADAPTER", "adapter_size": 4, "batch_size": 2,
        "max_length": 64, "seed": 42, "threads": 1, "display_name": "Mine", "base_model": "google/gemma3@gemma-3-1b-it",
    }  # fmt: skip
    (folder / "job.json").write_text(json.dumps(about | changes))
    return Job.read(folder / "job.json")


def run(folder, job):
    ended = train(job, folder, EventLog(folder / "events.jsonl"), threading.Event())
    return ended, [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def test_every_step_is_told_and_nothing_gets_better(tmp_path):
    ended, events = run(tmp_path, make_job(tmp_path))
    assert ended
    stats, *rest = events
    assert (stats["examples"], stats["steps"], stats["tokens"]) == (5, 9, 40)
    assert (stats["input_tokens"], stats["output_tokens"]) == ([4] * 5, [4] * 5)
    steps = [event for event in rest if event["event"] == "step"]
    assert [event["step"] for event in steps] == list(range(1, 10))
    assert {event["loss"] for event in steps} == {math.log(8)}
    assert [(event["epoch"], event["step"]) for event in rest if event["event"] == "checkpoint"] == [
        (1, 3), (2, 6), (3, 9),
    ]  # fmt: skip


def test_what_is_left_says_that_nothing_was_learned(tmp_path, capfd):
    run(tmp_path, make_job(tmp_path))
    card = (tmp_path / "final/README.md").read_text()
    assert "# Mine" in card
    assert "The weights are random and nothing was learned." in card
    assert "the weights are random and nothing is learned" in capfd.readouterr().out
    assert sorted(path.relative_to(tmp_path / "final").as_posix() for path in (tmp_path / "final").rglob("*.*")) == [
        "README.md", "adapter/adapter.gguf", "adapter/adapter_config.json", "adapter/adapter_model.safetensors",
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip


def test_a_full_tuning_leaves_whole_models(tmp_path):
    run(tmp_path, make_job(tmp_path, tuning_mode="FULL", max_steps=4))
    assert sorted(path.parent.name for path in tmp_path.rglob("model.safetensors")) == [
        "checkpoint-3", "checkpoint-4", "final",
    ]  # fmt: skip
    assert not (tmp_path / "final/adapter").exists()


def test_a_bad_row_fails_with_its_line(tmp_path):
    with pytest.raises(JobError, match="Line 2 of the training data"):
        run(tmp_path, make_job(tmp_path, rows=[ROW, {"prompt": "?"}]))


def test_a_name_asks_for_a_failure(tmp_path):
    with pytest.raises(JobError, match="asks for a failure"):
        run(tmp_path, make_job(tmp_path, display_name="Mine [fails]"))


def test_the_programs_of_it_load_nothing_heavy():
    code = (
        "import sys, jobs.localvertex.instant.__main__, jobs.localvertex.instant.server;"
        "print({'torch', 'transformers', 'tokenizers', 'numpy', 'google.protobuf', 'httpx'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True) == "set()\n"

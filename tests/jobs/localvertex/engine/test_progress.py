from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.localvertex.engine.job import EventLog, JobError
from jobs.localvertex.engine.progress import Progress
from jobs.localvertex.tuning.events import points
from tests.jobs.localvertex.engine.conftest import TINY

MEASURED = {"token_accuracy": 0.5, "num_predictions": 8, "tokens": 16, "learning_rate": 0.9, "epoch": 1.0}


def test_a_loss_that_is_no_number_ends_the_training_and_its_point_is_told(tmp_path: Path) -> None:
    progress = Progress(tmp_path, tmp_path, EventLog(tmp_path / "events.jsonl"), 1, lambda: None)
    state: Any = SimpleNamespace(global_step=1, max_steps=3)
    nothing: Any = None
    progress.on_log(nothing, state, nothing, {**MEASURED, "loss": 2.0})
    state.global_step = 2
    with pytest.raises(JobError, match="its loss is not a number at step 2") as ended:
        progress.on_log(nothing, state, nothing, {**MEASURED, "loss": float("inf")})
    assert ended.value.code == "INVALID_ARGUMENT"
    told = points(tmp_path / "events.jsonl", "/train_total_loss")
    assert [(point.step, point.value) for point in told] == [(1, 2.0), (2, float("inf"))]


def test_a_checkpoint_of_all_weights_is_a_model_by_itself_at_once(tmp_path: Path) -> None:
    """Also of a training that is cancelled after it: nothing is added at the end then."""
    folder = tmp_path / "checkpoints/checkpoint-3"
    folder.mkdir(parents=True)
    state: Any = SimpleNamespace(global_step=3, epoch=1.0)
    nothing: Any = None
    progress = Progress(tmp_path, TINY, EventLog(tmp_path / "events.jsonl"), 1, lambda: None)
    progress.on_save(nothing, state, nothing, model=None)
    assert {path.name for path in folder.iterdir()} == {
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
    }

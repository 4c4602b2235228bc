from pathlib import Path

import pytest

from jobs.localvertex.engine.job import EventLog, Job, JobError
from tests.jobs.localvertex.engine.conftest import Workdir


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tuning_mode": "QLORA"}, "Tuning mode QLORA is not supported here. Choose PEFT_ADAPTER or FULL."),
        ({"epochs": 0}, "epochs must be 1 or more, not 0."),
        ({"learning_rate": 3.0}, "learning_rate must be above 0 and at most 1, not 3.0."),
        ({"base_model_dir": "-"}, "The weights of tests/tiny-gemma3 are not on this machine. Prepare the model first."),
    ],
)
def test_bad_description_says_why(workdir: Workdir, changes: dict[str, object], message: str) -> None:
    workdir.describe(**changes)
    with pytest.raises(JobError) as caught:
        Job.read(workdir.path / "job.json")
    assert str(caught.value) == message


def test_the_highest_learning_rate_that_a_request_may_have_is_taken(workdir: Workdir) -> None:
    workdir.describe(learning_rate=1.0)
    assert Job.read(workdir.path / "job.json").learning_rate == 1.0


def test_line_cut_off_by_a_kill_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"event": "st')
    EventLog(path).write("loading")
    cut, whole = path.read_text().splitlines()
    assert cut == '{"event": "st'
    assert whole.startswith('{"event": "loading", "time": ')

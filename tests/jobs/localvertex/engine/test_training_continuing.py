import json
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from tests.jobs.localvertex.engine.conftest import TUNE, Workdir

LEARNED = json.loads((TUNE / "heldout.json").read_text())["training"]


@pytest.mark.slow
def test_begins_where_the_earlier_tuning_ended(trained: Workdir, workdir: Workdir) -> None:
    adapter = trained.path / "final" / "adapter"
    workdir.describe(adapter_dir=str(adapter), epochs=1, lora_alpha=2 * LEARNED["adapter_size"])
    assert workdir.run() == 0
    first, last = trained.events("step")[0]["loss"], trained.events("step")[-1]["loss"]
    begun = workdir.events("step")[0]["loss"]
    assert abs(begun - last) < abs(begun - first) / 4
    config = json.loads((workdir.path / "final/adapter/adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (LEARNED["adapter_size"], 2 * LEARNED["adapter_size"])
    assert "begun with the adapter of an earlier tuning" in (workdir.path / "final/README.md").read_text()


@pytest.mark.slow
def test_steps_end_it_early_with_a_checkpoint(workdir: Workdir) -> None:
    workdir.describe(max_steps=3, epochs=1, lora_alpha=8)
    assert workdir.run() == 0
    assert [event["step"] for event in workdir.events("step")] == [1, 2, 3]
    assert [(event["step"], event["epoch"]) for event in workdir.events("checkpoint")] == [(3, 1)]
    assert workdir.events("data_stats")[0]["steps"] == 3
    config = json.loads((workdir.path / "final/adapter/adapter_config.json").read_text())
    assert config["lora_alpha"] == 8


@pytest.mark.slow
def test_adapter_that_does_not_fit(workdir: Workdir, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    workdir.describe(adapter_dir=str(tmp_path / "empty"))
    assert workdir.run() == 1
    assert "cannot be loaded on tests/tiny-gemma3" in workdir.events("failed")[0]["message"]


@pytest.mark.slow
def test_adapter_is_kept_exactly_without_learning(trained: Workdir, workdir: Workdir) -> None:
    adapter = trained.path / "final" / "adapter"
    workdir.describe(adapter_dir=str(adapter), max_steps=1, learning_rate=1e-12)
    assert workdir.run() == 0
    before, after = (
        load_file(path / "adapter_model.safetensors") for path in (adapter, workdir.path / "final/adapter")
    )
    assert {name: array.dtype for name, array in before.items()} == {name: array.dtype for name, array in after.items()}
    assert all(abs(before[name] - after[name]).max() < 1e-6 for name in before)

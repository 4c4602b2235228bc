"""A training that would be killed for its memory is not begun."""

import json

import pytest
import torch

from jobs.localvertex.devices.choice import BFLOAT16, FLOAT32, Training as Chosen
from jobs.localvertex.devices.machine import CPU, CUDA, Card
from jobs.localvertex.engine.dataset import load_examples
from jobs.localvertex.engine.hardware.fitting import method_of, require_memory, rows_of
from jobs.localvertex.engine.job import Job, JobError
from jobs.localvertex.engine.tokens import ChatEncoder
from jobs.localvertex.memory.fit import MARGIN
from jobs.localvertex.memory.placing import method_on
from jobs.localvertex.memory.shape import Shape
from jobs.localvertex.memory.training import Row, Training
from tests.jobs.localvertex.engine.conftest import TINY, TINY_VISION, TUNE, Workdir

ROWS = [Row(512, 256)] * 8


def peak(job: Job, batch: int) -> int:
    shape = Shape.read(job.base_model_dir)
    assert shape is not None
    return round(Training(shape, method_of(job, has_images=False)).peak(ROWS, batch) * MARGIN)


@pytest.mark.parametrize("mode", ["PEFT_ADAPTER", "FULL"])
def test_too_little_memory_is_said_before_it_is_used(workdir: Workdir, mode: str) -> None:
    workdir.describe(tuning_mode=mode, batch_size=8)
    job = Job.read(workdir.path / "job.json")
    require_memory(job, ROWS, peak(job, 8) + 1)
    require_memory(job, ROWS, None)
    with pytest.raises(JobError, match=r"^The training needs about 0\.\d GB of memory, and 0\.\d GB are") as caught:
        require_memory(job, ROWS, peak(job, 4) + 1)
    assert "A batch_size of 4 fits." in str(caught.value)
    assert caught.value.code == "RESOURCE_EXHAUSTED"


def test_a_step_that_has_no_room_in_f32_is_slow_rather_than_refused(workdir: Workdir) -> None:
    """As the console said before, which counts with bf16."""
    workdir.describe(batch_size=8)
    job, shape = Job.read(workdir.path / "job.json"), Shape.read(TINY)
    assert shape is not None
    half, single = (
        round(Training(shape, method_of(job, has_images=False, dtype=dtype)).peak(ROWS, 8) * MARGIN)
        for dtype in (torch.bfloat16, torch.float32)
    )
    found = [require_memory(job, ROWS, free + 1, quickest=torch.float32) for free in (single, half)]
    assert (found, half < single) == ([torch.float32, torch.bfloat16], True)
    with pytest.raises(JobError, match="A batch_size of 4 fits"):
        require_memory(job, ROWS, half - 1, quickest=torch.float32)


def card(free: int, dtype: str = BFLOAT16) -> Chosen:
    return Chosen(CUDA, "", card=Card("0", "NVIDIA L4", 24 * 10**9, free), dtype=dtype)


def test_on_a_card_its_own_memory_counts(workdir: Workdir) -> None:
    workdir.describe(tuning_mode="FULL", batch_size=8)
    job = Job.read(workdir.path / "job.json")
    require_memory(job, ROWS, 1, card(24 * 10**9))
    with pytest.raises(JobError, match=r"and 0\.5 GB are free on NVIDIA L4\.") as caught:
        require_memory(job, ROWS, 24 * 10**9, card(5 * 10**8))
    assert caught.value.code == "RESOURCE_EXHAUSTED"
    with pytest.raises(JobError, match="are free on this machine"):
        require_memory(job, ROWS, 1, Chosen(CPU, ""))


def test_a_card_that_takes_fewer_rows_at_a_time(workdir: Workdir) -> None:
    workdir.describe(batch_size=8)
    job = Job.read(workdir.path / "job.json")
    shape = Shape.read(job.base_model_dir)
    assert shape is not None
    fitting = Training(shape, method_on(card(0), method_of(job, has_images=False)))
    with pytest.raises(JobError, match=r"on NVIDIA L4\. A batch_size of 4 fits\."):
        require_memory(job, ROWS, None, card(round(fitting.peak(ROWS, 4) * MARGIN) + 1))


def test_without_bf16_a_base_takes_twice_the_memory(workdir: Workdir) -> None:
    workdir.describe()
    method = method_of(Job.read(workdir.path / "job.json"), has_images=False)
    half, whole = (method_on(card(0, dtype), method) for dtype in (BFLOAT16, FLOAT32))
    assert (half.base, half.computes_in_half, whole.base, whole.computes_in_half) == (2, True, 4, False)
    assert method_on(Chosen(CPU, ""), method) == method


def test_a_model_of_which_nothing_is_known_is_tried(workdir: Workdir) -> None:
    (workdir.path / "config.json").write_text("{}")
    workdir.describe(base_model_dir=str(workdir.path))
    require_memory(Job.read(workdir.path / "job.json"), ROWS, 1)


def test_the_rank_is_that_of_the_adapter_to_go_on_from(workdir: Workdir) -> None:
    (workdir.path / "adapter_config.json").write_text(json.dumps({"r": 32}))
    workdir.describe(adapter_dir=str(workdir.path), adapter_size=4)
    job = Job.read(workdir.path / "job.json")
    assert method_of(job, has_images=False).rank == 32
    (workdir.path / "adapter_config.json").write_text("nonsense")
    assert method_of(job, has_images=False).rank == 4


def test_rows_with_images_take_the_slower_way(workdir: Workdir) -> None:
    workdir.describe(base_model_dir=str(TINY_VISION))
    job, shape = Job.read(workdir.path / "job.json"), Shape.read(TINY_VISION)
    assert shape is not None
    assert 0 < shape.seeing < shape.parameters
    plain, with_images = (Training(shape, method_of(job, has_images=some)) for some in (False, True))
    assert (plain.is_fast, with_images.is_fast) == (True, False)


def test_rows_are_as_long_as_their_tokens() -> None:
    found = rows_of(load_examples(TUNE / "train.jsonl", ChatEncoder(TINY), 30, "training data"))
    assert max(row.length for row in found) <= 30
    assert all(0 < row.answers < row.length for row in found)


@pytest.mark.slow
def test_the_engine_asks_before_it_loads(workdir: Workdir) -> None:
    """Of a model that claims more than any machine has: its weights are told by their headers."""
    folder = workdir.path / "model"
    folder.mkdir()
    for path in TINY.glob("*.json"):
        (folder / path.name).write_bytes(path.read_bytes())
    header = json.dumps({"model.embed_tokens.weight": {"dtype": "BF16", "shape": [2**20, 2**20]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    workdir.describe(base_model_dir=str(folder))
    assert workdir.run() == 1
    (failed,) = workdir.events("failed")
    assert failed["code"] == "RESOURCE_EXHAUSTED"
    assert failed["message"].startswith("The training needs about 2419.")

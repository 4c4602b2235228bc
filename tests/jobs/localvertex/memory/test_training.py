"""What is foretold of a step, beside the tensors that PyTorch really keeps for its backward pass."""

from pathlib import Path
from typing import Any

import pytest
import torch

from jobs.localvertex.engine.answers import measure_flat, measure_padded
from jobs.localvertex.engine.batches import Collator
from jobs.localvertex.engine.fast import attention
from jobs.localvertex.engine.fast.supported import fast_model
from jobs.localvertex.engine.job import Job
from jobs.localvertex.engine.model import dtype_of_base, trainable
from jobs.localvertex.engine.tokens import IGNORED
from jobs.localvertex.memory import training as foretelling
from jobs.localvertex.memory.shape import Shape
from jobs.localvertex.memory.training import PROCESS_BYTES, Method, Row, Training
from tests.jobs.localvertex.engine.conftest import TINY
from tests.jobs.localvertex.engine.tiny import make_model

LENGTH, ROWS, ANSWERS = 96, 4, 8
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")  # transformers', in peft


def job_of(folder: Path, mode: str, rank: int = 8) -> Job:
    return Job(
        base_model_dir=folder, train_path=folder, validation_path=None, epochs=1, learning_rate=1e-6, tuning_mode=mode,
        adapter_size=rank, batch_size=ROWS, max_length=LENGTH, seed=0, threads=1, display_name="", base_model="",
    )  # fmt: skip


def kept_for_backward(model: Any, vocabulary: int) -> int:
    """Bytes: each block of memory once, and none that the model has anyway."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}
    alive = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(storage)  # so that no other tensor gets its place
        return tensor

    fast = fast_model(model)
    rows = torch.randint(3, vocabulary, (ROWS, LENGTH)).tolist()
    labels = [[IGNORED] * (LENGTH - ANSWERS) + row[LENGTH - ANSWERS :] for row in rows]
    batch = Collator(0, None, flat=fast is not None)(
        [{"input_ids": row, "labels": wanted, "images": ()} for row, wanted in zip(rows, labels, strict=True)]
    )
    model.train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        measure_flat(fast, batch) if fast is not None else measure_padded(model, batch)
    return sum(kept.values())


def test_blocks_of_attention_are_cut_as_the_engine_does() -> None:
    assert (foretelling.BLOCK, foretelling.KEPT) == (attention.BLOCK, attention.KEPT)


def check(folder: Path, mode: str) -> None:
    shape = Shape.read(folder)
    assert shape is not None
    training = Training(shape, Method(mode, 8, base=dtype_of_base(folder).itemsize))
    foretold = training.kept([Row(LENGTH, ANSWERS)] * ROWS)
    measured = kept_for_backward(trainable(job_of(folder, mode)), shape.vocabulary)
    assert measured == pytest.approx(foretold, rel=0.15)


@pytest.mark.parametrize("mode", ["PEFT_ADAPTER", "FULL"])
def test_gemma(mode):
    check(TINY, mode)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["PEFT_ADAPTER", "FULL"])
@pytest.mark.parametrize("family", ["SmolLM2", "Llama 3", "Mistral", "Qwen 2.5", "Qwen 3", "SmolLM3", "Phi 4"])
def test_other_families(family, mode, tmp_path):
    check(make_model(family, tmp_path), mode)


def test_the_parameters_of_an_adapter_are_counted():
    shape = Shape.read(TINY)
    assert shape is not None
    model = trainable(job_of(TINY, "PEFT_ADAPTER", rank=4))
    assert shape.adapter * 4 == sum(one.numel() for one in model.parameters() if one.requires_grad)
    assert shape.parameters == sum(one.numel() for one in model.get_base_model().parameters() if not one.requires_grad)
    whole = Training(shape, Method("PEFT_ADAPTER", 4)).fixed
    assert whole - PROCESS_BYTES == shape.parameters * 2 + shape.adapter * 4 * 16

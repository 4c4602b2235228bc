"""What is estimated for a step, beside the tensors that PyTorch really keeps for its backward pass."""

from pathlib import Path
from typing import Any

import pytest
import torch

from jobs.localvertex.engine.answers import measure_flat, measure_padded
from jobs.localvertex.engine.batches import Collator
from jobs.localvertex.engine.fast import attention, loss
from jobs.localvertex.engine.fast.decoder import FastDecoder
from jobs.localvertex.engine.fast.packed import PackedModel
from jobs.localvertex.engine.fast.supported import fast_model
from jobs.localvertex.engine.fast.workers import Workers
from jobs.localvertex.engine.job import Job
from jobs.localvertex.engine.model import dtype_of_base, trainable
from jobs.localvertex.engine.tokens import IGNORED
from jobs.localvertex.memory import training as estimates
from jobs.localvertex.memory.fit import fit_training
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
    if isinstance(fast, FastDecoder):
        fast.workers = Workers(1)  # those of other threads would not be seen
    rows = torch.randint(3, vocabulary, (ROWS, LENGTH)).tolist()
    labels = [[IGNORED] * (LENGTH - ANSWERS) + row[LENGTH - ANSWERS :] for row in rows]
    batch = Collator(0, None, flat=fast is not None)(
        [{"input_ids": row, "labels": wanted, "images": ()} for row, wanted in zip(rows, labels, strict=True)]
    )
    model.train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        measure_flat(fast, batch) if fast is not None else measure_padded(model, batch)
    return sum(kept.values())


def test_blocks_are_cut_as_the_engine_does() -> None:
    assert (estimates.BLOCK, estimates.KEPT) == (attention.BLOCK, attention.KEPT)
    assert (estimates.TOKENS_OF_LOSS, estimates.FEW) == (loss.TOKENS, loss.FEW)


@pytest.mark.parametrize("mode", ["PEFT_ADAPTER", "FULL"])
def test_gpt_oss_is_packed_where_the_engine_does_it(mode, tmp_path):
    folder = make_model("gpt-oss", tmp_path)
    shape, fast = Shape.read(folder), fast_model(trainable(job_of(folder, mode)))
    assert shape is not None
    training = Training(shape, Method(mode))
    assert (training.is_fast, training.is_packed) == (isinstance(fast, FastDecoder), isinstance(fast, PackedModel))


def check(folder: Path, mode: str) -> None:
    shape = Shape.read(folder)
    assert shape is not None
    training = Training(shape, Method(mode, 8, base=dtype_of_base(folder).itemsize))
    estimated = training.count_kept([Row(LENGTH, ANSWERS)] * ROWS)
    measured = kept_for_backward(trainable(job_of(folder, mode)), shape.vocabulary)
    assert measured == pytest.approx(estimated, rel=0.15)


@pytest.mark.parametrize("mode", ["PEFT_ADAPTER", "FULL"])
def test_gemma(mode):
    check(TINY, mode)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["PEFT_ADAPTER", "FULL"])
@pytest.mark.parametrize("family", ["SmolLM2", "Llama 3", "Mistral", "Qwen 2.5", "Qwen 3", "SmolLM3", "Phi 4"])
def test_other_families(family, mode, tmp_path):
    check(make_model(family, tmp_path), mode)


# As Llama 3.1 8B and Gemma 3 4B are published.
LLAMA_8B = Shape("llama", 32, 0, 0, 4096, 14336, 32, 8, 128, 128_256, 8_030_261_248)
GEMMA_4B = Shape(
    "gemma3", 34, 29, 1024, 2560, 10240, 8, 4, 256, 262_208, 4_300_079_472, 419_825_392,
    side=896, patch=14, tower_width=1152, tower_inner=4304,
)  # fmt: skip
CONTEXT = 600 * 2**20
GIGABYTE = 10**9


def on_card(shape: Shape, mode: str, **changes: Any) -> Training:
    return Training(shape, Method(mode, 16, on_gpu=True, process=CONTEXT, **changes))


def test_what_lasts_on_a_card() -> None:
    """Weights in bf16; an adapter with its gradients and AdamW; the same of all weights in a full tuning."""
    lora, full = on_card(LLAMA_8B, "PEFT_ADAPTER"), on_card(LLAMA_8B, "FULL")
    assert lora.fixed == CONTEXT + 2 * LLAMA_8B.parameters + 16 * 16 * LLAMA_8B.adapter
    assert round(lora.fixed / GIGABYTE, 1) == 17.4
    assert full.peak([Row(8, 2)], 1) == CONTEXT + (16 + 2) * LLAMA_8B.parameters  # and all weights in bf16
    quantized = on_card(LLAMA_8B, "PEFT_ADAPTER", quantization="4bit")
    assert round(quantized.of_base / GIGABYTE, 1) == 6.0


def test_values_that_are_computed_again_are_not_kept() -> None:
    rows = [Row(2048, 512)] * 4
    whole, again = (on_card(LLAMA_8B, "PEFT_ADAPTER", checkpoints=one).count_kept(rows) for one in (False, True))
    inputs = 4 * 2048 * 32 * 4096 * 2
    logits = 4 * 512 * 128_256 * 4
    assert again == inputs + (whole - logits) // 32 + logits
    assert whole > 8 * again


@pytest.mark.parametrize(
    ("free", "mode", "rows", "largest"),
    [
        (24, "PEFT_ADAPTER", 512, 8),
        (24, "PEFT_ADAPTER", 2048, 2),
        (24, "PEFT_ADAPTER", 8192, 0),
        (80, "PEFT_ADAPTER", 2048, 8),
        (80, "FULL", 512, 0),
        (192, "FULL", 2048, 8),
    ],
)
def test_which_batch_fits_on_a_described_card(free: int, mode: str, rows: int, largest: int) -> None:
    training = on_card(LLAMA_8B, mode, checkpoints=True)
    assert fit_training(training, [Row(rows, rows // 4)] * 8, 8, free * GIGABYTE).batch == largest


def test_images_are_counted_with_the_pixels_and_what_the_tower_computes() -> None:
    method = Method("PEFT_ADAPTER", is_plain=False)
    training = Training(GEMMA_4B, method)
    text, seen = [Row(300, 40)], [Row(300, 40, images=1)]
    pixels = 3 * 896 * 896
    assert training.step(seen) - training.step(text) == pixels * 4
    many = [Row(300, 1, images=40)]
    assert training.step(many) == 40 * (pixels * 4 + 2 * (pixels + 64 * 64 * 2 * (1152 + 4304)))


def test_a_card_keeps_masks_of_padded_rows_unless_flash_attention_takes_them_one_after_another() -> None:
    rows, padding = [Row(4096, 8), Row(4000, 8)], 96
    plain, again = (on_card(LLAMA_8B, "PEFT_ADAPTER", checkpoints=one) for one in (False, True))
    assert (plain.mask, again.mask) == (32 * 2, 2)
    even = plain.count_kept([Row(4096, 8)] * 2)
    assert plain.count_kept(rows) - even == 32 * 2 * 2 * 4096**2
    flash = on_card(LLAMA_8B, "PEFT_ADAPTER", flashes=True)
    assert (flash.is_padded, flash.mask) == (False, 0)
    assert even - flash.count_kept(rows) == padding * (even - 16 * LLAMA_8B.vocabulary * 4) // (2 * 4096)
    assert on_card(GEMMA_4B, "PEFT_ADAPTER", flashes=True).is_padded


def test_masks_are_kept_where_rows_are_padded() -> None:
    training = Training(LLAMA_8B, Method("PEFT_ADAPTER", is_plain=False))
    even, padded = (training.count_kept([Row(256, 8), Row(length, 8)]) for length in (256, 255))
    assert padded - even == 32 * 2 * 256 * 256 * 2


def test_the_parameters_of_an_adapter_are_counted():
    shape = Shape.read(TINY)
    assert shape is not None
    model = trainable(job_of(TINY, "PEFT_ADAPTER", rank=4))
    assert shape.adapter * 4 == sum(one.numel() for one in model.parameters() if one.requires_grad)
    assert shape.parameters == sum(one.numel() for one in model.get_base_model().parameters() if not one.requires_grad)
    whole = Training(shape, Method("PEFT_ADAPTER", 4)).fixed
    assert whole - PROCESS_BYTES == shape.parameters * 2 + shape.adapter * 4 * 16

"""Packed rows teach what padded ones do."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from jobs.localvertex.engine.answers import Answers, measure_padded
from jobs.localvertex.engine.batches import Collator
from jobs.localvertex.engine.tokens import IGNORED
from jobs.localvertex.engine.vision import Vision
from tests.jobs.localvertex.engine.conftest import TINY
from tests.jobs.localvertex.engine.tiny import make_model

LENGTHS = (5, 31, 12)


def rows_of(vocabulary: int) -> list[dict[str, Any]]:
    """The first label of each is an answer, too: no token goes before it that could predict it."""
    torch.manual_seed(3)
    ids = [torch.randint(3, vocabulary, (length,)).tolist() for length in LENGTHS]
    return [{"input_ids": row, "labels": [row[0], IGNORED, *row[2:]], "images": ()} for row in ids]


def learn(model: Any, rows: list[dict[str, Any]], *, packed: bool) -> tuple[Answers, torch.Tensor]:
    model.zero_grad()
    answers = measure_padded(model, Collator(0, None, packed=packed)(rows))
    answers.loss.backward()
    return answers, model.model.layers[0].self_attn.q_proj.weight.grad.clone()


@pytest.mark.parametrize("shape", ["Gemma 3", "Llama 3", "Qwen 3"])
def test_packed_rows_have_the_loss_and_the_gradients_of_padded_ones(shape: str, tmp_path: Path) -> None:
    folder = TINY if shape == "Gemma 3" else make_model(shape, tmp_path)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).train()
    rows = rows_of(model.config.vocab_size)
    padded, expected = learn(model, rows, packed=False)
    packed, found = learn(model, rows, packed=True)
    assert (packed.count, packed.tokens) == (padded.count, padded.tokens) == (sum(LENGTHS) - 2 * 3, sum(LENGTHS))
    assert packed.loss.item() == pytest.approx(padded.loss.item(), rel=1e-5)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_positions_begin_again_with_each_row() -> None:
    batch = Collator(0, None, packed=True)(rows_of(100))
    assert batch["position_ids"].tolist() == [[*range(5), *range(31), *range(12)]]
    assert [batch["labels"][0, place].item() for place in (0, 5, 36)] == [IGNORED] * 3


def test_rows_of_a_model_that_sees_are_padded() -> None:
    vision = Vision(64, 16, 8, (0.5,), (0.5,))
    assert Collator(0, vision, packed=True)(rows_of(100))["input_ids"].shape == (3, 31)

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor

from jobs.localvertex.engine.answers import measure_flat, measure_padded
from jobs.localvertex.engine.batches import Collator
from jobs.localvertex.engine.dataset import Examples, load_examples
from jobs.localvertex.engine.fast.gemma import FastGemma
from jobs.localvertex.engine.fast.supported import fast_gemma
from jobs.localvertex.engine.model import load_base, lora_targets
from jobs.localvertex.engine.tokens import ChatEncoder
from tests.jobs.localvertex.engine.conftest import ROOT, TINY, TINY_VISION, TUNE, Workdir

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


def adapted(folder: Path, dtype: torch.dtype, **options: Any) -> Any:
    torch.manual_seed(0)
    base = load_base(folder, dtype)
    config: dict[str, Any] = {
        "r": 8,
        "lora_alpha": 16,
        "target_modules": lora_targets(base),
        "init_lora_weights": False,
    }
    return get_peft_model(base, LoraConfig(**(config | options)))


@pytest.fixture
def examples() -> Examples:
    return load_examples(TUNE / "train.jsonl", ChatEncoder(TINY), 512, "data")


def gradients(model: Any, loss: Tensor) -> list[Tensor]:
    model.zero_grad()
    loss.backward()
    return [parameter.grad for parameter in model.parameters() if parameter.requires_grad]


@pytest.mark.parametrize("window", [None, 6])
@pytest.mark.parametrize("folder", [TINY, TINY_VISION])
def test_same_loss_and_gradients_as_transformers(folder: Path, window: int | None, examples: Examples) -> None:
    model = adapted(folder, torch.float32)
    causal = model.get_base_model()
    if window:
        causal.config.get_text_config().sliding_window = window
    rows = [examples[number] for number in range(5)]
    plain = measure_padded(model, Collator(0, None)(rows))
    flat = measure_flat(FastGemma(causal), Collator(0, None, flat=True)(rows))
    assert (int(flat.right), flat.count, flat.tokens) == (int(plain.right), plain.count, plain.tokens)
    torch.testing.assert_close(flat.loss, plain.loss)
    torch.testing.assert_close(
        gradients(model, flat.loss), gradients(model, plain.loss), rtol=1e-3, atol=1e-4 * plain.count
    )


@pytest.mark.slow
def test_loss_of_the_trainer_that_makes_all_logits(workdir: Workdir, tmp_path: Path) -> None:
    """The same batches in the same order, over three epochs that learn most of what there is."""
    workdir.describe(validation_path=None)
    assert workdir.run() == 0
    ours = workdir.events("step")
    (workdir.path / "events.jsonl").unlink()
    command = [sys.executable, "-m", "tests.bench.rivals", "trainer", str(workdir.path)]
    with (tmp_path / "rival.log").open("wb") as log:
        assert subprocess.run(command, cwd=ROOT, stdout=log, stderr=log, check=False).returncode == os.EX_OK
    plain = workdir.events("step")
    assert [step["tokens"] for step in ours] == [step["tokens"] for step in plain]
    for first in range(0, len(plain), 15):
        mine, theirs = (sum(step["loss"] for step in steps[first : first + 15]) for steps in (ours, plain))
        assert mine == pytest.approx(theirs, rel=0.01)


def test_plain_lora_is_supported() -> None:
    assert fast_gemma(adapted(TINY, torch.bfloat16)) is not None
    assert fast_gemma(adapted(TINY, torch.float32)) is not None
    assert fast_gemma(adapted(TINY_VISION, torch.bfloat16)) is not None


@pytest.mark.parametrize(
    "options",
    [
        {"lora_dropout": 0.1},
        {"use_dora": True},
        {"rank_pattern": {"q_proj": 4}},
        {"target_modules": ["q_proj", "v_proj"]},
        {"modules_to_save": ["norm"]},
    ],
)
def test_other_adapters_are_left_to_peft(options: dict[str, Any]) -> None:
    assert fast_gemma(adapted(TINY, torch.bfloat16, **options)) is None


def test_full_tuning_is_left_to_transformers() -> None:
    assert fast_gemma(load_base(TINY, torch.float32)) is None


@pytest.mark.slow
def test_steps_say_how_many_tokens(trained: Workdir) -> None:
    stats = trained.events("data_stats")[0]
    epochs = json.loads((TUNE / "heldout.json").read_text())["training"]["epochs"]
    assert sum(step["tokens"] for step in trained.events("step")) == epochs * stats["tokens"]

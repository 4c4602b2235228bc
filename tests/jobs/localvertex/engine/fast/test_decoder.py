import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor

from jobs.localvertex.engine.answers import measure_flat, measure_padded
from jobs.localvertex.engine.batches import Collator
from jobs.localvertex.engine.dataset import load_examples
from jobs.localvertex.engine.fast.decoder import FastDecoder
from jobs.localvertex.engine.fast.packed import NAME, PackedModel
from jobs.localvertex.engine.fast.supported import FastModel, fast_decoder, fast_model, packed_model
from jobs.localvertex.engine.fast.workers import Workers
from jobs.localvertex.engine.model import load_base, lora_targets
from jobs.localvertex.engine.tokens import IGNORED, ChatEncoder
from tests.jobs.localvertex.engine.conftest import ROOT, TINY, TINY_VISION, TUNE, Workdir
from tests.jobs.localvertex.engine.tiny import SHAPES, make_model

INSTRUCTIONS = [*range(20, 30)]

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


def adapt(folder: Path, dtype: torch.dtype, **options: Any) -> Any:
    torch.manual_seed(0)
    base = load_base(folder, dtype)
    config: dict[str, Any] = {
        "r": 8,
        "lora_alpha": 16,
        "target_modules": lora_targets(base),
        "init_lora_weights": False,
    }
    return get_peft_model(base, LoraConfig(**(config | options)))


def gradients(model: Any, loss: Tensor) -> list[Tensor]:
    model.zero_grad()
    loss.backward()
    return [parameter.grad for parameter in model.parameters() if parameter.requires_grad]


def start_with(tokens: list[int], row: dict[str, Any]) -> dict[str, Any]:
    """As rows do that have the same instructions for the model."""
    labels = [IGNORED] * len(tokens) + row["labels"]
    return row | {"input_ids": tokens + row["input_ids"], "labels": labels}


def assert_learns_the_same(model: Any, fast: FastModel, folder: Path) -> None:
    examples = load_examples(TUNE / "train.jsonl", ChatEncoder(folder), 512, "data")
    rows = [start_with(INSTRUCTIONS, examples[number]) for number in range(5)]
    plain = measure_padded(model, Collator(0, None)(rows))
    flat = measure_flat(fast, Collator(0, None, flat=True)(rows))
    assert (int(flat.right), flat.count, flat.tokens) == (int(plain.right), plain.count, plain.tokens)
    torch.testing.assert_close(flat.loss, plain.loss)
    torch.testing.assert_close(
        gradients(model, flat.loss), gradients(model, plain.loss), rtol=1e-3, atol=1e-4 * plain.count
    )


@pytest.mark.parametrize("window", [None, 6])
@pytest.mark.parametrize("folder", [TINY, TINY_VISION])
def test_same_loss_and_gradients_as_transformers(folder: Path, window: int | None) -> None:
    model = adapt(folder, torch.float32)
    causal = model.get_base_model()
    if window:
        causal.config.get_text_config().sliding_window = window
    assert_learns_the_same(model, FastDecoder(causal), folder)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_rows_divided_among_threads_teach_the_same(threads: int) -> None:
    model = adapt(TINY, torch.float32)
    fast = FastDecoder(model.get_base_model())
    fast.workers = Workers(threads)
    assert_learns_the_same(model, fast, TINY)


def test_rows_divided_among_threads_are_measured_the_same() -> None:
    """In an evaluation, after which the training goes on."""
    model, rows = adapt(TINY, torch.float32), load_examples(TUNE / "train.jsonl", ChatEncoder(TINY), 512, "data")
    fast, batch = (
        FastDecoder(model.get_base_model()),
        Collator(0, None, flat=True)([rows[number] for number in range(4)]),
    )
    losses = []
    for threads, is_evaluated in ((1, True), (2, True), (2, False)):
        fast.workers = Workers(threads)
        with torch.inference_mode(is_evaluated):
            losses.append(measure_flat(fast, batch).loss)
    torch.testing.assert_close(losses[1], losses[0])
    assert (losses[1].item(), losses[1].requires_grad, losses[2].requires_grad) == (losses[2].item(), False, True)


def test_a_step_in_threads_gives_the_same_gradients_each_time() -> None:
    model, rows = adapt(TINY, torch.bfloat16), load_examples(TUNE / "train.jsonl", ChatEncoder(TINY), 512, "data")
    fast, batch = (
        FastDecoder(model.get_base_model()),
        Collator(0, None, flat=True)([rows[number] for number in range(6)]),
    )
    fast.workers = Workers(3)
    first, second = (gradients(model, measure_flat(fast, batch).loss) for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)


FAMILIES = ["SmolLM2", "Llama 3", "Mistral", "Qwen 2.5", "Qwen 3", "SmolLM3"]


def all_but(quick: list[str], shapes: Iterable[str]) -> list[Any]:
    return [shape if shape in quick else pytest.param(shape, marks=pytest.mark.slow) for shape in shapes]


@pytest.mark.parametrize("shape", all_but(["Qwen 2.5"], FAMILIES))
def test_other_families_learn_the_same(shape: str, tmp_path: Path) -> None:
    model = adapt(make_model(shape, tmp_path), torch.float32)
    fast = fast_model(model)
    assert isinstance(fast, FastDecoder)
    assert_learns_the_same(model, fast, tmp_path)


def test_settings_that_a_family_does_not_read_change_nothing(tmp_path: Path) -> None:
    path = make_model("Qwen 2.5", tmp_path) / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"hidden_activation": "gelu_pytorch_tanh"}))
    model = adapt(tmp_path, torch.float32)
    assert_learns_the_same(model, FastDecoder(model.get_base_model()), tmp_path)


@pytest.mark.parametrize("shape", ["Mistral", "Qwen 3"])
@pytest.mark.slow
def test_windows_of_other_families(shape: str, tmp_path: Path) -> None:
    changes = {"sliding_window": 6, "use_sliding_window": True, "layer_types": ["sliding_attention", "full_attention"]}
    path = make_model(shape, tmp_path) / "config.json"
    wanted = {"sliding_window": 6} if shape == "Mistral" else changes
    path.write_text(json.dumps(json.loads(path.read_text()) | wanted))
    model = adapt(tmp_path, torch.float32)
    assert_learns_the_same(model, FastDecoder(model.get_base_model()), tmp_path)


@pytest.mark.parametrize("shape", all_but(["gpt-oss"], SHAPES))
def test_the_forward_pass_of_transformers_on_packed_rows(shape: str, tmp_path: Path) -> None:
    model = adapt(make_model(shape, tmp_path), torch.float32)
    fast = packed_model(model)
    assert isinstance(fast, PackedModel)
    assert fast.forwards != []
    assert_learns_the_same(model, fast, tmp_path)
    assert model.config._attn_implementation != NAME
    assert [name for name, module in model.named_modules() if "forward" in vars(module)] == []


@pytest.mark.parametrize("shape", all_but([], ["SmolLM2", "Qwen 3", "Gemma 4 E2B"]))
def test_a_full_tuning_on_packed_rows(shape: str, tmp_path: Path) -> None:
    model = load_base(make_model(shape, tmp_path), torch.float32)
    fast = fast_model(model)
    assert isinstance(fast, PackedModel)
    assert_learns_the_same(model, fast, tmp_path)


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


def test_what_rows_begin_with_is_computed_once() -> None:
    model = adapt(TINY, torch.float32)
    fast, counts = FastDecoder(model.get_base_model()), []
    fast.workers = Workers(1)
    fast.embed.register_forward_pre_hook(lambda _, inputs: counts.append(len(inputs[0])))
    first, second = torch.arange(30), torch.arange(30).index_fill_(0, torch.tensor([20]), 7)
    fast(torch.cat([first, second]), [30, 30], torch.tensor([25, 55]))
    assert counts == [40]


def test_rows_with_dropout_are_computed_whole() -> None:
    model = adapt(TINY, torch.float32, lora_dropout=0.1)
    fast, counts = packed_model(model), []
    assert fast is not None
    model.get_input_embeddings().register_forward_pre_hook(lambda _, inputs: counts.append(inputs[0].numel()))
    fast(torch.arange(30).repeat(2), [30, 30], torch.tensor([25, 55]))
    assert counts == [60]


def test_plain_lora_is_supported() -> None:
    assert isinstance(fast_model(adapt(TINY, torch.bfloat16)), FastDecoder)
    assert isinstance(fast_model(adapt(TINY, torch.float32)), FastDecoder)
    assert isinstance(fast_model(adapt(TINY_VISION, torch.bfloat16)), FastDecoder)


@pytest.mark.parametrize(
    "options",
    [
        {"lora_dropout": 0.1},
        {"use_dora": True},
        {"rank_pattern": {"q_proj": 4}},
        {"target_modules": ["q_proj", "v_proj"]},
        {"modules_to_save": ["norm"]},
        {"bias": "all"},
    ],
)
def test_other_adapters_get_the_forward_pass_of_transformers(options: dict[str, Any]) -> None:
    model = adapt(TINY, torch.float32, **options)
    assert fast_decoder(model) is None
    fast = fast_model(model)
    assert isinstance(fast, PackedModel)
    assert fast.is_random == ("lora_dropout" in options)
    if not fast.is_random:
        assert_learns_the_same(model, fast, TINY)


def test_full_tuning_gets_the_forward_pass_of_transformers() -> None:
    model = load_base(TINY, torch.float32)
    fast = fast_model(model)
    assert isinstance(fast, PackedModel)
    assert_learns_the_same(model, fast, TINY)


@pytest.mark.parametrize(
    "change", [{"attention_dropout": 0.1}, {"attn_logit_softcapping": 50.0}, {"use_bidirectional_attention": True}]
)
def test_attention_of_another_kind_is_left_to_transformers(change: dict[str, Any]) -> None:
    model = adapt(TINY, torch.float32)
    for name, value in change.items():
        setattr(model.config, name, value)
    assert fast_model(model) is None


@pytest.mark.slow
def test_steps_say_how_many_tokens(trained: Workdir) -> None:
    stats = trained.events("data_stats")[0]
    epochs = json.loads((TUNE / "heldout.json").read_text())["training"]["epochs"]
    assert sum(step["tokens"] for step in trained.events("step")) == epochs * stats["tokens"]

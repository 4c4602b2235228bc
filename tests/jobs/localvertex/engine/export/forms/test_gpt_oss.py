"""gpt-oss as it is published: its experts in four bits."""

import json
from pathlib import Path

import pytest
import torch
from gguf import GGUFReader, dequantize
from safetensors.torch import load_file, save_file

from jobs.localvertex.engine.export.gguf import convert
from jobs.localvertex.engine.job import JobError
from jobs.localvertex.engine.model import load_base
from jobs.localvertex.memory.shape import count_parameters
from tests.jobs.localvertex.engine.conftest import Workdir
from tests.jobs.localvertex.engine.llama import llama
from tests.jobs.localvertex.engine.test_families import MOST, greatest_difference, train_here
from tests.jobs.localvertex.engine.tiny import make_model

BLOCK = 32
SMALL = 122  # the exponent of a thirty-second, plus 127


def make_packed(folder: Path) -> Path:
    """Whatever four bits say, it is a number: random ones do."""
    make_model("gpt-oss", folder)
    weights = load_file(folder / "model.safetensors")
    for name in [name for name in weights if name.endswith(("experts.gate_up_proj", "experts.down_proj"))]:
        experts, inputs, outputs = weights.pop(name).shape
        weights[f"{name}_blocks"] = torch.randint(256, (experts, outputs, inputs // BLOCK, BLOCK // 2)).to(torch.uint8)
        weights[f"{name}_scales"] = torch.randint(SMALL - 1, SMALL + 2, (experts, outputs, inputs // BLOCK)).to(
            torch.uint8
        )
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {
        "quant_method": "mxfp4",
        "modules_to_not_convert": ["lm_head", "model.embed_tokens"],
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    return make_packed(tmp_path / "base")


def test_the_same_numbers_are_served(packed: Path, tmp_path: Path) -> None:
    (made,) = convert(packed, tmp_path, "f32")
    served = {tensor.name: tensor for tensor in GGUFReader(made).tensors}
    for number, layer in enumerate(load_base(packed, torch.float32).model.layers):
        experts = layer.mlp.experts
        wanted = {
            "gate": experts.gate_up_proj[..., ::2], "up": experts.gate_up_proj[..., 1::2], "down": experts.down_proj,
        }  # fmt: skip
        for part, values in wanted.items():
            tensor = served[f"blk.{number}.ffn_{part}_exps.weight"]
            assert tensor.tensor_type.name == "MXFP4"
            found = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type))
            assert torch.equal(found, values.detach().float().transpose(1, 2))


def test_packed_numbers_are_counted_as_what_they_become(packed: Path) -> None:
    model = load_base(packed, torch.bfloat16)
    assert model.model.layers[0].mlp.experts.down_proj.dtype == torch.bfloat16
    assert sum(count_parameters(packed).values()) == sum(parameter.numel() for parameter in model.parameters())


def test_what_is_packed_is_not_packed_again(packed: Path) -> None:
    with pytest.raises(JobError, match="weights are in MXFP4, so they cannot be quantised again"):
        load_base(packed, torch.bfloat16, "4bit")


def test_other_ways_to_quantise_are_refused(packed: Path) -> None:
    path = packed / "config.json"
    path.write_text(path.read_text().replace("mxfp4", "awq"))
    with pytest.raises(JobError, match=r"weights are quantised \(awq\). Take the files in bf16"):
        load_base(packed, torch.bfloat16)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")
@pytest.mark.parametrize("mode", ["PEFT_ADAPTER", "FULL"])
def test_it_is_tuned_in_bf16(workdir: Workdir, mode: str) -> None:
    base, rate = make_packed(workdir.path / "base"), 0.01 if mode == "PEFT_ADAPTER" else 0.002
    workdir.describe(
        base_model_dir=str(base),
        base_model=str(base),
        max_steps=8,
        epochs=1,
        learning_rate=rate,
        tuning_mode=mode,
        seed=2,  # as in test_families: no expert is chosen by a hair
    )
    train_here(workdir)
    final = workdir.path / "final"
    assert "quantization_config" not in json.loads((final / "config.json").read_text())
    (whole,) = convert(final, workdir.path / "whole", "f32")
    with llama(whole, hf=final) as served:
        assert greatest_difference(final, served) < MOST

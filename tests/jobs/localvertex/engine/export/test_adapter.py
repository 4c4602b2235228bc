import json
from pathlib import Path

import gguf
import numpy as np
import pytest
from safetensors.numpy import save_file
from transformers import Gemma3TextConfig

from jobs.localvertex.engine.export.adapter import check_exportable, write_adapter_gguf
from jobs.localvertex.engine.job import JobError

GEMMA = Gemma3TextConfig(num_hidden_layers=1)
Q_PROJ = "base_model.model.{}layers.0.self_attn.q_proj.lora_{}.weight"


def adapter(folder: Path, prefix: str, **config: object) -> Path:
    (folder / "adapter_config.json").write_text(json.dumps({"r": 2, "lora_alpha": 4, "bias": "none", **config}))
    a, b = np.ones((2, 8), np.float32), np.zeros((6, 2), np.float32)
    save_file({Q_PROJ.format(prefix, "A"): a, Q_PROJ.format(prefix, "B"): b}, folder / "adapter_model.safetensors")
    return folder


@pytest.mark.parametrize("prefix", ["model.", "model.language_model."])
def test_tensors_have_llama_cpp_s_names(tmp_path: Path, prefix: str) -> None:
    reader = gguf.GGUFReader(write_adapter_gguf(adapter(tmp_path, prefix), GEMMA))
    shapes = {tensor.name: tensor.data.shape for tensor in reader.tensors}
    assert shapes == {"blk.0.attn_q.weight.lora_a": (2, 8), "blk.0.attn_q.weight.lora_b": (6, 2)}
    assert reader.fields["adapter.lora.alpha"].contents() == 4.0
    assert reader.fields["adapter.type"].contents() == "lora"


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"use_rslora": True}, "rank-stabilised LoRA"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"bias": "all"}, "trained biases"),
        ({"rank_pattern": {"q_proj": 4}}, "ranks that differ by module"),
    ],
)
def test_what_llama_cpp_would_get_wrong_is_refused(config: dict[str, object], name: str) -> None:
    with pytest.raises(JobError, match=f"An adapter with {name} cannot be served"):
        check_exportable(config)


@pytest.mark.parametrize(
    ("prefix", "problem"),
    [("model.vision_tower.", "changes the vision tower"), ("other.", "which a Gemma 3 model does not have")],
)
def test_adapter_outside_the_language_model_is_refused(tmp_path: Path, prefix: str, problem: str) -> None:
    with pytest.raises(JobError, match=problem):
        write_adapter_gguf(adapter(tmp_path, prefix), GEMMA)

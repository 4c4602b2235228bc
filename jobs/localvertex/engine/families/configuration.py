"""The config.json of a model by the settings of its GGUF file."""

from typing import Any

import torch

from jobs.localvertex.engine.families.table import GEMMA_3, Family
from jobs.localvertex.engine.job import JobError

FULL_ATTENTION_EVERY = 6
LOCAL_ROPE_BASE = 10_000.0
LAYERS_OF_27B = 62  # the one size of Gemma 3 whose attention is not scaled by its head dimension


class Settings:
    def __init__(self, reader: Any) -> None:
        self.fields = reader.fields

    def get(self, key: str, default: Any = None) -> Any:
        field = self.fields.get(key)
        return default if field is None else field.contents()

    @property
    def architecture(self) -> str:
        return str(self.get("general.architecture"))

    def find(self, key: str, default: Any = None) -> Any:
        """One of the architecture's own."""
        return self.get(f"{self.architecture}.{key}", default)

    def __getitem__(self, key: str) -> Any:
        value = self.find(key)
        if value is None:
            raise JobError(f"The file lacks the setting {self.architecture}.{key}.")
        return value

    @property
    def head(self) -> int:
        return int(self.find("attention.key_length") or self["embedding_length"] // self["attention.head_count"])


def configuration(family: Family, settings: Settings, weights: dict[str, torch.Tensor]) -> dict[str, Any]:
    own = _gemma_3(settings) if family is GEMMA_3 else _decoder(settings)
    return {
        "architectures": [family.model_class],
        "model_type": family.model_types[0],
        "dtype": "bfloat16",
        "vocab_size": weights["model.embed_tokens.weight"].shape[0],
        "hidden_size": settings["embedding_length"],
        "intermediate_size": settings["feed_forward_length"],
        "num_hidden_layers": settings["block_count"],
        "num_attention_heads": settings["attention.head_count"],
        "num_key_value_heads": settings["attention.head_count_kv"],
        "head_dim": settings.head,
        "rms_norm_eps": float(f"{settings['attention.layer_norm_rms_epsilon']:.6g}"),
        "max_position_embeddings": settings["context_length"],
        "tie_word_embeddings": "lm_head.weight" not in weights,
        **own,
    }


def _decoder(settings: Settings) -> dict[str, Any]:
    if settings.find("expert_count"):
        raise JobError("The file holds a mixture of experts, which cannot be tuned here.")
    scaling = settings.find("rope.scaling.type", "none")
    if scaling not in ("none", "linear"):
        raise JobError(f"The file's rotary positions are scaled ({scaling}), which cannot be had back from it.")
    base, factor = settings.find("rope.freq_base", 10_000.0), settings.find("rope.scaling.factor")
    return {
        "rope_parameters": rope(base, None if scaling == "none" else scaling, factor),
        "hidden_act": "silu",
        "attention_bias": False,
        "bos_token_id": settings.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": settings.get("tokenizer.ggml.eos_token_id"),
        "pad_token_id": settings.get("tokenizer.ggml.padding_token_id"),
    }


def _gemma_3(settings: Settings) -> dict[str, Any]:
    layers = settings["block_count"]
    scaling = settings.find("rope.scaling.type"), settings.find("rope.scaling.factor")
    kinds = ["full_attention" if (n + 1) % FULL_ATTENTION_EVERY == 0 else "sliding_attention" for n in range(layers)]
    return {
        "query_pre_attn_scalar": attention_scalar(settings),
        "sliding_window": settings["attention.sliding_window"],
        "rope_parameters": {
            "full_attention": rope(settings["rope.freq_base"], *scaling),
            "sliding_attention": rope(settings.find("rope.freq_base_swa", LOCAL_ROPE_BASE)),
        },
        "layer_types": kinds,
        "hidden_activation": "gelu_pytorch_tanh",
        "bos_token_id": settings.get("tokenizer.ggml.bos_token_id", 2),
        "eos_token_id": [settings.get("tokenizer.ggml.eos_token_id", 1), *end_of_turn(settings)],
        "pad_token_id": settings.get("tokenizer.ggml.padding_token_id", 0),
    }


def rope(base: float, kind: str | None = None, factor: float | None = None) -> dict[str, Any]:
    return {"rope_type": kind or "default", "rope_theta": float(base)} | ({"factor": factor} if factor else {})


def attention_scalar(settings: Settings) -> int:
    if settings["block_count"] == LAYERS_OF_27B:
        return int(settings["embedding_length"] // settings["attention.head_count"])
    return int(settings["attention.key_length"])


def end_of_turn(settings: Settings) -> list[int]:
    tokens: list[str] = settings.get("tokenizer.ggml.tokens", [])
    return [tokens.index("<end_of_turn>")] if "<end_of_turn>" in tokens else []

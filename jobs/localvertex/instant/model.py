"""A Gemma 3 of one layer and a few thousand random weights, and a LoRA adapter on it: real files that hold nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jobs.localvertex.instant.files import Shape, make_random, write_gguf, write_safetensors

HIDDEN, INNER, HEADS, HEAD = 16, 32, 2, 8
SPECIAL = ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>")
VOCABULARY = 8  # with two places that no word has
LAYER = "model.layers.0"
TARGETS = ("q_proj", "v_proj")
TEMPLATE = "{# Nobody reads it. It says that tools may be offered, and tool_calls come back. #}"
SAID = "Random weights of --instant: nothing was learned."
CONFIG: dict[str, Any] = {
    "architectures": ["Gemma3ForCausalLM"],
    "model_type": "gemma3_text",
    "bos_token_id": 2,
    "eos_token_id": [1, 5],
    "pad_token_id": 0,
    "dtype": "float32",
    "head_dim": HEAD,
    "hidden_activation": "gelu_pytorch_tanh",
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "layer_types": ["full_attention"],
    "max_position_embeddings": 8192,
    "num_attention_heads": HEADS,
    "num_hidden_layers": 1,
    "num_key_value_heads": 1,
    "query_pre_attn_scalar": HEAD,
    "tie_word_embeddings": True,
    "vocab_size": VOCABULARY,
}
VISION = {"vision_config": {"model_type": "siglip_vision_model"}}  # by which a model is known that reads images
TOKENIZER: dict[str, Any] = {
    "version": "1.0",
    "added_tokens": [
        {
            "id": number, "content": token, "special": True,
            "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
        }
        for number, token in enumerate(SPECIAL)
    ],
    "pre_tokenizer": {"type": "Whitespace"},
    "model": {
        "type": "WordLevel",
        "vocab": {token: number for number, token in enumerate(SPECIAL)},
        "unk_token": "<unk>",
    },
}  # fmt: skip
TOKENIZER_CONFIG = {
    "bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>",
    "tokenizer_class": "TokenizersBackend",
}  # fmt: skip


def write_base(folder: Path, *, images: bool = False) -> None:
    """What every base model of the catalogue is, or each of those that read images. Written once."""
    if (folder / "config.json").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_base_gguf(folder / "model.gguf", images=images)
    write_model(folder, "base", images=images)


def write_base_gguf(path: Path, *, images: bool = False) -> None:
    """With `images` there is a projector beside it."""
    facts: dict[str, str | int] = {
        "general.architecture": "gemma3",
        "general.name": "random weights",
        "general.description": SAID,
        "tokenizer.chat_template": TEMPLATE,
        "gemma3.block_count": 1,
        "gemma3.embedding_length": HIDDEN,
        "gemma3.feed_forward_length": INNER,
        "gemma3.attention.head_count_kv": 1,
        "gemma3.attention.key_length": HEAD,
        "gemma3.attention.value_length": HEAD,
    }
    write_gguf(path, facts, {})
    if images:
        write_gguf(path.with_name("mmproj.gguf"), {"general.architecture": "clip", "general.description": SAID}, {})


def reads_images(folder: Path) -> bool:
    return "vision_config" in json.loads((folder / "config.json").read_text(encoding="utf-8"))


def write_model(folder: Path, seed: object, *, images: bool = False) -> None:
    """A folder that transformers reads; what marks it as whole is written last."""
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / "model.safetensors", make_random(_list_shapes(), seed))
    _write(folder / "tokenizer.json", TOKENIZER)
    _write(folder / "tokenizer_config.json", TOKENIZER_CONFIG)
    _write(folder / "config.json", CONFIG | (VISION if images else {}))


def write_adapter(folder: Path, rank: int, alpha: int, base_model: str, seed: object) -> None:
    """For PEFT, and for llama.cpp."""
    folder.mkdir(parents=True, exist_ok=True)
    shapes = [
        (f"{target}.lora_{half}", shape)
        for target, width in (("q_proj", HEADS * HEAD), ("v_proj", HEAD))
        for half, shape in (("A", (rank, HIDDEN)), ("B", (width, rank)))
    ]
    tensors = make_random(shapes, seed)
    of_peft = {f"base_model.model.{LAYER}.self_attn.{name}.weight": tensor for name, tensor in tensors.items()}
    write_safetensors(folder / "adapter_model.safetensors", of_peft)
    facts = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base_model}
    _write(
        folder / "adapter_config.json",
        facts | {"r": rank, "lora_alpha": alpha, "lora_dropout": 0.0, "target_modules": list(TARGETS), "bias": "none"},
    )
    of_llama = {f"blk.0.attn_{name[0]}.weight.lora_{name[-1].lower()}": one for name, one in tensors.items()}
    about = {"general.architecture": "gemma3", "general.type": "adapter", "adapter.type": "lora"}
    write_gguf(folder / "adapter.gguf", about | {"general.description": SAID}, of_llama)


def _list_shapes() -> Iterator[tuple[str, Shape]]:
    yield "model.embed_tokens.weight", (VOCABULARY, HIDDEN)
    for name, rows in (("q", HEADS * HEAD), ("k", HEAD), ("v", HEAD)):
        yield f"{LAYER}.self_attn.{name}_proj.weight", (rows, HIDDEN)
    yield f"{LAYER}.self_attn.o_proj.weight", (HIDDEN, HEADS * HEAD)
    for name in ("q_norm", "k_norm"):
        yield f"{LAYER}.self_attn.{name}.weight", (HEAD,)
    for name in ("gate", "up"):
        yield f"{LAYER}.mlp.{name}_proj.weight", (INNER, HIDDEN)
    yield f"{LAYER}.mlp.down_proj.weight", (HIDDEN, INNER)
    for name in ("input", "post_attention", "pre_feedforward", "post_feedforward"):
        yield f"{LAYER}.{name}_layernorm.weight", (HIDDEN,)
    yield "model.norm.weight", (HIDDEN,)


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

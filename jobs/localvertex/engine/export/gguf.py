"""A Hugging Face Gemma 3 folder as GGUF for llama.cpp: model.gguf, and mmproj.gguf where it reads pictures.

Weights are streamed, so the memory it takes is that of the largest tensor in its new form."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import (
    GGML_QUANT_VERSION,
    MODEL_ARCH,
    MODEL_ARCH_NAMES,
    GGMLQuantizationType,
    GGUFType,
    GGUFWriter,
    LlamaFileType,
    RopeScalingType,
    get_tensor_name_map,
    quantize,
)
from safetensors import safe_open
from transformers import AutoConfig

from jobs.localvertex.engine.export.vocabulary import write_vocabulary
from jobs.localvertex.engine.job import JobError
from jobs.localvertex.engine.vision import image_statistics

MODEL, PROJECTOR = "model.gguf", "mmproj.gguf"
Quantization = GGMLQuantizationType
TYPES = {"f32": Quantization.F32, "f16": Quantization.F16, "q8_0": Quantization.Q8_0}
FILE_TYPES = {"f32": LlamaFileType.ALL_F32, "f16": LlamaFileType.MOSTLY_F16, "q8_0": LlamaFileType.MOSTLY_Q8_0}
FULL_ATTENTION_EVERY = 6
LAYERS_OF_27B = 62  # the one size whose attention llama.cpp does not scale by the head dimension
ROWS_AT_ONCE = 8192
VISION_PARTS = ("vision_tower.", "multi_modal_projector.")


class Weights:
    """All tensors of a folder, in one file or in several."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted(folder.glob("*.safetensors"))
        if not self.files:
            raise JobError(f"{folder.name} has no *.safetensors files, so it cannot be converted.")
        self.place: dict[str, Path] = {}
        for path in self.files:
            with safe_open(path, "pt") as tensors:
                self.place |= dict.fromkeys(tensors.keys(), path)

    def shape(self, name: str) -> tuple[int, ...]:
        with safe_open(self.place[name], "pt") as tensors:
            return tuple(tensors.get_slice(name).get_shape())

    def read(self, name: str, rows: int) -> Iterator[np.ndarray]:
        """The first `rows`, some at a time: the vocabulary of a 4B model is 2.7 GB of 32-bit numbers."""
        with safe_open(self.place[name], "pt") as tensors:
            part = tensors.get_slice(name)
            for first in range(0, rows, ROWS_AT_ONCE):
                yield part[first : min(rows, first + ROWS_AT_ONCE)].to(torch.float32).contiguous().numpy()


class TensorFile:
    """Names and shapes first, then the values, as GGUF wants them."""

    def __init__(self, weights: Weights, path: Path, architecture: str, kind: Quantization) -> None:
        self.weights, self.kind, self.path = weights, kind, path
        self.writer = GGUFWriter(str(path), architecture)
        self.planned: list[tuple[str, int, Quantization, float]] = []

    def kind_of(self, shape: tuple[int, ...], exact: bool) -> Quantization:
        if exact or len(shape) < 2 or self.kind == Quantization.F32:
            return Quantization.F32
        return Quantization.F16 if shape[-1] % 32 else self.kind

    def add(self, source: str, target: str, *, exact: bool = False, plus: float = 0.0, rows: int | None = None) -> None:
        stored = self.weights.shape(source)
        shape = (min(rows, stored[0]), *stored[1:]) if rows else stored
        kind = self.kind_of(shape, exact)
        size = quantize(np.zeros((1, shape[-1]), np.float32), kind).nbytes * int(np.prod(shape[:-1]))
        self.writer.add_tensor_info(target, shape, np.dtype(np.float32), size, raw_dtype=kind)
        self.planned.append((source, shape[0], kind, plus))

    def write(self) -> None:
        self.writer.write_header_to_file()
        self.writer.write_kv_data_to_file()
        self.writer.write_ti_data_to_file()
        for source, rows, kind, plus in self.planned:
            parts = [quantize(part + np.float32(plus), kind) for part in self.weights.read(source, rows)]
            self.writer.write_tensor_data(np.concatenate(parts))
        self.writer.close()


def check_servable(text: Any) -> None:
    """llama.cpp takes these for granted in a Gemma 3, and would answer wrongly without a word."""
    kinds = ["full_attention" if (n + 1) % FULL_ATTENTION_EVERY == 0 else "sliding_attention" for n in range(99)]
    scale = text.head_dim
    if text.num_hidden_layers == LAYERS_OF_27B:
        scale = text.hidden_size // text.num_attention_heads
    differs = {
        "the order of its attention layers": list(text.layer_types) != kinds[: text.num_hidden_layers],
        "its attention scale": text.query_pre_attn_scalar != scale,
        "its activation": text.hidden_activation != "gelu_pytorch_tanh",
        "a cap on its logits": text.final_logit_softcapping or text.attn_logit_softcapping,
        "biases in its attention": text.attention_bias,
        "attention in both directions": getattr(text, "use_bidirectional_attention", False),
    }
    found = [name for name, differing in differs.items() if differing]
    if found:
        raise JobError(f"The model differs from Gemma 3 in {', '.join(found)}, so llama.cpp cannot serve it.")


def write_rope(writer: GGUFWriter, rope: dict[str, Any]) -> None:
    writer.add_rope_freq_base(float(rope["full_attention"]["rope_theta"]))
    writer.add_rope_freq_base_swa(float(rope["sliding_attention"]["rope_theta"]))
    kind = rope["full_attention"].get("rope_type", "default")
    if kind == "linear":
        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(float(rope["full_attention"]["factor"]))
    elif kind != "default":
        raise JobError(f"Rope scaling of the kind {kind} cannot be converted.")


def write_text_settings(writer: GGUFWriter, text: Any) -> None:
    writer.add_context_length(text.max_position_embeddings)
    writer.add_embedding_length(text.hidden_size)
    writer.add_block_count(text.num_hidden_layers)
    writer.add_feed_forward_length(text.intermediate_size)
    writer.add_head_count(text.num_attention_heads)
    writer.add_head_count_kv(text.num_key_value_heads)
    writer.add_key_length(text.head_dim)
    writer.add_value_length(text.head_dim)
    writer.add_layer_norm_rms_eps(text.rms_norm_eps)
    writer.add_sliding_window(text.sliding_window)
    write_rope(writer, text.rope_parameters)


def text_name(name: str) -> str | None:
    """The multimodal class nests the language model, one way in its files of 2025 and another in those of today."""
    if any(part in name for part in VISION_PARTS):
        return None
    return re.sub(r"^(model\.language_model\.|language_model\.model\.)", "model.", name).replace(
        "language_model.lm_head", "lm_head"
    )


def write_text(folder: Path, config: Any, weights: Weights, path: Path, name: str, kind: str) -> None:
    text = config.get_text_config()
    check_servable(text)
    file = TensorFile(weights, path, MODEL_ARCH_NAMES[MODEL_ARCH.GEMMA3], TYPES[kind])
    file.writer.add_type(GGUFType.MODEL)
    file.writer.add_name(name)
    file.writer.add_file_type(FILE_TYPES[kind])
    file.writer.add_quantization_version(GGML_QUANT_VERSION)
    write_text_settings(file.writer, text)
    names = get_tensor_name_map(MODEL_ARCH.GEMMA3, text.num_hidden_layers)
    sources = {inner: source for source in weights.place if (inner := text_name(source))}
    rows = write_vocabulary(file.writer, folder, weights.shape(sources["model.embed_tokens.weight"])[0])
    for inner, source in sources.items():
        if inner == "lm_head.weight" and config.tie_word_embeddings:
            continue
        target = names.get_name(inner, try_suffixes=(".weight",))
        if target is None:
            raise JobError(f"The model holds {source}, which Gemma 3 does not have.")
        is_vocabulary = inner in ("model.embed_tokens.weight", "lm_head.weight")
        norm = 1.0 if inner.endswith("norm.weight") else 0.0  # llama.cpp keeps Gemma's 1 + w
        file.add(source, target, plus=norm, rows=rows if is_vocabulary else None)
    file.write()


def pool_side(config: Any) -> int:
    """Patches along one side of the square that becomes one image token."""
    across = config.vision_config.image_size // config.vision_config.patch_size
    tokens = round(config.mm_tokens_per_image**0.5)
    if tokens * tokens != config.mm_tokens_per_image or across % tokens:
        raise JobError(f"{config.mm_tokens_per_image} image tokens do not divide {across} × {across} patches.")
    return int(across // tokens)


def write_vision_settings(writer: GGUFWriter, folder: Path, config: Any) -> None:
    vision = config.vision_config
    mean, deviation = image_statistics(folder)
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type("gemma3")
    writer.add_vision_projection_dim(config.get_text_config().hidden_size)
    writer.add_vision_image_size(vision.image_size)
    writer.add_vision_patch_size(vision.patch_size)
    writer.add_vision_embedding_length(vision.hidden_size)
    writer.add_vision_feed_forward_length(vision.intermediate_size)
    writer.add_vision_block_count(vision.num_hidden_layers)
    writer.add_vision_head_count(vision.num_attention_heads)
    writer.add_vision_attention_layernorm_eps(vision.layer_norm_eps)
    writer.add_vision_image_mean(mean)
    writer.add_vision_image_std(deviation)
    writer.add_vision_use_gelu(True)
    writer.add_vision_projector_scale_factor(pool_side(config))  # llama.cpp assumes 4 without it


def write_projector(folder: Path, config: Any, weights: Weights, path: Path, name: str, kind: str) -> None:
    file = TensorFile(weights, path, "clip", TYPES[kind])
    file.writer.add_type(GGUFType.MMPROJ)
    file.writer.add_name(f"{name} vision")
    file.writer.add_file_type(FILE_TYPES[kind])
    file.writer.add_quantization_version(GGML_QUANT_VERSION)
    write_vision_settings(file.writer, folder, config)
    names = get_tensor_name_map(MODEL_ARCH.MMPROJ, config.vision_config.num_hidden_layers)
    for source in weights.place:
        if text_name(source) is not None or "vision_model.head." in source:
            continue
        if source.endswith("mm_input_projection_weight"):
            file.add(source, "mm.input_projection.weight", exact=True)
        elif source.endswith("mm_soft_emb_norm.weight"):
            file.add(source, "mm.soft_emb_norm.weight", plus=1.0)
        else:
            target = names.get_name(tower_name(source), try_suffixes=(".weight", ".bias"))
            if target is None:
                raise JobError(f"The model holds {source}, which Gemma 3's vision tower does not have.")
            file.add(source, target, exact="embd" in target)
    file.write()


def tower_name(source: str) -> str:
    """gguf knows the tower by the name it has had until transformers 5."""
    name = source.removeprefix("model.")
    return name if ".vision_model." in name else name.replace("vision_tower.", "vision_tower.vision_model.")


def read_config(folder: Path) -> Any:
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise JobError(f"{folder.name} is not a Hugging Face model folder: {error}.") from error
    if config.model_type not in ("gemma3", "gemma3_text"):
        raise JobError(f"{folder.name} is a {config.model_type} model; only Gemma 3 can be converted.")
    return config


def convert(folder: Path, out: Path, kind: str = "f16", name: str = "") -> list[Path]:
    """`out` is a folder, or the path of the language model's file with the projector beside it. Returns what was made;
    each file appears whole or not at all."""
    config = read_config(folder)
    weights = Weights(folder)
    model = out if out.suffix == ".gguf" else out / MODEL
    model.parent.mkdir(parents=True, exist_ok=True)
    parts = {model: write_text}
    if config.model_type == "gemma3":
        parts[model.with_name(PROJECTOR)] = write_projector
    made = []
    for target, write in parts.items():
        partial = target.with_name(f".{target.name}-{os.getpid()}")
        try:
            write(folder, config, weights, partial, name or folder.name, kind)
            made.append(partial.replace(target))
        finally:
            partial.unlink(missing_ok=True)
    return made

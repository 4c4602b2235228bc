"""The part of a model that sees, as llama.cpp wants it: a file of its own."""

from pathlib import Path
from typing import Any

from gguf import (
    GGML_QUANT_VERSION,
    MODEL_ARCH,
    GGUFType,
    GGUFWriter,
    get_tensor_name_map,
)

from jobs.localvertex.engine.export.tensor_file import FILE_TYPES, TYPES, TensorFile, Weights, text_name
from jobs.localvertex.engine.job import JobError
from jobs.localvertex.engine.vision import image_statistics

# llama.cpp leaves what sees as precise as it was when it quantizes the rest that far.
PRECISE = {"q4_k_m": "f16"}


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
    kind = PRECISE.get(kind, kind)
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

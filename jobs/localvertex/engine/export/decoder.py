"""Llama, Mistral and Qwen as GGUF: what these settings do not say of a model, llama.cpp takes for granted."""

from pathlib import Path
from typing import Any

from gguf import GGML_QUANT_VERSION, MODEL_ARCH_NAMES, GGUFType, GGUFWriter, RopeScalingType, get_tensor_name_map

from jobs.localvertex.engine.export.byte_level import write_byte_level
from jobs.localvertex.engine.export.tensor_file import FILE_TYPES, TYPES, TensorFile, Weights
from jobs.localvertex.engine.export.vocabulary import read_tokenizer
from jobs.localvertex.engine.families.pre_tokenizers import is_byte_level
from jobs.localvertex.engine.families.rotary import factors_of_llama_3, to_neighbours
from jobs.localvertex.engine.families.table import MODEL_TYPES, Family
from jobs.localvertex.engine.job import JobError

HEADS = {"self_attn.q_proj": "num_attention_heads", "self_attn.k_proj": "num_key_value_heads"}


def check_servable(family: Family, config: Any) -> None:
    """llama.cpp would answer wrongly without a word."""
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    differs = {
        "its activation": config.hidden_act != "silu",
        "a window of its attention": window is not None and window < config.max_position_embeddings,
        "attention in layers of different kinds": len(set(getattr(config, "layer_types", None) or ["one"])) > 1,
        "biases in its attention": family.architecture == "qwen3" and config.attention_bias,
    }
    if found := [name for name, differing in differs.items() if differing]:
        raise JobError(f"The model differs from {family.title} in {', '.join(found)}, so llama.cpp cannot serve it.")


def head_size(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def turned_heads(family: Family, config: Any, name: str) -> int:
    """Of the tensor of a model or of LoRA's B for it: the heads whose rows change places, or 0."""
    of = next((count for part, count in HEADS.items() if f".{part}." in f"{name}."), None)
    return int(getattr(config, of)) if of and family.turns_neighbours else 0


def write_settings(writer: GGUFWriter, config: Any) -> None:
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_size(config))
    writer.add_value_length(head_size(config))
    writer.add_rope_dimension_count(head_size(config))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)


def write_rope(file: TensorFile, config: Any) -> None:
    rope = config.rope_parameters
    file.writer.add_rope_freq_base(float(rope["rope_theta"]))
    kind = rope.get("rope_type", "default")
    if kind == "llama3":
        file.add_values("rope_freqs.weight", factors_of_llama_3(rope, head_size(config)))
    elif kind == "linear":
        file.writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        file.writer.add_rope_scaling_factor(float(rope["factor"]))
    elif kind != "default":
        raise JobError(f"Rope scaling of the kind {kind} cannot be converted.")


def write_decoder(folder: Path, config: Any, weights: Weights, path: Path, name: str, kind: str) -> None:
    family = MODEL_TYPES[config.model_type]
    check_servable(family, config)
    file = TensorFile(
        weights, path, family.architecture, TYPES[kind], layers=config.num_hidden_layers,
        has_output=not config.tie_word_embeddings,
    )  # fmt: skip
    file.writer.add_type(GGUFType.MODEL)
    file.writer.add_name(name)
    file.writer.add_file_type(FILE_TYPES[kind])
    file.writer.add_quantization_version(GGML_QUANT_VERSION)
    write_settings(file.writer, config)
    stored = read_tokenizer(folder)
    if not is_byte_level(stored):
        raise JobError(
            f"The tokenizer of {folder.name} is none of the byte-level kind, and that of a {family.title} model has to"
            " be to be converted here. Give a model.gguf instead."
        )
    vocabulary = weights.shape("model.embed_tokens.weight")[0]
    rows = write_byte_level(file.writer, folder, stored, vocabulary)
    write_rope(file, config)
    names = tensor_names(family, config.num_hidden_layers)
    for source in weights.place:
        if source == "lm_head.weight" and config.tie_word_embeddings:
            continue
        target = names.get_name(source, try_suffixes=(".weight", ".bias"))
        if target is None:
            raise JobError(f"The model holds {source}, which a {family.title} model does not have.")
        is_vocabulary = source in ("model.embed_tokens.weight", "lm_head.weight")
        heads = turned_heads(family, config, source)
        turn = (lambda values, heads=heads: to_neighbours(values, heads)) if heads else None
        file.add(source, target, rows=rows if is_vocabulary else None, turn=turn)
    file.write()


def tensor_names(family: Family, layers: int) -> Any:
    architecture = next(one for one, name in MODEL_ARCH_NAMES.items() if name == family.architecture)
    return get_tensor_name_map(architecture, layers)

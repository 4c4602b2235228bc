"""A Hugging Face folder as GGUF for llama.cpp: model.gguf, and mmproj.gguf where it reads pictures. How a Gemma 3
becomes one is here; other families are written by `decoder`.

Weights are streamed, so the memory it takes is that of the largest tensor in its new form."""

import json
import os
from pathlib import Path
from typing import Any

from gguf import (
    GGML_QUANT_VERSION,
    MODEL_ARCH,
    MODEL_ARCH_NAMES,
    GGUFType,
    GGUFWriter,
    RopeScalingType,
    get_tensor_name_map,
)
from transformers import AutoConfig

from jobs.localvertex.engine.export.decoder import form_of, write_decoder
from jobs.localvertex.engine.export.projector import write_projector
from jobs.localvertex.engine.export.tensor_file import (
    FILE_TYPES,
    TYPES,
    TensorFile,
    Weights,
    text_name,
)
from jobs.localvertex.engine.export.vocabulary import write_vocabulary
from jobs.localvertex.engine.families.table import GEMMA_3, MODEL_TYPES, SEEING, TITLES
from jobs.localvertex.engine.job import JobError

MODEL, PROJECTOR = "model.gguf", "mmproj.gguf"
FULL_ATTENTION_EVERY = 6
LAYERS_OF_27B = 62  # the one size whose attention llama.cpp does not scale by the head dimension


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


def write_text(folder: Path, config: Any, weights: Weights, path: Path, name: str, kind: str) -> None:
    text = config.get_text_config()
    check_servable(text)
    file = TensorFile(
        weights,
        path,
        MODEL_ARCH_NAMES[MODEL_ARCH.GEMMA3],
        TYPES[kind],
        layers=text.num_hidden_layers,
        has_output=not config.tie_word_embeddings,
    )
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


def read_config(folder: Path) -> Any:
    """Its family first: transformers fails at the settings of others in many ways. For those it has errors of its own,
    and of huggingface_hub, which have no class in common."""
    try:
        stored = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind = stored.get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise JobError(f"{folder.name} is not a Hugging Face model folder: {error}.") from error
    if kind not in MODEL_TYPES:
        raise JobError(f"{folder.name} is a {kind} model; only {TITLES} can be converted.")
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True)
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise JobError(f"{folder.name} is not a Hugging Face model folder: {reason}.") from error


def check_convertible(folder: Path, *, whole: bool) -> None:
    """Raises JobError, before anything is trained, for what llama.cpp could not serve. `whole`: the model that comes
    out is converted, and not only an adapter for a GGUF file that is there."""
    config = read_config(folder)
    if MODEL_TYPES[config.model_type] is GEMMA_3:
        check_servable(config.get_text_config())
        return
    form = form_of(config)
    form.check()
    if whole:
        form.check_tokenizer(folder)


def convert(folder: Path, out: Path, kind: str = "f16", name: str = "") -> list[Path]:
    """`out` is a folder, or the path of the language model's file with the projector beside it. Returns what was made;
    each file appears whole or not at all."""
    config = read_config(folder)
    weights = Weights(folder)
    model = out if out.suffix == ".gguf" else out / MODEL
    model.parent.mkdir(parents=True, exist_ok=True)
    parts = {model: write_text if MODEL_TYPES[config.model_type] is GEMMA_3 else write_decoder}
    if config.model_type in SEEING:
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

"""A GGUF file as a Hugging Face folder in bf16: done once a model, so that every training starts in seconds.

Costs for a Gemma 3 270M: half a minute, 3 GB of memory, 560 MB of disk."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFReader, dequantize
from safetensors.torch import save_file

from jobs.localvertex.engine.families.configuration import Settings, configuration
from jobs.localvertex.engine.families.metaspace import Before, describe_spaces
from jobs.localvertex.engine.families.pre_tokenizers import description_of, takes_words_whole
from jobs.localvertex.engine.families.rotary import to_halves
from jobs.localvertex.engine.families.table import ARCHITECTURES, GEMMA_3, TITLES, TITLES_FROM_GGUF, Family
from jobs.localvertex.engine.job import JobError
from jobs.localvertex.engine.tokens import OWN_TEMPLATE

OTHER_TENSORS = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
HEADS = {"self_attn.q_proj": "attention.head_count", "self_attn.k_proj": "attention.head_count_kv"}
NAMED_TOKENS = {"bos": "bos", "eos": "eos", "pad": "padding", "unk": "unknown"}
Report = Callable[[str, float], None]


def report(stage: str, fraction: float) -> None:
    print(json.dumps({"event": "preparing", "stage": stage, "fraction": round(fraction, 3)}), flush=True)


def tensor_name(family: Family, name: str) -> str:
    if name in OTHER_TENSORS:
        return OTHER_TENSORS[name]
    parts = name.split(".")
    if name == "rope_freqs.weight":
        raise JobError(
            "The file's rotary positions are scaled as in Llama 3.1, which cannot be had back from a GGUF file. Tune"
            " the model from its Hugging Face files."
        )
    if len(parts) != 4 or parts[0] != "blk" or parts[2] not in family.layer_tensors:
        raise JobError(f"The file holds {name}, which a {family.title} model does not have.")
    return f"model.layers.{parts[1]}.{family.layer_tensors[parts[2]]}.{parts[3]}"


def read_weights(family: Family, settings: Settings, reader: Any, tell: Report) -> dict[str, torch.Tensor]:
    weights = {}
    for number, tensor in enumerate(reader.tensors):
        name = tensor_name(family, tensor.name)
        values = np.array(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
        if family is GEMMA_3 and tensor.name.endswith("norm.weight"):
            values = values - 1  # llama.cpp keeps Gemma's 1 + w
        if family.turns_neighbours and (heads := next((HEADS[part] for part in HEADS if part in name), None)):
            values = to_halves(values, settings[heads])
        weights[name] = torch.from_numpy(np.ascontiguousarray(values)).to(torch.bfloat16)
        tell("weights", (number + 1) / len(reader.tensors))
    return weights


def write_tokenizer(source: Path, out: Path, family: Family, settings: Settings) -> None:
    """The chat template of the file, else ours for pretrained Gemma, which has none, and none for other families. Of
    other tokenizers than Gemma's, transformers does not read how they cut texts and where they put spaces."""
    from transformers import AutoTokenizer  # noqa: PLC0415 - only this step needs it

    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name, local_files_only=True)
    tokens = settings.get("tokenizer.ggml.tokens")
    for name, key in NAMED_TOKENS.items():
        number = settings.get(f"tokenizer.ggml.{key}_token_id")
        if number is not None:
            setattr(tokenizer, f"{name}_token", tokens[number])
    own = OWN_TEMPLATE.read_text(encoding="utf-8") if family is GEMMA_3 else None
    tokenizer.chat_template = settings.get("tokenizer.chat_template") or own
    tokenizer.save_pretrained(out)
    if family is not GEMMA_3:
        path = out / "tokenizer.json"
        stored = json.loads(path.read_text(encoding="utf-8"))
        _describe_cuts(stored, settings)
        path.write_text(json.dumps(stored, ensure_ascii=False), encoding="utf-8")


def _describe_cuts(stored: dict[str, Any], settings: Settings) -> None:
    if settings.get("tokenizer.ggml.model") == "gpt2":
        cuts = settings.get("tokenizer.ggml.pre", "gpt-2")
        stored["pre_tokenizer"] = description_of(cuts)
        stored["model"]["ignore_merges"] = takes_words_whole(cuts)
    elif settings.get("tokenizer.ggml.model") == "llama":
        has_spaces = settings.get("tokenizer.ggml.add_space_prefix", True)
        stored |= describe_spaces(Before.EACH if has_spaces else Before.NONE)
        if not settings.get("tokenizer.ggml.add_bos_token", True):
            stored["post_processor"] = None


def convert(source: Path, out: Path, tell: Report) -> None:
    tell("reading", 0.0)
    reader = GGUFReader(source)
    settings = Settings(reader)
    family = ARCHITECTURES.get(settings.architecture)
    if family is None:
        raise JobError(f"{source.name} holds a {settings.architecture} model; only {TITLES} can be tuned here.")
    if not family.from_gguf:
        raise JobError(
            f"{source.name} holds a {settings.architecture} model, which can be deployed. A {family.title} model is"
            f" tuned from its Hugging Face files; only {TITLES_FROM_GGUF} are tuned from a GGUF file."
        )
    weights = read_weights(family, settings, reader, tell)
    config = configuration(family, settings, weights)
    tell("saving", 0.0)
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    tell("tokenizer", 0.0)
    write_tokenizer(source, out, family, settings)


def prepare(source: Path, out: Path, tell: Report = report) -> None:
    """`out` appears whole or not at all. A folder that is already there is kept."""
    if (out / "config.json").is_file():
        tell("done", 1.0)
        return
    partial = out.parent / f".{out.name}-{os.getpid()}"
    partial.mkdir(parents=True)
    try:
        convert(source, partial, tell)
        shutil.rmtree(out, ignore_errors=True)
        partial.rename(out)
    except OSError as error:
        raise JobError(f"{source.name} cannot be converted: {error}.", "INTERNAL") from error
    except ValueError as error:
        raise JobError(f"{source.name} is not a readable GGUF file: {error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    tell("done", 1.0)

"""A Hugging Face folder as GGUF for llama.cpp: model.gguf, and mmproj.gguf where it reads pictures.

Weights are streamed, so the memory it takes is that of the largest tensor in its new form."""

import json
import os
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from jobs.localvertex.engine.export.decoder import form_of, write_decoder
from jobs.localvertex.engine.export.projector import write_projector
from jobs.localvertex.engine.export.tensor_file import Weights
from jobs.localvertex.engine.families.table import MODEL_TYPES, SEEING, TITLES
from jobs.localvertex.engine.job import JobError

MODEL, PROJECTOR = "model.gguf", "mmproj.gguf"


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
    form = form_of(read_config(folder))
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
    parts = {model: write_decoder}
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

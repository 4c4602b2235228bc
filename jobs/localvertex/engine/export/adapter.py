"""What a tuning leaves: the adapter for PEFT and for llama.cpp, and the merged model with its tokenizer and card."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFType, GGUFWriter, Keys
from safetensors import safe_open

from jobs.localvertex.engine.checkpoints import ADAPTER_CONFIG, ADAPTER_GGUF, all_checkpoints, beside, store_in_half
from jobs.localvertex.engine.export.forms.plain import tensor_names, turned_heads
from jobs.localvertex.engine.families.rotary import to_neighbours
from jobs.localvertex.engine.families.table import MODEL_TYPES, Family
from jobs.localvertex.engine.job import FINAL, Job, JobError
from jobs.localvertex.engine.model import merge_adapter
from jobs.localvertex.engine.tokens import load_template

ADAPTER_WEIGHTS = "adapter_model.safetensors"
LORA_TENSOR = re.compile(r"base_model\.model\.(.+)\.lora_([AB])\.weight")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "preprocessor_config.json",
    "processor_config.json",
)


def check_exportable(config: dict[str, Any]) -> None:
    """llama.cpp knows plain LoRA only, and would serve any of these wrongly without a word."""
    unsupported = {
        "DoRA": config.get("use_dora"),
        "rank-stabilised LoRA": config.get("use_rslora"),
        "modules_to_save": config.get("modules_to_save"),
        "trained biases": config.get("bias", "none") != "none",
        "ranks that differ by module": config.get("rank_pattern") or config.get("alpha_pattern"),
    }
    refused = [name for name, used in unsupported.items() if used]
    if refused:
        raise JobError(f"An adapter with {', '.join(refused)} cannot be served. Train a plain LoRA adapter.")


def gguf_name(family: Family, names: Any, tensor: str) -> str:
    found = LORA_TENSOR.fullmatch(tensor)
    if not found:
        raise JobError(f"The adapter holds {tensor}, which is not a LoRA tensor.")
    module = found[1].replace("model.language_model.", "model.")
    if "vision_tower" in module or "multi_modal_projector" in module:
        raise JobError(f"The adapter changes the vision tower ({tensor}). Only the language model can be tuned.")
    base = names.get_name(module + ".weight", try_suffixes=(".weight",))
    if base is None:
        raise JobError(f"The adapter holds {tensor}, which a {family.title} model does not have.")
    return f"{base}.lora_{found[2].lower()}"


def write_adapter_gguf(folder: Path, text: Any) -> Path:
    """From PEFT's two files in `folder`; `text` is the language model's configuration. Written beside and renamed."""
    config = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    check_exportable(config)
    with beside(folder / ADAPTER_GGUF) as partial:
        write_tensors(folder, partial, config, text)
    return folder / ADAPTER_GGUF


def write_tensors(folder: Path, target: Path, config: dict[str, Any], text: Any) -> None:
    family = MODEL_TYPES[text.model_type]
    names = tensor_names(family, int(text.num_hidden_layers))
    writer = GGUFWriter(str(target), family.architecture)
    writer.add_type(GGUFType.ADAPTER)
    writer.add_string(Keys.Adapter.TYPE, "lora")
    writer.add_float32(Keys.Adapter.LORA_ALPHA, float(config["lora_alpha"]))
    with safe_open(folder / ADAPTER_WEIGHTS, "np") as tensors:
        for tensor in tensors.keys():  # noqa: SIM118 - not a dict
            values, heads = tensors.get_tensor(tensor), turned_heads(family, text, tensor)
            if heads and ".lora_B." in tensor:  # A has no rows of heads
                values = to_neighbours(values, heads)
            writer.add_tensor(gguf_name(family, names, tensor), np.ascontiguousarray(values, np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_checkpoint_adapter(folder: Path, model: Any) -> None:
    """Into a checkpoint of PEFT's, so that it can be served by itself; nothing for a full fine-tune."""
    (folder / "README.md").unlink(missing_ok=True)
    if (folder / ADAPTER_CONFIG).is_file():
        write_adapter_gguf(folder, model.config.get_text_config())


def write_adapter(folder: Path, model: Any) -> None:
    model.save_pretrained(folder, save_embedding_layers=False)
    write_checkpoint_adapter(folder, model)


def copy_tokenizer(source: Path, target: Path) -> None:
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    (target / "chat_template.jinja").write_text(load_template(source), encoding="utf-8")


def write_final(job: Job, workdir: Path, model: Any, card: str) -> None:
    """Merges the adapter into `model`, which cannot be trained further."""
    partial = workdir / f".{FINAL}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    if job.tuning_mode == "PEFT_ADAPTER":
        write_adapter(partial / "adapter", model)
        model = merge_adapter(job, model, partial / "adapter")
    model.bfloat16().save_pretrained(partial)
    copy_tokenizer(job.base_model_dir, partial)
    (partial / "README.md").write_text(card, encoding="utf-8")
    complete_checkpoints(job, workdir)
    shutil.rmtree(workdir / FINAL, ignore_errors=True)
    partial.rename(workdir / FINAL)


def complete_checkpoints(job: Job, workdir: Path) -> None:
    """Those of a full tuning become models that can be served. The last can still be resumed from: no step is left."""
    for folder in all_checkpoints(workdir) if job.tuning_mode == "FULL" else []:
        store_in_half(folder)
        copy_tokenizer(job.base_model_dir, folder)

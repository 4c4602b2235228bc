"""An adapter that lies by itself, such as a checkpoint's, merged with the weights of its base model."""

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel
from safetensors import SafetensorError, safe_open

from jobs.localvertex.engine.checkpoints import ADAPTER_CONFIG
from jobs.localvertex.engine.export.adapter import ADAPTER_WEIGHTS, check_exportable, copy_tokenizer
from jobs.localvertex.engine.export.card import checkpoint_card
from jobs.localvertex.engine.export.gguf import read_config
from jobs.localvertex.engine.job import JobError
from jobs.localvertex.engine.model import dtype_of_base, load_base

ADAPTER_NAME = "default"


def merge(base: Path, adapter: Path, out: Path, name: str, base_model: str) -> None:
    """`out` appears whole or not at all. Where the base was quantised for the training, the adapter is added to the
    exact weights, as it is to make the final model."""
    partial = out.with_name(f".{out.name}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        _merge(base, adapter).bfloat16().save_pretrained(partial)
        copy_tokenizer(base, partial)
        (partial / "README.md").write_text(checkpoint_card(name, base_model), encoding="utf-8")
        partial.replace(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _merge(base: Path, adapter: Path) -> Any:
    config = read_adapter_config(adapter)
    read_config(base)
    try:
        model = load_base(base, dtype_of_base(base))
        with warnings.catch_warnings(category=UserWarning, action="ignore"):  # of what is checked below
            merged = PeftModel.from_pretrained(model, adapter, ADAPTER_NAME, config=config, local_files_only=True)
        _check_all_used(adapter, merged)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        raise JobError(f"The adapter cannot be merged with these weights: {str(error)[:300]}") from error
    return merged.merge_and_unload()


def _check_all_used(adapter: Path, merged: Any) -> None:
    """PEFT leaves out what it finds no place for, and begins anew what it does not find."""
    used = {name.replace(f".{ADAPTER_NAME}.", ".") for name, _one in merged.named_parameters() if ".lora_" in name}
    with safe_open(adapter / ADAPTER_WEIGHTS, "pt") as tensors:
        if strange := used ^ set(tensors.keys()):
            raise JobError(f"The adapter belongs to another model: {min(strange)} is not in both.")


def read_adapter_config(adapter: Path) -> LoraConfig:
    """Of a plain LoRA adapter: what else PEFT would obey in a file that others can write is left out or refused."""
    try:
        found = json.loads((adapter / ADAPTER_CONFIG).read_text(encoding="utf-8"))
        chosen: dict[str, Any] = {"r": int(found["r"]), "lora_alpha": float(found["lora_alpha"])}
        chosen["target_modules"] = found["target_modules"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JobError(f"The adapter's {ADAPTER_CONFIG} cannot be used: {error!r}.") from error
    if found.get("peft_type") != "LORA" or found.get("layer_replication") or found.get("target_parameters"):
        raise JobError("Only a plain LoRA adapter can be merged here.")
    check_exportable(found)
    return LoraConfig(**chosen, task_type="CAUSAL_LM", inference_mode=True)

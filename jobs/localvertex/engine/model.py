"""The base model with what is trained on it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig

from jobs.localvertex.engine.job import Job, JobError
from jobs.localvertex.memory.free import free_memory
from jobs.localvertex.memory.shape import count_parameters

PROJECTIONS = r"\.(q|k|v|o|gate|up|down)_proj"
BYTES_OF_F32, ROOM_BESIDE = 4, 2 * 2**30
NEVER_QUANTIZED = ["lm_head", "vision_tower", "multi_modal_projector"]


def load_base(folder: Path, dtype: torch.dtype, quantization: str | None = None) -> Any:
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    options = {"quantization_config": quantization_config(quantization)} if quantization else {}
    model = AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=dtype, local_files_only=True, **options)
    model.config.use_cache = False
    return model


def multiplies_bf16() -> bool:
    """In hardware, as processors with AVX-512 do, or with what comes near to it. A processor of most laptops does not:
    what PyTorch does there instead takes ten to thirty times as long as f32."""
    if torch.cuda.is_available():
        return True
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def dtype_of_base(folder: Path, free: Callable[[], int | None] = free_memory) -> torch.dtype:
    """bf16, or f32 where that is quicker and there is room for twice as much."""
    if multiplies_bf16():
        return torch.bfloat16
    needed, available = sum(count_parameters(folder).values()) * BYTES_OF_F32 + ROOM_BESIDE, free()
    return torch.float32 if available is None or needed < available else torch.bfloat16


def quantization_config(kind: str) -> Any:
    """Four bits as in the QLoRA paper: NF4, and the scales of its blocks quantised as well."""
    if kind == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=NEVER_QUANTIZED)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if multiplies_bf16() else torch.float32,
        llm_int8_skip_modules=NEVER_QUANTIZED,
    )


def is_multimodal(model: Any) -> bool:
    return hasattr(model.config, "vision_config")


def lora_targets(model: Any) -> str:
    """llama.cpp applies LoRA to the language model only, and the vision tower has projections of the same names."""
    return (".*language_model.*" if is_multimodal(model) else ".*") + PROJECTIONS


def trainable(job: Job) -> Any:
    """LoRA: a bf16 base, half the memory and on AVX-512 BF16 three times the speed, or an f32 one, under f32 adapters.
    Full: f32, because AdamW's small steps vanish in bf16."""
    if job.tuning_mode == "FULL":
        model = load_base(job.base_model_dir, torch.float32)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_("vision_tower" not in name and "multi_modal_projector" not in name)
        return model
    base = load_base(job.base_model_dir, dtype_of_base(job.base_model_dir), job.quantization)
    if job.adapter_dir:
        return load_adapter(base, job.adapter_dir, job.base_model)
    config = LoraConfig(
        r=job.adapter_size,
        lora_alpha=job.lora_alpha or 2 * job.adapter_size,
        lora_dropout=0.0,
        target_modules=lora_targets(base),
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(base, config)
    model.peft_config["default"].base_model_name_or_path = job.custom_base or job.base_model
    return model


def load_adapter(base: Any, adapter: Path, base_model: str) -> Any:
    """The adapter of an earlier tuning, in f32 as a new one would be. Its rank and alpha stay."""
    try:
        model = PeftModel.from_pretrained(base, adapter, is_trainable=True, local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise JobError(f"The adapter to continue from cannot be loaded on {base_model}: {error}") from error
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    model.peft_config["default"].base_model_name_or_path = base_model
    return model


def merge_adapter(job: Job, model: Any, adapter: Path) -> Any:
    """A whole bf16 model. What was quantised for the training cannot be had back: the adapter, which was trained on the
    quantised weights, is added to the exact ones, as it is when llama.cpp serves it."""
    if job.quantization is None:
        return model.merge_and_unload()
    base = load_base(job.base_model_dir, torch.bfloat16)
    return PeftModel.from_pretrained(base, adapter, local_files_only=True).merge_and_unload()

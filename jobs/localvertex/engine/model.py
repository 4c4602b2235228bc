"""The base model with what is trained on it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig
from transformers.utils.quantization_config import Mxfp4Config

from jobs.localvertex.devices.choice import BFLOAT16, Training
from jobs.localvertex.devices.machine import CPU
from jobs.localvertex.engine.job import Job, JobError
from jobs.localvertex.memory.free import free_memory
from jobs.localvertex.memory.shape import count_parameters

PROJECTIONS = r"\.(q|k|v|qkv|o|gate|up|gate_up|down)_proj"
BYTES_OF_F32, ROOM_BESIDE = 4, 2 * 2**30
SENSES = ("vision_tower", "multi_modal_projector", "audio_tower", "embed_vision", "embed_audio")  # not tuned
NEVER_QUANTIZED = ["lm_head", *(rf".*\.{part}" for part in ("router", *SENSES))]  # patterns of whole names
ON_CPU = Training(CPU, "")


def load_base(folder: Path, dtype: torch.dtype, quantization: str | None = None, on: Training = ON_CPU) -> Any:
    """Onto a GPU at once: what is quantised cannot be moved later, and the rest would need the memory twice."""
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    options: dict[str, Any] = {"quantization_config": quantization_config(quantization, on)} if quantization else {}
    if stored := getattr(config, "quantization_config", None):
        options = {"quantization_config": dequantization_config(stored, quantization)}
    if on.device != CPU:
        options |= {"device_map": {"": on.device}, "attn_implementation": on.attention}
    model = AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=dtype, local_files_only=True, **options)
    model.config.use_cache = False
    return model


def dequantization_config(stored: dict[str, Any], quantization: str | None) -> Any:
    """gpt-oss is published in four bits, which is not how it is tuned."""
    method = stored.get("quant_method")
    if method != "mxfp4":
        raise JobError(f"The model's weights are quantised ({method}). Take the files in bf16 to tune the model.")
    if quantization:
        raise JobError(
            "The model's weights are in MXFP4, so they cannot be quantised again. Leave the precision mode out, or take"
            " the files in bf16."
        )
    return Mxfp4Config(dequantize=True)


def multiplies_bf16() -> bool:
    """In hardware, as processors with AVX-512 do, or with what comes near to it. A processor of most laptops does not:
    what PyTorch does there instead takes ten to thirty times as long as f32."""
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def dtype_on(chosen: Training, folder: Path) -> torch.dtype:
    if chosen.device == CPU:
        return dtype_of_base(folder)
    return torch.bfloat16 if chosen.dtype == BFLOAT16 else torch.float32


def dtype_of_base(folder: Path, free: Callable[[], int | None] = free_memory) -> torch.dtype:
    """On the CPU: bf16, or f32 where that is quicker and there is room for twice as much."""
    if multiplies_bf16():
        return torch.bfloat16
    needed, available = sum(count_parameters(folder).values()) * BYTES_OF_F32 + ROOM_BESIDE, free()
    return torch.float32 if available is None or needed < available else torch.bfloat16


def quantization_config(kind: str, on: Training = ON_CPU) -> Any:
    """Four bits as in the QLoRA paper: NF4, and the scales of its blocks quantised as well."""
    if kind == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=NEVER_QUANTIZED)
    is_bf16 = multiplies_bf16() if on.device == CPU else on.dtype == BFLOAT16
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if is_bf16 else torch.float32,
        llm_int8_skip_modules=NEVER_QUANTIZED,
    )


def is_multimodal(model: Any) -> bool:
    return hasattr(model.config, "vision_config")


def lora_targets(model: Any) -> str:
    """llama.cpp applies LoRA to the language model only, and the vision tower has projections of the same names."""
    return (".*language_model.*" if is_multimodal(model) else ".*") + PROJECTIONS


def trainable(job: Job, on: Training = ON_CPU, dtype: torch.dtype | None = None) -> Any:
    """`dtype`: of a frozen base. LoRA: a bf16 one, half the memory and on AVX-512 BF16 three times the speed, or an f32
    one, under f32 adapters.
    Full: f32, because AdamW's small steps vanish in bf16."""
    if job.tuning_mode == "FULL":
        model = load_base(job.base_model_dir, torch.float32, on=on)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(not any(part in name for part in SENSES))
        return model
    base = load_base(job.base_model_dir, dtype or dtype_on(on, job.base_model_dir), job.quantization, on)
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

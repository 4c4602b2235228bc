"""Which models the fast steps are right for. All others are trained by transformers' own forward pass."""

from typing import Any

import torch
from peft import LoraConfig, PeftModel
from peft.tuners.lora import Linear as LoraLinear
from torch import nn

from jobs.localvertex.engine.fast.gemma import FastGemma

PROJECTIONS = (
    *("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"),
    *("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
)


def fast_gemma(model: Any) -> FastGemma | None:
    """None: not for this model or machine. A graphics processor has better kernels than these."""
    if not isinstance(model, PeftModel) or model.device.type != "cpu" or not is_plain_lora(model):
        return None
    causal: Any = model.get_base_model()
    text: Any = getattr(causal.model, "language_model", causal.model)
    if not is_known(text.config):
        return None
    projections = [layer.get_submodule(name) for layer in text.layers for name in PROJECTIONS]
    return FastGemma(causal) if all(map(is_plain, projections)) else None


def is_plain_lora(model: PeftModel) -> bool:
    config = model.peft_config["default"]
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    return (
        isinstance(config, LoraConfig)
        and model.active_adapters == ["default"]
        and not (config.use_dora or config.rank_pattern or config.alpha_pattern or config.lora_dropout)
        and all(".lora_A." in name or ".lora_B." in name for name in trained)
    )


def is_known(config: Any) -> bool:
    return (
        config.model_type == "gemma3_text"
        and config.hidden_activation == "gelu_pytorch_tanh"
        and not config.use_bidirectional_attention
        and not config.attention_dropout
        and config.attn_logit_softcapping is None
        and config.final_logit_softcapping is None
    )


def is_plain(module: nn.Module) -> bool:
    """Not quantised, which makes other classes of both."""
    if type(module) is not LoraLinear or type(module.base_layer) is not nn.Linear:
        return False
    return module.base_layer.bias is None and module.base_layer.weight.dtype in (torch.bfloat16, torch.float32)

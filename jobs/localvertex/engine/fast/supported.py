"""Which of the fast ways are right for a model. What neither is right for goes to transformers, in padded rows."""

from typing import Any

import torch
from peft import LoraConfig, PeftModel
from peft.tuners.lora import Linear as LoraLinear
from torch import nn

from jobs.localvertex.engine.fast.activation import ACTIVATIONS
from jobs.localvertex.engine.fast.decoder import FastDecoder, activation_of
from jobs.localvertex.engine.fast.packed import PackedModel
from jobs.localvertex.memory.training import DECODERS, PACKED

PROJECTIONS = (
    *("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"),
    *("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
)
SOFTCAPS = ("attn_logit_softcapping", "final_logit_softcapping")
FastModel = FastDecoder | PackedModel


def fast_model(model: Any) -> FastModel | None:
    """None: not for this model or machine. A graphics processor has better kernels than these."""
    if model.device.type != "cpu":
        return None
    return fast_decoder(model) or packed_model(model)


def fast_decoder(model: Any) -> FastDecoder | None:
    if not isinstance(model, PeftModel) or not is_plain_lora(model):
        return None
    causal: Any = model.get_base_model()
    text: Any = getattr(causal.model, "language_model", causal.model)
    if not is_known(text.config) or not is_plain_linear(causal.lm_head) or causal.lm_head.bias is not None:
        return None
    projections = (layer.get_submodule(name) for layer in text.layers for name in PROJECTIONS)
    if not all(is_plain(module) and is_plain_adapter(module) for module in projections):
        return None
    return FastDecoder(causal) if turns_whole_heads(text) else None


def packed_model(model: Any) -> PackedModel | None:
    """Also for a tuning in full, and for adapters on some of the linear layers."""
    causal: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    config = causal.config
    if config.model_type not in PACKED or config._attn_implementation not in ("sdpa", "eager"):
        return None
    if getattr(config, "use_bidirectional_attention", None) or getattr(config, "attention_dropout", 0.0):
        return None
    if getattr(config, "attn_logit_softcapping", None) is not None:
        return None
    attentions = [module for module in causal.modules() if hasattr(module, "is_causal") and hasattr(module, "o_proj")]
    if any(sinks.requires_grad for module in attentions if (sinks := getattr(module, "sinks", None)) is not None):
        return None
    plain = isinstance(model, PeftModel) and model.active_adapters == ["default"]
    linears = [module for module in causal.modules() if plain and is_plain(module) and is_plain_adapter(module)]
    return PackedModel(model, attentions, linears)


def is_plain_lora(model: PeftModel) -> bool:
    config = model.peft_config["default"]
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    return (
        isinstance(config, LoraConfig)
        and model.active_adapters == ["default"]
        and not (config.rank_pattern or config.alpha_pattern)
        and config.bias == "none"
        and all(".lora_A." in name or ".lora_B." in name for name in trained)
    )


def is_known(config: Any) -> bool:
    return (
        config.model_type in DECODERS
        and activation_of(config) in ACTIVATIONS
        and not getattr(config, "use_bidirectional_attention", None)
        and not config.attention_dropout
        and all(getattr(config, name, None) is None for name in SOFTCAPS)
    )


def turns_whole_heads(text: Any) -> bool:
    """Not a part of each head, as some configurations want it."""
    width = text.layers[0].self_attn.head_dim
    frequencies = [buffer for name, buffer in text.rotary_emb.named_buffers() if name.endswith("inv_freq")]
    return bool(frequencies) and all(2 * len(buffer) == width for buffer in frequencies)


def is_plain_linear(module: nn.Module) -> bool:
    """Not quantised, which makes another class of it, and frozen."""
    return (
        type(module) is nn.Linear
        and module.weight.dtype in (torch.bfloat16, torch.float32)
        and not any(parameter.requires_grad for parameter in module.parameters())
    )


def is_plain(module: nn.Module) -> bool:
    return type(module) is LoraLinear and is_plain_linear(module.base_layer)


def is_plain_adapter(module: Any) -> bool:
    """One, on the input as it is."""
    return (
        list(module.lora_A) == ["default"]
        and not module.merged
        and not module.lora_variant
        and isinstance(module.lora_dropout["default"], nn.Identity)
        and module.lora_A["default"].bias is None
        and module.lora_B["default"].bias is None
    )

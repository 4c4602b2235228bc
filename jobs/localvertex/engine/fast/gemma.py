"""The language model of Gemma 3 for training: rows without padding in, hidden states before answer tokens out."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from jobs.localvertex.engine.fast.activation import gated_gelu
from jobs.localvertex.engine.fast.attention import Block, attention, blocks_of
from jobs.localvertex.engine.fast.lora import LoraLinears
from jobs.localvertex.engine.fast.norm import Norm


class Layer:
    def __init__(self, layer: Any) -> None:
        own, mlp = layer.self_attn, layer.mlp
        self.kind: str = own.layer_type
        self.width: int = own.head_dim
        self.before_attention, self.after_attention = Norm(layer.input_layernorm), Norm(layer.post_attention_layernorm)
        self.before_mlp, self.after_mlp = Norm(layer.pre_feedforward_layernorm), Norm(layer.post_feedforward_layernorm)
        self.query_norm, self.key_norm = Norm(own.q_norm, own.scaling), Norm(own.k_norm)
        self.project = LoraLinears.of(own.q_proj, own.k_proj, own.v_proj)
        self.join = LoraLinears.of(own.o_proj)
        self.widen = LoraLinears.of(mlp.gate_proj, mlp.up_proj)
        self.narrow = LoraLinears.of(mlp.down_proj)

    def __call__(self, x: Tensor, place: "Places", keep: Tensor | None) -> Tensor:
        """`keep`: the tokens whose result is wanted."""
        query, key, value = (part.view(len(x), -1, self.width) for part in self.project(self.before_attention(x)))
        query = self.query_norm.rotate(query, place.cos, place.sin)
        key = self.key_norm.rotate(key, place.cos, place.sin)
        mixed = attention(query, key, value, place.blocks).view(len(x), -1)
        if keep is not None:
            mixed, x = mixed[keep], x[keep]
        x = x + self.after_attention(self.join(mixed)[0])
        return x + self.after_mlp(self.narrow(gated_gelu(*self.widen(self.before_mlp(x))))[0])


@dataclass(frozen=True)
class Places:
    """What layers of one kind need to know about where the tokens are."""

    blocks: list[Block]
    cos: Tensor
    sin: Tensor


class FastGemma:
    def __init__(self, causal: Any) -> None:
        text = causal.model.language_model if hasattr(causal.model, "language_model") else causal.model
        self.window: int = text.config.sliding_window
        self.embed, self.rotary, self.head = text.embed_tokens, text.rotary_emb, causal.lm_head.weight
        self.layers = [Layer(layer) for layer in text.layers]
        self.norm = Norm(text.norm)

    def places(self, positions: Tensor, lengths: list[int], kind: str) -> Places:
        window = self.window if kind == "sliding_attention" and max(lengths) > self.window else None
        cos, sin = self.rotary(torch.empty(0, dtype=torch.float32), positions[None], kind)
        half = cos.shape[-1] // 2
        blocks = blocks_of(lengths, window, self.head.dtype)
        return Places(blocks, cos[0, :, None, :half].contiguous(), sin[0, :, None, :half].contiguous())

    def __call__(self, tokens: Tensor, lengths: list[int], keep: Tensor) -> Tensor:
        """`tokens` of all rows, one row after another; `keep`: indices of those that come before an answer token."""
        positions = torch.cat([torch.arange(length) for length in lengths])
        places = {kind: self.places(positions, lengths, kind) for kind in {layer.kind for layer in self.layers}}
        x = self.embed(tokens)
        for layer in self.layers[:-1]:
            x = layer(x, places[layer.kind], None)
        return self.norm(self.layers[-1](x, places[self.layers[-1].kind], keep))

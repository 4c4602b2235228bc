"""A decoder's language model for training: rows without padding in, hidden states before answer tokens out.

Layers as Llama has them: norms before attention and before the gated MLP. Those of Gemma 3 have two more behind, those
of Qwen 3 and Gemma 3 norms of heads, some of SmolLM3 no positions."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from jobs.localvertex.engine.fast.activation import apply_gate
from jobs.localvertex.engine.fast.attention import Block, attention, blocks_of
from jobs.localvertex.engine.fast.lora import LoraLinears
from jobs.localvertex.engine.fast.loss import Room
from jobs.localvertex.engine.fast.norm import Norm, Scale, Turn
from jobs.localvertex.engine.fast.rows import Rows
from jobs.localvertex.engine.fast.workers import Part, Workers, compute_parts, divide_rows

SLIDING = "sliding_attention"
# Each new number of tokens costs half a millisecond and half a megabyte in each matrix product, of which a step has 75.
MULTIPLE = 8


class Layer:
    def __init__(self, layer: Any, config: Any, kind: str) -> None:
        own, mlp = layer.self_attn, layer.mlp
        self.kind = kind
        self.width: int = own.head_dim
        self.activation: str = activation_of(config)
        self.before_attention = Norm(layer.input_layernorm)
        self.after_attention, self.after_mlp = None, None
        if hasattr(layer, "pre_feedforward_layernorm"):
            self.after_attention = Norm(layer.post_attention_layernorm)
            self.before_mlp = Norm(layer.pre_feedforward_layernorm)
            self.after_mlp = Norm(layer.post_feedforward_layernorm)
        else:
            self.before_mlp = Norm(layer.post_attention_layernorm)
        if hasattr(own, "q_norm"):
            self.query: Norm | Turn | Scale = Norm(own.q_norm, own.scaling)
            self.key: Norm | Turn | Scale = Norm(own.k_norm)
        else:
            place = Turn if getattr(own, "use_rope", True) else Scale
            self.query, self.key = place(own.scaling), place()
        self.project = LoraLinears.of(own.q_proj, own.k_proj, own.v_proj)
        self.join = LoraLinears.of(own.o_proj)
        self.widen = LoraLinears.of(mlp.gate_proj, mlp.up_proj)
        self.narrow = LoraLinears.of(mlp.down_proj)

    def __call__(self, x: Tensor, place: "Places", keep: Tensor | None) -> Tensor:
        """`keep`: the tokens whose result is wanted."""
        query, key, value = (part.view(len(x), -1, self.width) for part in self.project(self.before_attention(x)))
        query, key = self.query.rotate(query, place.cos, place.sin), self.key.rotate(key, place.cos, place.sin)
        mixed = attention(query, key, value, place.blocks).view(len(x), -1)
        if keep is not None:
            mixed, x = mixed[keep], x[keep]
        joined = self.join(mixed)[0]
        x = x + (joined if self.after_attention is None else self.after_attention(joined))
        gate, up = self.widen(self.before_mlp(x))
        narrowed = self.narrow(apply_gate(gate, up, self.activation))[0]
        return x + (narrowed if self.after_mlp is None else self.after_mlp(narrowed))


def activation_of(config: Any) -> str:
    """By the one setting that transformers reads in this family: the files of a model may hold the other one, too."""
    name: str = config.hidden_activation if config.model_type == "gemma3_text" else config.hidden_act
    return name


@dataclass(frozen=True)
class Places:
    """What layers of one kind need to know about where the tokens are."""

    blocks: list[Block]
    cos: Tensor
    sin: Tensor


class FastDecoder:
    def __init__(self, causal: Any) -> None:
        text = causal.model.language_model if hasattr(causal.model, "language_model") else causal.model
        config = text.config
        self.window: int | None = getattr(config, "sliding_window", None)
        self.rotates_by_kind = config.model_type == "gemma3_text"
        self.embed, self.rotary, self.head = text.embed_tokens, text.rotary_emb, causal.lm_head.weight
        kinds = kinds_of(config)
        self.layers = [Layer(layer, config, kind) for layer, kind in zip(text.layers, kinds, strict=True)]
        self.norm = Norm(text.norm)
        self.room = Room()
        self.workers = Workers(torch.get_num_threads())
        self.learned = [parameter for parameter in causal.parameters() if parameter.requires_grad]

    def places(self, rows: Rows, kind: str) -> Places:
        kinds = (kind,) if self.rotates_by_kind else ()
        cos, sin = self.rotary(torch.empty(0, dtype=torch.float32), rows.positions[None], *kinds)
        half = cos.shape[-1] // 2
        window = self.window if kind == SLIDING and self.window and max(rows.lengths) > self.window else None
        blocks = blocks_of(rows.lengths, window, self.head.dtype, rows.shared)
        return Places(blocks, cos[0, :, None, :half].contiguous(), sin[0, :, None, :half].contiguous())

    def __call__(self, tokens: Tensor, lengths: list[int], keep: Tensor) -> Tensor:
        """`tokens` of all rows, one row after another; `keep`: indices of those that come before an answer token."""
        rows = Rows.of(tokens, lengths, keep)
        divided = divide_rows(lengths, rows.shared, self.workers.choose_threads())
        if len(divided) == 1:
            return self.compute(rows)
        row = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
        parts = []
        for numbers in divided:
            mine = torch.isin(row, torch.tensor(numbers))
            kept = mine[keep]
            some = Rows.of(tokens[mine], [lengths[number] for number in numbers], (mine.cumsum(0) - 1)[keep[kept]])
            parts.append(Part(kept.nonzero()[:, 0], partial(self.compute, some)))
        return compute_parts(self.workers, parts, self.learned)

    def compute(self, rows: Rows) -> Tensor:
        rows, wanted = rows.pad(MULTIPLE), len(rows.keep)
        keep = functional.pad(rows.keep, (0, -wanted % MULTIPLE))
        places = {kind: self.places(rows, kind) for kind in {layer.kind for layer in self.layers}}
        x = self.embed(rows.tokens)
        for layer in self.layers[:-1]:
            x = layer(x, places[layer.kind], None)
        return self.norm(self.layers[-1](x, places[self.layers[-1].kind], keep))[:wanted]


def kinds_of(config: Any) -> list[str]:
    """Of the layers. Mistral has a window for all of them or none."""
    if config.model_type == "mistral":
        return [SLIDING] * config.num_hidden_layers
    return list(getattr(config, "layer_types", None) or ["full_attention"] * config.num_hidden_layers)

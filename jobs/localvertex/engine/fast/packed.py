"""Transformers' own forward pass of any decoder, on rows one after another without padding.

What is slow on a processor is replaced while it runs: the attention, and linear layers with LoRA. All that is special
to a family stays transformers'."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface

from jobs.localvertex.engine.fast.attention import Block, attention, blocks_of
from jobs.localvertex.engine.fast.lora import LoraLinears

NAME = "rows_one_after_another"


class Rows:
    """Of the batch that is computed. The blocks of each window are made once."""

    def __init__(self, lengths: list[int], dtype: torch.dtype) -> None:
        self.lengths, self.dtype = lengths, dtype
        self._blocks: dict[int | None, list[Block]] = {}

    def blocks(self, window: int | None) -> list[Block]:
        window = window if window and max(self.lengths) > window else None
        if window not in self._blocks:
            self._blocks[window] = blocks_of(self.lengths, window, self.dtype)
        return self._blocks[window]


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """As transformers calls it: (1, heads, tokens, width) in, (1, tokens, heads, width) out."""
    rows: Rows = module.packed_rows
    scaling = options.get("scaling")
    factor = query.shape[-1] ** -0.5 if scaling is None else scaling
    q, k, v = (x[0].transpose(0, 1) for x in (query * factor, key, value))
    return attention(q, k, v, rows.blocks(options.get("sliding_window")), options.get("s_aux"))[None], None


AttentionInterface.register(NAME, attend)


class PackedModel:
    """`attentions`: the modules that call it."""

    def __init__(self, model: Any, attentions: list[Any], linears: list[nn.Module]) -> None:
        self.model = model
        self.attentions = attentions
        self.forwards = [(module, partial(run_linear, LoraLinears.of(module))) for module in linears]
        self.configs = list({id(module.config): module.config for module in attentions}.values())
        self.dtype: torch.dtype = model.dtype

    def __call__(self, tokens: Tensor, lengths: list[int], keep: Tensor) -> Tensor:
        """Logits: `keep` as in `FastDecoder`."""
        positions = torch.cat([torch.arange(length) for length in lengths])
        wanted = torch.zeros(1, len(tokens), dtype=torch.bool).index_fill_(1, keep, True)
        with self.replace(Rows(lengths, self.dtype)):
            output = self.model(
                input_ids=tokens[None], position_ids=positions[None], logits_to_keep=wanted, use_cache=False
            )
        logits: Tensor = output.logits
        return logits

    @contextmanager
    def replace(self, rows: Rows) -> Iterator[None]:
        with ExitStack() as stack:
            for config in self.configs:
                stack.callback(setattr, config, "_attn_implementation", config._attn_implementation)
                config._attn_implementation = NAME
            for attending in self.attentions:
                attending.packed_rows = rows
                stack.callback(delattr, attending, "packed_rows")
            for module, forward in self.forwards:
                module.forward = forward
                stack.callback(delattr, module, "forward")
            yield


def run_linear(linear: LoraLinears, x: Tensor) -> Tensor:
    return linear(x.reshape(-1, x.shape[-1]))[0].view(*x.shape[:-1], -1)

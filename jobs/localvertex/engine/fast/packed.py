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
from jobs.localvertex.engine.fast.rows import Rows

NAME = "rows_one_after_another"


class Blocks:
    """Of the batch that is computed. Those of each window are made once."""

    def __init__(self, rows: Rows, dtype: torch.dtype) -> None:
        self.rows, self.dtype = rows, dtype
        self._made: dict[int | None, list[Block]] = {}

    def of(self, window: int | None) -> list[Block]:
        window = window if window and max(self.rows.lengths) > window else None
        if window not in self._made:
            self._made[window] = blocks_of(self.rows.lengths, window, self.dtype, self.rows.shared)
        return self._made[window]


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """As transformers calls it: (1, heads, tokens, width) in, (1, tokens, heads, width) out."""
    blocks: Blocks = module.packed_blocks
    scaling = options.get("scaling")
    factor = query.shape[-1] ** -0.5 if scaling is None else scaling
    q, k, v = (x[0].transpose(0, 1) for x in (query * factor, key, value))
    return attention(q, k, v, blocks.of(options.get("sliding_window")), options.get("s_aux"))[None], None


AttentionInterface.register(NAME, attend)


class PackedModel:
    """`attentions`: the modules that call it."""

    def __init__(self, model: Any, attentions: list[Any], linears: list[nn.Module]) -> None:
        self.model = model
        self.attentions = attentions
        self.forwards = [(module, partial(run_linear, LoraLinears.of(module))) for module in linears]
        self.configs = list({id(module.config): module.config for module in attentions}.values())
        self.dtype: torch.dtype = model.dtype
        # What dropout leaves out differs between the rows, so they have no values in common.
        self.is_random = any(isinstance(module, nn.Dropout) and module.p for module in model.modules())

    def __call__(self, tokens: Tensor, lengths: list[int], keep: Tensor) -> Tensor:
        """Logits: `keep` as in `FastDecoder`."""
        rows = Rows.whole(tokens, lengths, keep) if self.is_random else Rows.of(tokens, lengths, keep)
        wanted = torch.zeros(1, len(rows.tokens), dtype=torch.bool).index_fill_(1, rows.keep, True)
        with self.replace(Blocks(rows, self.dtype)):
            output = self.model(
                input_ids=rows.tokens[None], position_ids=rows.positions[None], logits_to_keep=wanted, use_cache=False
            )
        logits: Tensor = output.logits
        return logits

    @contextmanager
    def replace(self, blocks: Blocks) -> Iterator[None]:
        with ExitStack() as stack:
            for config in self.configs:
                stack.callback(setattr, config, "_attn_implementation", config._attn_implementation)
                config._attn_implementation = NAME
            for attending in self.attentions:
                attending.packed_blocks = blocks
                stack.callback(delattr, attending, "packed_blocks")
            for module, forward in self.forwards:
                module.forward = forward
                stack.callback(delattr, module, "forward")
            yield


def run_linear(linear: LoraLinears, x: Tensor) -> Tensor:
    return linear(x.reshape(-1, x.shape[-1]))[0].view(*x.shape[:-1], -1)

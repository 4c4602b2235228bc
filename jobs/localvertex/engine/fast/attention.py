"""Attention among rows that lie one after another without padding.

The rows are cut into blocks of queries with the keys they may see: short rows share one, long rows have several. Heads
that share keys are rows of one matrix product. torch's own attention for processors is slower on such sizes by a factor
of five, most of it in the backward pass."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from jobs.localvertex.engine.fast.rows import list_own_lengths

BLOCK = 256  # queries
KEPT = 2 * BLOCK  # keys: the weights of blocks with more are computed again in the backward pass


@dataclass(frozen=True)
class Block:
    queries: slice
    shared: slice  # keys that all rows begin with, where they are not among the others
    keys: slice
    mask: Tensor  # added to the scores: (queries, 1, keys)

    @property
    def apart(self) -> int:
        """How many of the keys lie apart from the others."""
        count: int = self.shared.stop - self.shared.start
        return count

    def select_keys(self, x: Tensor) -> Tensor:
        return torch.cat([x[self.shared], x[self.keys]]) if self.apart else x[self.keys]


def blocks_of(lengths: list[int], window: int | None, dtype: torch.dtype, shared: int = 0) -> list[Block]:
    """`window`: a token sees so many tokens, itself included. `lengths` and `shared` as in `Rows`."""
    own = list_own_lengths(lengths, shared)
    row = torch.repeat_interleave(torch.arange(len(own)), torch.tensor(own))
    place = torch.cat([torch.arange(length - count, length) for length, count in zip(lengths, own, strict=True)])
    made = []
    for start, end in spans_of(own):
        for first in range(start, end, BLOCK):
            last = min(first + BLOCK, end)
            oldest = max(start, first - window + 1) if window else start
            common = slice(0, 0)
            if start > 0:
                common = slice(min(shared, max(0, int(place[first]) - window + 1)) if window else 0, shared)
            query = torch.arange(first, last)[:, None]
            key = torch.cat([torch.arange(common.start, common.stop), torch.arange(oldest, last)])[None]
            seen = (place[key] <= place[query]) & ((row[query] == row[key]) | (key < shared))
            if window:
                seen &= place[key] > place[query] - window
            mask = torch.zeros(seen.shape, dtype=dtype).masked_fill_(~seen, -torch.inf)
            made.append(Block(slice(first, last), common, slice(oldest, last), mask[:, None]))
    return made


def spans_of(lengths: list[int]) -> list[tuple[int, int]]:
    """Neighbouring rows together, as many as fit into a block."""
    spans: list[tuple[int, int]] = []
    end = 0
    for length in lengths:
        start = end
        end += length
        if spans and end - spans[-1][0] <= BLOCK:
            start = spans.pop()[0]
        spans.append((start, end))
    return spans


def group_heads(x: Tensor, groups: int) -> Tensor:
    """(tokens, heads, width) → (groups, tokens · heads of a group, width); without a copy where there is one group."""
    tokens, heads, width = x.shape
    return x.view(tokens, groups, heads // groups, width).transpose(0, 1).reshape(groups, -1, width)


def ungroup_heads(x: Tensor, tokens: int) -> Tensor:
    groups, _, width = x.shape
    return x.view(groups, tokens, -1, width).transpose(0, 1).reshape(tokens, -1, width)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, sinks: Tensor | None, blocks: list[Block]
    ) -> Tensor:
        out, kept = torch.empty_like(query), []
        for block in blocks:
            q, k, v = parts(query, key, value, block)
            weights = weigh(q, k, block, sinks)
            out[block.queries] = ungroup_heads(torch.bmm(weights, v), block.mask.shape[0])
            if k.shape[1] <= KEPT:
                kept.append(weights)
        ctx.blocks = blocks
        ctx.save_for_backward(query, key, value, sinks, *kept)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, sinks, *rest = ctx.saved_tensors
        kept = iter(rest)
        grad_query, grad_key, grad_value = torch.empty_like(query), torch.zeros_like(key), torch.zeros_like(value)
        common = [Common(grad_key, ctx.blocks), Common(grad_value, ctx.blocks)]
        for block in ctx.blocks:
            q, k, v = parts(query, key, value, block)
            weights = next(kept) if k.shape[1] <= KEPT else weigh(q, k, block, sinks)
            grad = group_heads(grads[0][block.queries], len(k))
            grad_weights = torch.bmm(grad, v.transpose(1, 2))
            grad_scores = torch._softmax_backward_data(grad_weights, weights, -1, weights.dtype)
            grad_query[block.queries] = ungroup_heads(torch.bmm(grad_scores, k), block.mask.shape[0])
            common[0].add(torch.bmm(grad_scores.transpose(1, 2), q).transpose(0, 1), block)
            common[1].add(torch.bmm(weights.transpose(1, 2), grad).transpose(0, 1), block)
        for one in common:
            one.finish()
        return grad_query, grad_key, grad_value, None, None


class Common:
    """Adds gradients of keys or values up, in f32 where many rows have the same ones."""

    def __init__(self, total: Tensor, blocks: list[Block]) -> None:
        self.total = total
        self.wide = total.new_zeros((max(block.shared.stop for block in blocks), *total.shape[1:]), dtype=torch.float32)

    def add(self, grad: Tensor, block: Block) -> None:
        if block.apart:
            self.wide[block.shared] += grad[: block.apart]
        self.total[block.keys] += grad[block.apart :]

    def finish(self) -> None:
        count = len(self.wide)
        self.total[:count] = self.wide.add_(self.total[:count])


def weigh(q: Tensor, k: Tensor, block: Block, sinks: Tensor | None) -> Tensor:
    """What each query takes of each key. A sink is a key without a value, one for each head."""
    tokens, groups = block.mask.shape[0], len(k)
    scores = torch.bmm(q, k.transpose(1, 2))
    scores.view(groups, tokens, -1, k.shape[1]).add_(block.mask)
    if sinks is None:
        return torch.softmax(scores, dim=-1)
    column = sinks.view(groups, 1, -1).expand(-1, tokens, -1).reshape(groups, -1, 1).to(scores.dtype)
    return torch.softmax(torch.cat([scores, column], dim=-1), dim=-1)[..., :-1].contiguous()


def parts(query: Tensor, key: Tensor, value: Tensor, block: Block) -> tuple[Tensor, Tensor, Tensor]:
    groups = key.shape[1]
    keys, values = block.select_keys(key).transpose(0, 1), block.select_keys(value).transpose(0, 1)
    return group_heads(query[block.queries], groups), keys, values


def attention(query: Tensor, key: Tensor, value: Tensor, blocks: list[Block], sinks: Tensor | None = None) -> Tensor:
    """All are (tokens, heads, width); the query is scaled already. `sinks` get no gradient."""
    out: Tensor = _Attention.apply(query, key, value, sinks, blocks)
    return out

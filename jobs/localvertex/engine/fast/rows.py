"""Rows one after another without padding, where what all of them begin with is there once.

A token's values depend on what is before it alone, so the instructions that every row begins with have the same values
in all rows, and the gradients of the rows add up in them."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Rows:
    """`lengths` are of the whole rows: the first is there as it is, the others without their first `shared` tokens.
    `keep`: indices of the tokens that come before an answer token."""

    tokens: Tensor
    positions: Tensor
    lengths: list[int]
    shared: int
    keep: Tensor

    @classmethod
    def of(cls, tokens: Tensor, lengths: list[int], keep: Tensor) -> Self:
        """`tokens` of all rows, one row after another, with nothing left out."""
        positions = torch.cat([torch.arange(length) for length in lengths])
        shared = count_shared(tokens, positions, lengths, keep)
        stays = positions >= shared
        stays[: lengths[0]] = True
        return cls(tokens[stays], positions[stays], lengths, shared, (stays.cumsum(0) - 1)[keep])

    @classmethod
    def whole(cls, tokens: Tensor, lengths: list[int], keep: Tensor) -> Self:
        """With nothing left out."""
        return cls(tokens, torch.cat([torch.arange(length) for length in lengths]), lengths, 0, keep)

    def pad(self, multiple: int) -> Self:
        """With one row more of which nothing is wanted, unless the tokens are a multiple already."""
        lacking = -len(self.tokens) % multiple
        if not lacking:
            return self
        end = self.shared + lacking
        return replace(
            self,
            tokens=functional.pad(self.tokens, (0, lacking)),
            positions=torch.cat([self.positions, torch.arange(self.shared, end)]),
            lengths=[*self.lengths, end],
        )


def count_shared(tokens: Tensor, positions: Tensor, lengths: list[int], keep: Tensor) -> int:
    """None of those before answer tokens, of which each row has its own, and not the whole of a row."""
    if len(lengths) == 1 or not len(keep):
        return 0
    limit = min(min(lengths) - 1, int(positions[keep].min()))
    starts = torch.stack([row[:limit] for row in tokens.split(lengths)])
    return int((starts == starts[0]).all(0).long().cumprod(0).sum())


def list_own_lengths(lengths: list[int], shared: int) -> list[int]:
    """Without what is left out of the rows."""
    return [length - (shared if number else 0) for number, length in enumerate(lengths)]

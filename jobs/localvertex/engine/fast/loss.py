"""The vocabulary head and its loss over answer tokens, without keeping the logits.

262,144 logits a token are the largest thing in the training of a small Gemma. They are made in bf16 for some tokens at
a time, always in the same memory, turned into their own gradient while they are in the cache, and given away.

Most of the vocabulary is improbable after every one of these tokens. On the way back it is taken together, as in "Cut
Your Losses in Large-Vocabulary Language Models" (arXiv 2411.09009), where it is left out."""

from typing import Any

import torch
from torch import Tensor

TOKENS = 256  # at a time: enough for the matrix product to be fast
PIECE = 4  # of which so many are widened to f32 at a time: 4 MB
# A probability below which a word is taken together with others. With Gemma 3 270M, a tenth of the words have more than
# that after one of 256 tokens. Gradients then differ from exact ones by 0.3 %; what bf16 alone rounds away is 0.17 %.
IMPROBABLE = 2.0**-16
# Of the vocabulary, that may be probable. Their logits are copied, and so many take a quarter of the room once more.
FEW = 1 / 4


class Room:
    """Memory for logits that is kept from step to step: getting it anew takes three times as long as all that is
    computed in it."""

    def __init__(self) -> None:
        self.memory: Tensor | None = None
        self.wide: Tensor | None = None
        self.highest: Tensor | None = None
        self.mean: Tensor | None = None

    def take(self, rows: int, head: Tensor) -> Tensor:
        size = rows * len(head)
        if self.memory is None or len(self.memory) < size:
            self.memory = None  # not both at once
            with torch.inference_mode(False):  # an evaluation's memory could not be written to in the next epoch
                self.memory = head.new_empty(size)
        return self.memory[:size].view(rows, len(head))

    def widen(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """`logits` of a piece in f32, and room for as many."""
        if self.wide is None:
            with torch.inference_mode(False):
                self.wide = logits.new_empty((2, PIECE, logits.shape[1]), dtype=torch.float32)
        wide, other = self.wide[:, : len(logits)]
        return wide.copy_(logits), other

    def forget_highest(self, head: Tensor) -> Tensor:
        """The highest probability of each word among the tokens of a part, 0 at its beginning."""
        if self.highest is None:
            with torch.inference_mode(False):
                self.highest = head.new_empty(len(head), dtype=torch.float32)
        return self.highest.zero_()

    def average(self, head: Tensor) -> Tensor:
        """The mean of its rows, in f32: it is frozen."""
        if self.mean is None:
            self.mean = head.mean(dim=0, dtype=torch.float32)
        return self.mean


class _AnswerLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor, room: Room) -> tuple[Tensor, Tensor]:
        total = torch.zeros((), dtype=torch.float32)
        right = torch.zeros((), dtype=torch.int64)
        grad = torch.empty_like(hidden) if hidden.requires_grad else None
        memory = room.take(min(TOKENS, len(hidden)), head)
        for start in range(0, len(hidden), TOKENS):
            some = slice(start, start + TOKENS)
            logits = memory[: len(targets[some])]
            torch.mm(hidden[some], head.t(), out=logits)
            highest = room.forget_highest(head)
            for piece, wanted in zip(logits.split(PIECE), targets[some].split(PIECE), strict=True):
                loss, hits = replace_by_gradient(piece, wanted, room, highest)
                total += loss
                right += hits
            if grad is not None:
                multiply(logits, head, highest, room, out=grad[some])
        ctx.mark_non_differentiable(right)
        ctx.save_for_backward(grad)
        return total, right

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        (grad,) = ctx.saved_tensors
        return grad * grads[0].to(grad.dtype), None, None, None


def replace_by_gradient(logits: Tensor, targets: Tensor, room: Room, highest: Tensor) -> tuple[Tensor, Tensor]:
    """`logits` become probabilities minus one at the target. `highest`: of each word, becomes at least these."""
    rows = torch.arange(len(targets))
    best, wanted = logits.amax(dim=-1), logits[rows, targets]
    # Without the index of the best, which takes longer than all else here: it is looked for where it may be the target.
    near = wanted == best
    right = (logits[near].argmax(dim=-1) == targets[near]).sum()
    wide, probabilities = room.widen(logits)
    torch.softmax(wide, dim=-1, out=probabilities)
    log_total = best.float() - probabilities.amax(dim=-1).log()
    for row in probabilities:
        torch.maximum(highest, row, out=highest)
    highest[targets] = 1
    probabilities[rows, targets] -= 1
    logits.copy_(probabilities)
    return (log_total - wanted.float()).sum(), right


def multiply(gradient: Tensor, head: Tensor, highest: Tensor, room: Room, *, out: Tensor) -> None:
    """`gradient` @ `head`. The gradient, of (tokens, vocabulary), is written over."""
    probable = (highest >= IMPROBABLE).nonzero()[:, 0]
    size = len(probable) * head.shape[1]
    if len(probable) > FEW * len(head) or size > gradient.numel():
        torch.mm(gradient, head, out=out)
        return
    some = gradient[:, probable]
    # All of a token's gradient adds up to 0, which tells what is left: there, each word counts as the mean of all.
    rest = -some.sum(dim=1, keepdim=True, dtype=torch.float32) * room.average(head)
    rows = gradient.view(-1)[:size].view(len(probable), -1)
    torch.index_select(head, 0, probable, out=rows)
    torch.addmm(rest.to(head.dtype), some, rows, out=out)


def answer_loss(hidden: Tensor, head: Tensor, targets: Tensor, room: Room) -> tuple[Tensor, Tensor]:
    """The sum of the losses, and how many of the tokens are predicted right."""
    total, right = _AnswerLoss.apply(hidden, head, targets, room)
    return total, right

"""The vocabulary head and its loss over answer tokens, without keeping the logits.

262,144 logits a token are the largest thing in the training of a small Gemma. They are made in bf16 for some tokens at
a time, always in the same memory, turned into their own gradient while they are in the cache, and given away."""

from typing import Any

import torch
from torch import Tensor

TOKENS = 128  # at a time: enough for the matrix product to be fast
PIECE = 8  # of which so many are widened to f32 at a time: 8 MB


class _AnswerLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        total = torch.zeros((), dtype=torch.float32)
        right = torch.zeros((), dtype=torch.int64)
        grad = torch.empty_like(hidden) if hidden.requires_grad else None
        memory = hidden.new_empty(min(TOKENS, len(hidden)), len(head))
        for start in range(0, len(hidden), TOKENS):
            some = slice(start, start + TOKENS)
            logits = memory[: len(targets[some])]
            torch.mm(hidden[some], head.t(), out=logits)
            for piece, wanted in zip(logits.split(PIECE), targets[some].split(PIECE), strict=True):
                loss, hits = replace_by_gradient(piece, wanted)
                total += loss
                right += hits
            if grad is not None:
                torch.mm(logits, head, out=grad[some])
        ctx.mark_non_differentiable(right)
        ctx.save_for_backward(grad)
        return total, right

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (grad,) = ctx.saved_tensors
        return grad * grads[0].to(grad.dtype), None, None


def replace_by_gradient(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """`logits` become probabilities minus one at the target."""
    best, chosen = logits.max(dim=-1)
    wanted = logits.gather(1, targets[:, None])[:, 0].float()
    probabilities = torch.softmax(logits.float(), dim=-1)
    log_total = best.float() - probabilities.gather(1, chosen[:, None])[:, 0].log()
    rows = torch.arange(len(targets))
    probabilities[rows, targets] -= 1
    logits.copy_(probabilities)
    return (log_total - wanted).sum(), (chosen == targets).sum()


def answer_loss(hidden: Tensor, head: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of the losses, and how many of the tokens are predicted right."""
    total, right = _AnswerLoss.apply(hidden, head, targets)
    return total, right

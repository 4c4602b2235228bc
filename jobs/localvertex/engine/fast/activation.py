"""gelu(gate) · up. The backward pass uses the activation that the forward pass made."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


class _GatedGelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        active = functional.gelu(gate, approximate="tanh")
        ctx.save_for_backward(gate, up, active)
        return active * up

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        gate, up, active = ctx.saved_tensors
        grad = grads[0]
        return torch.ops.aten.gelu_backward(grad * up, gate, approximate="tanh"), grad * active


def gated_gelu(gate: Tensor, up: Tensor) -> Tensor:
    result: Tensor = _GatedGelu.apply(gate, up)
    return result

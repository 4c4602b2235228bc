"""The activation of the gate, times what it lets through. The backward pass uses what the forward pass made."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def _gelu(gate: Tensor) -> Tensor:
    return functional.gelu(gate, approximate="tanh")


def _gelu_backward(grad: Tensor, gate: Tensor) -> Tensor:
    back: Tensor = torch.ops.aten.gelu_backward(grad, gate, approximate="tanh")
    return back


def _silu_backward(grad: Tensor, gate: Tensor) -> Tensor:
    back: Tensor = torch.ops.aten.silu_backward(grad, gate)
    return back


# By the names that configurations have for them.
ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]] = {
    "gelu_pytorch_tanh": (_gelu, _gelu_backward),
    "silu": (functional.silu, _silu_backward),
}


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor, name: str) -> Tensor:
        active = ACTIVATIONS[name][0](gate)
        ctx.name = name
        ctx.save_for_backward(gate, up, active)
        return active * up

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        gate, up, active = ctx.saved_tensors
        grad = grads[0]
        return ACTIVATIONS[ctx.name][1](grad * up, gate), active.mul_(grad), None


def apply_gate(gate: Tensor, up: Tensor, name: str) -> Tensor:
    result: Tensor = _Gated.apply(gate, up, name)
    return result

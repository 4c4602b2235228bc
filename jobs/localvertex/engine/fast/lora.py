"""Linear layers with LoRA that read the same input, as one operation.

peft multiplies the adapters in f32, which takes as long as the 40 times larger frozen matrices take in bf16. Here the
adapters stay f32 for the optimizer and are rounded once a step. The frozen matrices get no gradient."""

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional


class _LoraLinears(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scaling: float, biases: tuple[Tensor | None, ...], *weights: Tensor
    ) -> tuple[Tensor, ...]:
        count = len(biases)
        bases, downs, ups = weights[:count], weights[count : 2 * count], weights[2 * count :]
        down = torch.cat(downs).mul_(scaling).to(x.dtype)
        rounded = [up.to(x.dtype) for up in ups]
        low = x @ down.t()
        parts = low.chunk(count, dim=1)
        ctx.scaling, ctx.count = scaling, count
        ctx.save_for_backward(x, low, down, *bases, *rounded)
        return tuple(
            functional.linear(x, base, bias).addmm_(part, up.t())
            for base, bias, part, up in zip(bases, biases, parts, rounded, strict=True)
        )

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        x, low, down, *weights = ctx.saved_tensors
        bases, ups = weights[: ctx.count], weights[ctx.count :]
        grad_low = torch.cat([grad @ up for grad, up in zip(grads, ups, strict=True)], dim=1)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = grad_low @ down
            for grad, base in zip(grads, bases, strict=True):
                grad_x.addmm_(grad, base)
        grad_downs = (grad_low.t() @ x).float().mul_(ctx.scaling).chunk(ctx.count)
        parts = low.chunk(ctx.count, dim=1)
        grad_ups = [(grad.t() @ part).float() for grad, part in zip(grads, parts, strict=True)]
        return grad_x, None, None, *[None] * ctx.count, *grad_downs, *grad_ups


@dataclass(frozen=True)
class LoraLinears:
    """Of one rank and one scaling. `biases` are frozen."""

    scaling: float
    weights: tuple[Tensor, ...]
    biases: tuple[Tensor | None, ...]

    @classmethod
    def of(cls, *modules: Any) -> Self:
        bases = [module.base_layer.weight for module in modules]
        biases = tuple(module.base_layer.bias for module in modules)
        downs = [module.lora_A["default"].weight for module in modules]
        ups = [module.lora_B["default"].weight for module in modules]
        return cls(modules[0].scaling["default"], (*bases, *downs, *ups), biases)

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        outputs: tuple[Tensor, ...] = _LoraLinears.apply(x, self.scaling, self.biases, *self.weights)
        return outputs

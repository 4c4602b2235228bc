"""Linear layers with LoRA that read the same input, as one operation.

peft multiplies the adapters in f32, which takes as long as the 40 times larger frozen matrices take in bf16. Here the
adapters stay f32 for the optimizer and are rounded once a step. The frozen matrices get no gradient."""

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor


class _LoraLinears(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scaling: float, count: int, *weights: Tensor) -> tuple[Tensor, ...]:
        bases, downs, ups = weights[:count], weights[count : 2 * count], weights[2 * count :]
        down = torch.cat(downs).to(x.dtype)
        scaled = [(up * scaling).to(x.dtype) for up in ups]
        low = x @ down.t()
        parts = low.chunk(count, dim=1)
        ctx.scaling, ctx.count = scaling, count
        ctx.save_for_backward(x, low, down, *bases, *scaled)
        return tuple((x @ base.t()).addmm_(part, up.t()) for base, part, up in zip(bases, parts, scaled, strict=True))

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
        grad_downs = (grad_low.t() @ x).float().chunk(ctx.count)
        parts = low.chunk(ctx.count, dim=1)
        grad_ups = [(grad.t() @ part).float() * ctx.scaling for grad, part in zip(grads, parts, strict=True)]
        return grad_x, None, None, *[None] * ctx.count, *grad_downs, *grad_ups


@dataclass(frozen=True)
class LoraLinears:
    """Of one rank and one scaling."""

    scaling: float
    weights: tuple[Tensor, ...]

    @classmethod
    def of(cls, *modules: Any) -> Self:
        bases = [module.base_layer.weight for module in modules]
        downs = [module.lora_A["default"].weight for module in modules]
        ups = [module.lora_B["default"].weight for module in modules]
        return cls(modules[0].scaling["default"], (*bases, *downs, *ups))

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        outputs: tuple[Tensor, ...] = _LoraLinears.apply(x, self.scaling, len(self.weights) // 3, *self.weights)
        return outputs

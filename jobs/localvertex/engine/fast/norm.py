"""RMS norm in five passes over the data, and nine back. Autograd takes twice as many, and keeps f32 copies."""

from typing import Any

import torch
from torch import Tensor

ONE_MORE = ("Gemma3RMSNorm",)  # their weights are what is to be added to one


def inverse_rms(x: Tensor, epsilon: float) -> Tensor:
    """Of f32."""
    length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return length.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()


def to_float32(x: Tensor) -> Tensor:
    """A copy that may be changed, also where `x` is f32 already."""
    return x.to(torch.float32, copy=True)


def norm_backward(grad: Tensor, x: Tensor, scale: Tensor, weight: Tensor) -> Tensor:
    """`grad` is f32 and is used up."""
    grad.mul_(weight)
    unit = to_float32(x).mul_(scale)
    mean = (grad * unit).mean(dim=-1, keepdim=True)
    return grad.addcmul_(unit, mean, value=-1).mul_(scale).to(x.dtype)


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        wide = to_float32(x)
        scale = inverse_rms(wide, epsilon)
        ctx.save_for_backward(x, scale, weight)
        return wide.mul_(scale).mul_(weight).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        x, scale, weight = ctx.saved_tensors
        return norm_backward(to_float32(grads[0]), x, scale, weight), None, None


class _TurnedNorm(torch.autograd.Function):
    """The norm of each head, then its rotation by the token's place in the row, in one go of f32."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float, cos: Tensor, sin: Tensor) -> Tensor:
        wide = to_float32(x)
        scale = inverse_rms(wide, epsilon)
        ctx.save_for_backward(x, scale, weight, cos, sin)
        return rotate(wide.mul_(scale).mul_(weight), cos, sin).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        x, scale, weight, cos, sin = ctx.saved_tensors
        grad = rotate(grads[0].float(), cos, -sin)
        return norm_backward(grad, x, scale, weight), None, None, None, None


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """`cos` and `sin` are as wide as half a head."""
    first, second = x.chunk(2, dim=-1)
    out = torch.empty_like(x)
    left, right = out.chunk(2, dim=-1)
    torch.mul(first, cos, out=left).addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=right).addcmul_(first, sin)
    return out


class _Turn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.factor = factor
        ctx.save_for_backward(cos, sin)
        return rotate(x.float(), cos, sin).mul_(factor).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        cos, sin = ctx.saved_tensors
        return rotate(grads[0].float(), cos, -sin).mul_(ctx.factor).to(grads[0].dtype), None, None, None


class Norm:
    """`factor` multiplies what comes out. The weight is frozen."""

    def __init__(self, module: Any, factor: float = 1.0) -> None:
        weight = module.weight.detach().float()
        self.weight = (1.0 + weight if type(module).__name__ in ONE_MORE else weight) * factor
        self.epsilon = module.eps if hasattr(module, "eps") else module.variance_epsilon

    def __call__(self, x: Tensor) -> Tensor:
        normed: Tensor = _Norm.apply(x, self.weight, self.epsilon)
        return normed

    def rotate(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        result: Tensor = _TurnedNorm.apply(x, self.weight, self.epsilon, cos, sin)
        return result


class Turn:
    """Heads without a norm of their own. `factor` multiplies what comes out."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    def rotate(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        result: Tensor = _Turn.apply(x, self.factor, cos, sin)
        return result


class Scale:
    """Heads of a layer that knows no positions."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    def rotate(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        return x * self.factor

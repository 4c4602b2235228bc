"""Each operation against the plain one of transformers, peft or torch, in f32, with its gradients."""

from typing import Any

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm, apply_rotary_pos_emb

from jobs.localvertex.engine.fast.activation import gated_gelu
from jobs.localvertex.engine.fast.attention import BLOCK, attention, blocks_of, spans_of
from jobs.localvertex.engine.fast.lora import LoraLinears
from jobs.localvertex.engine.fast.loss import TOKENS, answer_loss
from jobs.localvertex.engine.fast.norm import Norm


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def leaves(*tensors: Tensor) -> list[Tensor]:
    return [tensor.detach().clone().requires_grad_() for tensor in tensors]


def assert_same(mine: Any, plain: Any, *inputs: Tensor) -> None:
    """Results, and gradients with regard to the inputs for a random gradient of the result."""
    first, second = leaves(*inputs), leaves(*inputs)
    a, b = mine(*first), plain(*second)
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    grad = torch.randn_like(b)
    a.backward(grad)
    b.backward(grad)
    for x, y in zip(first, second, strict=True):
        torch.testing.assert_close(x.grad, y.grad, rtol=1e-4, atol=1e-4)


def norm_module(width: int) -> Gemma3RMSNorm:
    module = Gemma3RMSNorm(width)
    module.weight.data.normal_()
    return module.requires_grad_(False)


def test_norm() -> None:
    module = norm_module(32)
    assert_same(Norm(module), module, torch.randn(7, 32))


def test_norm_and_rotation_of_heads() -> None:
    module, angles = norm_module(32), torch.randn(7, 1, 16)
    cos, sin = (torch.cat((part, part), dim=-1)[None, :, 0] for part in (angles.cos(), angles.sin()))

    def plain(x: Tensor) -> Tensor:
        turned: Tensor = apply_rotary_pos_emb(module(x)[None], module(x)[None], cos, sin, unsqueeze_dim=2)[0][0]
        return turned * 0.25

    assert_same(lambda x: Norm(module, 0.25).rotate(x, angles.cos(), angles.sin()), plain, torch.randn(7, 3, 32))


def test_gated_gelu() -> None:
    def plain(gate: Tensor, up: Tensor) -> Tensor:
        return functional.gelu(gate, approximate="tanh") * up

    assert_same(gated_gelu, plain, torch.randn(5, 8), torch.randn(5, 8))


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(24, 16, bias=False), nn.Linear(24, 40, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.two(x)], dim=1)


def test_linear_layers_with_lora() -> None:
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["one", "two"], init_lora_weights=False)
    pair: Any = inject_adapter_in_model(config, Pair())
    fused, x, grad = LoraLinears.of(pair.one, pair.two), torch.randn(9, 24), torch.randn(9, 56)
    assert_same(lambda x: torch.cat(fused(x), dim=1), pair, x)
    grads = []
    for forward in (pair, lambda x: torch.cat(fused(x), dim=1)):
        pair.zero_grad()
        forward(x).backward(grad)
        grads.append([parameter.grad for name, parameter in pair.named_parameters() if "lora_" in name])
    assert len(grads[0]) == 4
    torch.testing.assert_close(*grads)


def plain_attention(lengths: list[int], window: int | None) -> Any:
    row = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    place = torch.arange(sum(lengths))
    seen = (row[:, None] == row) & (place <= place[:, None]) & (place > place[:, None] - (window or len(place)))

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        shared = query.shape[1] // key.shape[1]
        q, k, v = query, key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
        scores = torch.einsum("qhd,khd->hqk", q, k).masked_fill(~seen, -torch.inf)
        return torch.einsum("hqk,khd->qhd", scores.softmax(-1), v)

    return attend


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("window", [None, 5, 300])
@pytest.mark.parametrize("lengths", [[1], [3, 7, 5], [BLOCK, 1, 2], [4, 2 * BLOCK + 3, 6]])
def test_attention(lengths: list[int], window: int | None, groups: int) -> None:
    count, blocks = sum(lengths), blocks_of(lengths, window, torch.float32)
    query, key, value = torch.randn(count, 4, 8), torch.randn(count, groups, 8), torch.randn(count, groups, 8)
    assert_same(lambda q, k, v: attention(q, k, v, blocks), plain_attention(lengths, window), query, key, value)


def test_short_rows_share_a_block() -> None:
    assert spans_of([100, 100, 100, 300, 10, 20]) == [(0, 200), (200, 300), (300, 600), (600, 630)]


@pytest.mark.parametrize("count", [1, 9, TOKENS + 3])
def test_answer_loss(count: int) -> None:
    hidden, head, targets = torch.randn(count, 16), torch.randn(50, 16), torch.randint(50, (count,))
    total, right = answer_loss(hidden, head, targets)
    assert int(right) == int(((hidden @ head.t()).argmax(-1) == targets).sum())

    def plain(hidden: Tensor) -> Tensor:
        return functional.cross_entropy(hidden @ head.t(), targets, reduction="sum")

    assert_same(lambda hidden: answer_loss(hidden, head, targets)[0], plain, hidden)
    torch.testing.assert_close(total, plain(hidden))

"""Each operation against the plain one of transformers, peft or torch, in f32, with its gradients."""

from typing import Any

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import ACT2FN
from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm, apply_rotary_pos_emb
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from jobs.localvertex.engine.fast.activation import ACTIVATIONS, apply_gate
from jobs.localvertex.engine.fast.attention import BLOCK, KEPT, attention, blocks_of, spans_of
from jobs.localvertex.engine.fast.lora import LoraLinears
from jobs.localvertex.engine.fast.loss import FEW, IMPROBABLE, TOKENS, Room, answer_loss
from jobs.localvertex.engine.fast.norm import Norm, Turn
from jobs.localvertex.engine.fast.rows import list_own_lengths


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


def norm_module(width: int, kind: Any = Gemma3RMSNorm) -> Any:
    module = kind(width)
    module.weight.data.normal_()
    return module.requires_grad_(False)


@pytest.mark.parametrize("kind", [Gemma3RMSNorm, LlamaRMSNorm])
def test_norm(kind: Any) -> None:
    module = norm_module(32, kind)
    assert_same(Norm(module), module, torch.randn(7, 32))


def test_norm_and_rotation_of_heads() -> None:
    module, angles = norm_module(32), torch.randn(7, 1, 16)
    cos, sin = (torch.cat((part, part), dim=-1)[None, :, 0] for part in (angles.cos(), angles.sin()))

    def plain(x: Tensor) -> Tensor:
        turned: Tensor = apply_rotary_pos_emb(module(x)[None], module(x)[None], cos, sin, unsqueeze_dim=2)[0][0]
        return turned * 0.25

    assert_same(lambda x: Norm(module, 0.25).rotate(x, angles.cos(), angles.sin()), plain, torch.randn(7, 3, 32))


def test_rotation_of_heads_without_norms() -> None:
    angles = torch.randn(7, 1, 16)
    cos, sin = (torch.cat((part, part), dim=-1)[None, :, 0] for part in (angles.cos(), angles.sin()))

    def plain(x: Tensor) -> Tensor:
        turned: Tensor = apply_rotary_pos_emb(x[None], x[None], cos, sin, unsqueeze_dim=2)[0][0]
        return turned * 0.25

    assert_same(lambda x: Turn(0.25).rotate(x, angles.cos(), angles.sin()), plain, torch.randn(7, 3, 32))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gated_activation(name: str) -> None:
    def plain(gate: Tensor, up: Tensor) -> Tensor:
        active: Tensor = ACT2FN[name](gate)
        return active * up

    assert_same(lambda gate, up: apply_gate(gate, up, name), plain, torch.randn(5, 8), torch.randn(5, 8))


class Pair(nn.Module):
    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(24, 16, bias=bias), nn.Linear(24, 40, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.two(x)], dim=1)


@pytest.mark.parametrize("bias", [False, True])
def test_linear_layers_with_lora(bias: bool) -> None:
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["one", "two"], init_lora_weights=False)
    pair: Any = inject_adapter_in_model(config, Pair(bias))
    fused, x, grad = LoraLinears.of(pair.one, pair.two), torch.randn(9, 24), torch.randn(9, 56)
    assert_same(lambda x: torch.cat(fused(x), dim=1), pair, x)
    grads = []
    for forward in (pair, lambda x: torch.cat(fused(x), dim=1)):
        pair.zero_grad()
        forward(x).backward(grad)
        grads.append([parameter.grad for name, parameter in pair.named_parameters() if "lora_" in name])
    assert len(grads[0]) == 4
    torch.testing.assert_close(*grads)


def plain_attention(lengths: list[int], window: int | None, sinks: Tensor | None = None) -> Any:
    row = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    place = torch.arange(sum(lengths))
    seen = (row[:, None] == row) & (place <= place[:, None]) & (place > place[:, None] - (window or len(place)))

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        shared = query.shape[1] // key.shape[1]
        q, k, v = query, key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
        scores = torch.einsum("qhd,khd->hqk", q, k).masked_fill(~seen, -torch.inf)
        if sinks is not None:
            scores = torch.cat([scores, sinks[:, None, None].expand(-1, len(place), 1)], dim=-1)
        return torch.einsum("hqk,khd->qhd", scores.softmax(-1)[..., : len(place)], v)

    return attend


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("window", [None, 5, 300])
@pytest.mark.parametrize("lengths", [[1], [3, 7, 5], [BLOCK, 1, 2], [4, KEPT + 3, 6]])
def test_attention(lengths: list[int], window: int | None, groups: int) -> None:
    count, blocks = sum(lengths), blocks_of(lengths, window, torch.float32)
    query, key, value = torch.randn(count, 4, 8), torch.randn(count, groups, 8), torch.randn(count, groups, 8)
    assert_same(lambda q, k, v: attention(q, k, v, blocks), plain_attention(lengths, window), query, key, value)


@pytest.mark.parametrize("lengths", [[3, 7], [KEPT + 3, 6]])
def test_attention_with_sinks(lengths: list[int]) -> None:
    count, blocks, sinks = sum(lengths), blocks_of(lengths, None, torch.float32), torch.randn(4)
    query, key, value = torch.randn(count, 4, 8), torch.randn(count, 2, 8), torch.randn(count, 2, 8)
    plain = plain_attention(lengths, None, sinks)
    assert_same(lambda q, k, v: attention(q, k, v, blocks, sinks), plain, query, key, value)


@pytest.mark.parametrize("window", [None, 5, 300])
@pytest.mark.parametrize(("lengths", "shared"), [([9, 7, 8], 6), ([BLOCK, BLOCK + 9, 200, 12], 10), ([700, 650], 640)])
def test_attention_with_a_beginning_that_rows_share(lengths: list[int], shared: int, window: int | None) -> None:
    blocks, whole = blocks_of(lengths, window, torch.float32, shared), plain_attention(lengths, window)
    own = list_own_lengths(lengths, shared)
    first = torch.arange(shared)
    rests = torch.arange(shared, sum(own)).split([own[0] - shared, *own[1:]])
    spread = torch.cat([part for rest in rests for part in (first, rest)])
    back = torch.cat([first, *rests_in_whole_rows(lengths, shared)])

    def plain(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        out: Tensor = whole(query[spread], key[spread], value[spread])[back]
        return out

    query, key, value = torch.randn(sum(own), 4, 8), torch.randn(sum(own), 2, 8), torch.randn(sum(own), 2, 8)
    assert_same(lambda q, k, v: attention(q, k, v, blocks), plain, query, key, value)


def rests_in_whole_rows(lengths: list[int], shared: int) -> list[Tensor]:
    """Where that is which rows do not share."""
    return [row[shared:] for row in torch.arange(sum(lengths)).split(lengths)]


def test_weights_of_long_rows_are_not_kept() -> None:
    lengths = [4 * KEPT]
    query, key, value = leaves(*(torch.randn(4 * KEPT, 1, 1) for _ in range(3)))
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        attention(query, key, value, blocks_of(lengths, None, torch.float32))
    assert [tensor.shape[2] for tensor in kept if tensor.shape[1:] != (1, 1)] == [BLOCK, KEPT]


def test_short_rows_share_a_block() -> None:
    assert spans_of([100, 100, 100, 300, 10, 20]) == [(0, 200), (200, 300), (300, 600), (600, 630)]


@pytest.mark.parametrize("count", [1, 9, TOKENS + 3])
def test_answer_loss(count: int) -> None:
    hidden, head, targets = torch.randn(count, 16), torch.randn(50, 16), torch.randint(50, (count,))
    total, right = answer_loss(hidden, head, targets, Room())
    assert int(right) == int(((hidden @ head.t()).argmax(-1) == targets).sum())

    def plain(hidden: Tensor) -> Tensor:
        return functional.cross_entropy(hidden @ head.t(), targets, reduction="sum")

    assert_same(lambda hidden: answer_loss(hidden, head, targets, Room())[0], plain, hidden)
    torch.testing.assert_close(total, plain(hidden))


@pytest.mark.parametrize("count", [9, TOKENS + 3])
def test_improbable_words_count_as_the_mean_of_all(count: int) -> None:
    hidden, head, targets = torch.randn(count, 16), torch.randn(400, 16), torch.randint(40, (count,))
    hidden[:, 0], head[40:, 1:], head[40:, 0] = 1, head[40:, 1:] / 4, -12
    (leaf,) = leaves(hidden)
    answer_loss(leaf, head, targets, Room())[0].backward()
    expected = []
    for part, wanted in zip(hidden.split(TOKENS), targets.split(TOKENS), strict=True):
        gradient = torch.softmax(part @ head.t(), -1)
        probable = gradient.amax(0) >= IMPROBABLE
        assert 0 < probable.sum() <= 400 * FEW
        gradient[torch.arange(len(part)), wanted] -= 1
        together = gradient[:, ~probable].sum(1, keepdim=True) * head.mean(0)
        expected.append(gradient[:, probable] @ head[probable] + together)
    torch.testing.assert_close(leaf.grad, torch.cat(expected))


def test_nearly_all_words_are_improbable_and_gradients_nearly_exact() -> None:
    hidden, head, targets = torch.randn(20, 16), torch.randn(4000, 16), torch.randint(40, (20,))
    hidden[:, 0], head[40:, 1:], head[40:, 0] = 1, head[40:, 1:] / 4, -12
    ours, exact = leaves(hidden, hidden)
    answer_loss(ours, head, targets, Room())[0].backward()
    functional.cross_entropy(exact @ head.t(), targets, reduction="sum").backward()
    assert ours.grad is not None
    assert exact.grad is not None
    assert not torch.equal(ours.grad, exact.grad)
    assert (ours.grad - exact.grad).norm() < 0.003 * exact.grad.norm()


def test_answer_loss_in_memory_that_was_used_before() -> None:
    room, head = Room(), torch.randn(50, 16)
    for count, is_evaluated in ((3, False), (9, True), (2, False)):
        hidden, targets = torch.randn(count, 16), torch.randint(50, (count,))
        plain = functional.cross_entropy(hidden @ head.t(), targets, reduction="sum")
        with torch.inference_mode(is_evaluated):
            torch.testing.assert_close(answer_loss(hidden, head, targets, room)[0], plain)


def test_a_tie_is_right_where_the_first_of_the_best_is_the_target() -> None:
    head = torch.ones(4, 2)
    for target, expected in ((0, 1), (2, 0)):
        _, right = answer_loss(torch.ones(1, 2), head, torch.tensor([target]), Room())
        assert int(right) == expected

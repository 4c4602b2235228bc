import threading

import pytest
import torch
from torch import Tensor

from jobs.localvertex.engine.fast.workers import MOST, Part, Workers, compute_parts, deal_rows, divide_rows


def test_rows_are_dealt_evenly() -> None:
    assert deal_rows([10, 40, 30, 20], 2) == [[0, 1], [2, 3]]
    assert deal_rows([5, 5, 5], 2) == [[0, 2], [1]]
    assert deal_rows([7, 9], 1) == [[0, 1]]


@pytest.mark.parametrize(
    ("lengths", "shared", "threads", "parts"),
    [
        ([50, 50, 50, 50], 0, 1, 1),
        ([50, 50, 50, 50], 0, 2, 2),
        ([50, 50, 50, 50], 0, 4, 4),
        ([50] * 8, 0, 8, MOST),
        ([50], 0, 2, 1),
        ([90, 10], 0, 2, 1),  # one would wait for the other
        ([60, 40], 0, 2, 2),
        ([50, 50, 50, 50], 40, 2, 1),  # both would compute most of it
        ([50, 50, 50, 50], 10, 2, 2),
    ],
)
def test_rows_are_divided_where_that_is_faster(lengths: list[int], shared: int, threads: int, parts: int) -> None:
    divided = divide_rows(lengths, shared, threads)
    assert len(divided) == parts
    assert sorted(number for part in divided for number in part) == [*range(len(lengths))]


def test_tasks_share_the_threads() -> None:
    workers, meeting = Workers(4), threading.Barrier(2)

    def count_threads() -> int:
        meeting.wait(timeout=60)  # fails unless both run at the same time
        return torch.get_num_threads()

    before = torch.get_num_threads()
    assert workers.run([count_threads, count_threads], learns=False) == [2, 2]
    assert workers.run([torch.get_num_threads], learns=False) == [4]
    assert torch.get_num_threads() == before


def test_results_and_gradients_of_parts() -> None:
    weight, x, places = (
        torch.randn(3, requires_grad=True),
        torch.randn(5, 3),
        (torch.tensor([3, 0]), torch.tensor([1, 2, 4])),
    )

    def make_part(mine: Tensor) -> Part:
        return Part(mine, lambda: (x[mine] * weight).exp())

    parts, grad = [make_part(mine) for mine in places], torch.randn(5, 3)
    whole = (x * weight).exp()
    made = compute_parts(Workers(2), parts, [weight])
    torch.testing.assert_close(made, whole)
    torch.testing.assert_close(torch.autograd.grad(made, weight, grad), torch.autograd.grad(whole, weight, grad))
    with torch.no_grad():
        without = compute_parts(Workers(2), parts, [weight])
    torch.testing.assert_close(without, whole)
    assert not without.requires_grad


def test_errors_of_a_part_reach_the_caller() -> None:
    def fail() -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        Workers(2).run([fail, lambda: None], learns=True)

"""The rows of a step among threads that each compute some of them.

Threads that share every operation wait for each other at the end of every one, which takes a third of the time of a
small model on two cores. Threads that have rows of their own wait once in a pass."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from jobs.localvertex.engine.fast.crowding import Crowding

MOST = 4  # threads with rows of their own: Python starts one operation at a time
GAIN = 0.5  # n threads that share every operation are n ** GAIN times as fast as one


T = TypeVar("T")


class Workers:
    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads)
        self._crowding = Crowding(threads)

    def choose_threads(self) -> int:
        """For the next step, by what other programs leave."""
        self.threads = self._crowding.choose_threads()
        return self.threads

    def run(self, tasks: Sequence[Callable[[], T]], *, learns: bool) -> list[T]:
        """All at the same time; they share the threads evenly. `learns`: with a graph for the backward pass."""
        each = max(1, self.threads // len(tasks))

        def run_task(task: Callable[[], T]) -> T:
            torch.set_num_threads(each)  # of this thread
            with torch.set_grad_enabled(learns):
                return task()

        return list(self._pool.map(run_task, tasks))


@dataclass(frozen=True)
class Part:
    """`compute` makes rows of a result, which belong at `places` of it."""

    places: Tensor
    compute: Callable[[], Tensor]


class _Parts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, workers: Workers, parts: list[Part], *learned: Tensor) -> Tensor:
        ctx.workers, ctx.parts, ctx.learned = workers, parts, learned
        ctx.results = workers.run([part.compute for part in parts], learns=True)
        return join_results(parts, [result.detach() for result in ctx.results])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        def start_at(result: Tensor, grad: Tensor) -> Callable[[], tuple[Tensor, ...]]:
            return lambda: torch.autograd.grad(result, ctx.learned, grad)

        ends = [start_at(result, grads[0][part.places]) for result, part in zip(ctx.results, ctx.parts, strict=True)]
        total, *others = ctx.workers.run(ends, learns=False)
        for other in others:
            for mine, more in zip(total, other, strict=True):
                mine.add_(more)
        return None, None, *total


def compute_parts(workers: Workers, parts: list[Part], learned: Sequence[Tensor]) -> Tensor:
    """The whole result. `learned`: what has gradients, always added up in the order of the parts."""
    if torch.is_grad_enabled():
        result: Tensor = _Parts.apply(workers, parts, *learned)
        return result
    return join_results(parts, workers.run([part.compute for part in parts], learns=False))


def join_results(parts: list[Part], results: list[Tensor]) -> Tensor:
    joined = torch.cat(results)
    return torch.empty_like(joined).index_copy_(0, torch.cat([part.places for part in parts]), joined)


def divide_rows(lengths: list[int], shared: int, threads: int) -> list[list[int]]:
    """Numbers of the rows of each part. `shared`: what all rows begin with, which each part computes for itself."""

    def estimate_time(parts: list[list[int]]) -> float:
        longest = max(shared + sum(lengths[number] - shared for number in part) for part in parts)
        return float(longest / (threads // len(parts)) ** GAIN)

    counts = range(1, min(threads, len(lengths), MOST) + 1)
    return min((deal_rows(lengths, count) for count in counts), key=estimate_time)


def deal_rows(lengths: list[int], count: int) -> list[list[int]]:
    """The longest first, each to the part that has the least."""
    parts: list[list[int]] = [[] for _ in range(count)]
    for number in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        min(parts, key=lambda part: sum(lengths[one] for one in part)).append(number)
    return [sorted(part) for part in parts]

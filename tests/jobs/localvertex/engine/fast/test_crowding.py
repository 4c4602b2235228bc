import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from jobs.localvertex.engine.fast.crowding import CROWDED, FEWER_SECONDS, LOOK_SECONDS, Crowding, read_waiting
from tests.jobs.localvertex.servers import wait_for


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Machine:
    """Its threads wait at `rate`: so many on average."""

    def __init__(self, threads: int) -> None:
        self.now = self.waited = self.rate = 0.0
        self.crowding = Crowding(threads, lambda: self.waited, lambda: self.now)

    def after(self, seconds: float, rate: float) -> int:
        self.now += seconds
        self.waited += seconds * rate
        return self.crowding.choose_threads()


def test_threads_with_a_processor_each_stay() -> None:
    machine = Machine(2)
    assert [machine.after(1, CROWDED - 0.1) for _ in range(3)] == [2, 2, 2]


@pytest.mark.parametrize(
    ("threads", "waiting", "used"), [(2, 0.5, 1), (2, 1.9, 1), (8, 4.2, 3), (8, 0.5, 7), (1, 1, 1)]
)
def test_those_that_wait_are_left_out(threads: int, waiting: float, used: int) -> None:
    assert Machine(threads).after(1, waiting) == used


def test_torch_is_told() -> None:
    machine = Machine(2)
    machine.after(1, 1)
    assert torch.get_num_threads() == 1
    machine.after(FEWER_SECONDS, 0)
    assert torch.get_num_threads() == 2


def test_all_are_tried_again() -> None:
    machine = Machine(2)
    assert [machine.after(1, 1), machine.after(FEWER_SECONDS - 1, 0), machine.after(1, 0)] == [1, 1, 2]
    assert [machine.after(1, 1), machine.after(FEWER_SECONDS, 0), machine.after(1, 0)] == [1, 2, 2]


def test_a_moment_says_nothing() -> None:
    machine = Machine(2)
    assert machine.after(LOOK_SECONDS / 2, 2) == 2
    assert machine.after(LOOK_SECONDS / 2, 2) == 1


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="this system does not count it")
def test_waiting_is_read() -> None:
    """Three threads of this process on one processor, without Python's lock, which only one of them has."""
    before, stop = os.sched_getaffinity(0), threading.Event()

    def work() -> None:
        os.sched_setaffinity(0, {min(before)})
        torch.set_num_threads(1)
        numbers = torch.randn(300, 300)
        while not stop.is_set():
            torch.mm(numbers, numbers)

    workers = [threading.Thread(target=work) for _ in range(3)]
    start = read_waiting()
    for worker in workers:
        worker.start()
    try:
        wait_for(lambda: read_waiting() - start > 0.3, seconds=20)
    finally:
        stop.set()
        for worker in workers:
            worker.join()

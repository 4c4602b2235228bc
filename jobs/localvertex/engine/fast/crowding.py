"""How many threads a training uses while other programs, such as a chat with a model, take processors.

Two threads on one processor are slower than one: parts of a step are small, and all wait for the last."""

import time
from collections.abc import Callable
from pathlib import Path

import torch

LOOK_SECONDS, FEWER_SECONDS = 0.3, 10.0
CROWDED = 0.4  # threads that wait for a processor, on average
TASKS = Path("/proc/self/task")


class Crowding:
    """`read`: seconds that the threads have waited for a processor, all together, since some moment."""

    def __init__(
        self, threads: int, read: Callable[[], float] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._all = self._used = threads
        self._read, self._clock = read or read_waiting, clock
        self._waited, self._looked = self._read(), clock()
        self._until = 0.0

    def choose_threads(self) -> int:
        """For the next step. Fewer for some seconds after threads had to wait; then all are tried again."""
        now = self._clock()
        if self._all == 1 or now - self._looked < LOOK_SECONDS:
            return self._used
        waited = self._read()
        waiting = (waited - self._waited) / (now - self._looked)
        self._waited, self._looked = waited, now
        if self._used == self._all and waiting > CROWDED:
            self._use(max(1, int(self._all - waiting)), now)
        elif self._used < self._all and now >= self._until:
            self._use(self._all, now)
        return self._used

    def _use(self, threads: int, now: float) -> None:
        self._used, self._until = threads, now + FEWER_SECONDS
        torch.set_num_threads(threads)


def read_waiting() -> float:
    """As Linux counts it; always 0 elsewhere."""
    waited = 0
    for path in TASKS.glob("*/schedstat"):
        try:
            waited += int(path.read_text().split()[1])
        except (OSError, IndexError, ValueError):
            continue  # a thread that has just ended
    return waited / 1e9

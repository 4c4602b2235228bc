"""Signs of life of this process: what it tells its supervisor over a pipe, and what it can tell about its threads.

The pipe needs neither the disk nor the database. Without a supervisor nothing is written: then a watchdog ends a
process that hangs, and the container's restart policy starts it again.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

VARIABLE: Final = "CONSOLE_PULSE_FD"
SECONDS: Final = 2.0
# How long a free thread may take until it begins, and the scheduler until it looks at its schedule again.
LONGEST_WAIT: Final = 10.0
ASK_SECONDS: Final = 5.0
# Without a sign of life for so long, a process that has no supervisor ends itself.
LONGEST_SILENCE: Final = 60.0
HANGS: Final = 70

logger = logging.getLogger(__name__)


def send(problem: str = "") -> None:
    """A line. A supervisor that does not read, or is gone, costs it."""
    if not problem:
        well.now()
    descriptor = os.environ.get(VARIABLE, "")
    if descriptor.isdigit():
        with suppress(OSError):
            os.write(int(descriptor), f"{problem}\n".encode())


class Tick:
    """When something that ought to happen all the time last did."""

    def __init__(self) -> None:
        self.at: float | None = None

    def now(self) -> None:
        self.at = time.monotonic()

    def is_overdue(self, now: float) -> bool:
        """Not before it began."""
        return self.at is not None and now - self.at > LONGEST_WAIT


# When this process last said that all is well.
well = Tick()


class Watchdog(threading.Thread):
    """Ends a process that hangs and has nobody else who would. `tick` is what ought to happen all the time."""

    def __init__(self, tick: Tick) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._tick = tick
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        looked = time.monotonic()
        while not self._stopped.wait(SECONDS):
            now = time.monotonic()
            if now - looked > LONGEST_WAIT:
                # The whole process was stopped, or the machine slept.
                self._tick.now()
            looked = now
            if self._tick.at is not None and now - self._tick.at > LONGEST_SILENCE:
                logger.critical("This process has hung for %.0f s. It ends, to be started again.", now - self._tick.at)
                os._exit(HANGS)


def has_supervisor() -> bool:
    return bool(os.environ.get(VARIABLE))


class Executor(Protocol):
    def submit(self, call: Callable[[], object], /) -> object: ...


class Threads:
    """Of a pool: do they still take work? A question is put into their queue. As long as all of them have work that is
    within its time limit, it may wait. A thread cannot be ended; its process can."""

    def __init__(self, executor: Executor, size: int) -> None:
        self._executor = executor
        self._size = size
        self._asked = 0.0
        self._answered = True

    def problem(self, now: float) -> str:
        if self._answered:
            if now - self._asked > ASK_SECONDS:
                self._ask(now)
            return ""
        if now - self._asked < LONGEST_WAIT:
            return ""
        ends = list(deadlines.values())
        if len(ends) < self._size:
            return "its threads take no work"
        return "all of its threads hang" if max(ends) < now else ""

    def _ask(self, now: float) -> None:
        self._asked, self._answered = now, False
        self._executor.submit(self._answer)

    def _answer(self) -> None:
        self._answered = True


# By thread: when the task that it works on is over its limit.
deadlines: dict[int, float] = {}


def begin_task(limit: float) -> None:
    deadlines[threading.get_ident()] = time.monotonic() + limit


def end_task() -> None:
    deadlines.pop(threading.get_ident(), None)

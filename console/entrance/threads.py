"""Turns at the threads that make pages: one client never has all of them, and never waits in an endless queue; and
whether these threads still get anywhere."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from . import limits
from .limits import Full


@dataclass(slots=True)
class Lane:
    """`inside` counts those that wait, too. `waiting`: the patience of each of those, in their order."""

    free: asyncio.Semaphore
    inside: int = 0
    waiting: dict[asyncio.Timeout, None] = field(default_factory=dict)

    def turn_away(self) -> None:
        """The one that came last."""
        patience, _ = self.waiting.popitem()
        if not patience.expired():
            patience.reschedule(0)


@dataclass
class Lanes:
    threads: int = limits.THREADS
    each: int = limits.THREADS_PER_CLIENT
    waiting: int = limits.WAITING
    waiting_each: int = limits.WAITING_PER_CLIENT
    seconds: float = limits.WAIT_SECONDS
    inside: int = 0
    lanes: dict[str, Lane] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.free = asyncio.Semaphore(self.threads)

    async def enter(self, client: str) -> None:
        """Returns when it is this client's turn; `leave` has to follow. Raises Full when too many wait already, or when
        others that have fewer waiting need the room."""
        lane = self.lanes.get(client) or Lane(asyncio.Semaphore(self.each))
        if lane.inside >= self.waiting_each + self.each:
            raise Full
        if self.inside >= self.waiting + self.threads:
            self._make_room(lane)
        self.lanes[client] = lane
        lane.inside += 1
        self.inside += 1
        try:
            await self._wait(lane)
        except TimeoutError:
            self._forget(client)
            raise Full from None
        except BaseException:
            self._forget(client)
            raise

    def _make_room(self, comer: Lane) -> None:
        longest = max(self.lanes.values(), key=lambda lane: len(lane.waiting))
        if len(longest.waiting) <= len(comer.waiting):
            raise Full
        longest.turn_away()

    async def _wait(self, lane: Lane) -> None:
        async with asyncio.timeout(self.seconds) as patience:
            lane.waiting[patience] = None
            try:
                await self._take(lane)
            finally:
                lane.waiting.pop(patience, None)

    async def _take(self, lane: Lane) -> None:
        await lane.free.acquire()
        try:
            await self.free.acquire()
        except BaseException:
            lane.free.release()
            raise

    def leave(self, client: str) -> None:
        self.free.release()
        self.lanes[client].free.release()
        self._forget(client)

    def _forget(self, client: str) -> None:
        lane = self.lanes[client]
        lane.inside -= 1
        self.inside -= 1
        if not lane.inside:
            del self.lanes[client]


@dataclass
class Work:
    """What the threads are at. `began`: by thread, the start of its page and the clock of its processor time.

    `used` and `used_at`: that time of all of them, when it was last seen to have grown by what counts as work.
    `hung_seconds`: longer than any page takes.
    """

    hung_seconds: float = limits.HUNG_SECONDS
    began: dict[int, tuple[float, int | None]] = field(default_factory=dict)
    used: float = 0.0
    used_at: float = 0.0

    @contextmanager
    def one_page(self) -> Iterator[None]:
        """Around the making of it, in its thread."""
        thread = threading.get_ident()
        self.began[thread] = time.monotonic(), clock_of(thread)
        try:
            yield
        finally:
            del self.began[thread]

    def is_hanging(self) -> bool:
        """Every thread has been at one and the same page for longer than any takes, and none has worked meanwhile, as
        far as earlier questions saw. To be asked every few seconds."""
        now, pages = time.monotonic(), list(self.began.values())
        used = sum(time.clock_gettime(clock) for _, clock in pages if clock is not None)
        if abs(used - self.used) > limits.HUNG_SHARE * self.hung_seconds:
            self.used, self.used_at = used, now
        if len(pages) < limits.THREADS:
            return False
        return now - max(self.used_at, *(began for began, _ in pages)) > self.hung_seconds


def clock_of(thread: int) -> int | None:
    """Some systems have no clock for one thread: there only the time counts that a page takes."""
    find = getattr(time, "pthread_getcpuclockid", None)
    return find(thread) if find else None

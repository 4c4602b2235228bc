"""Cuts a connection when its deadline passes, however slowly bytes may drip."""

import math
import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from jobs.text.deferred import gettext as _
from jobs.vertex.errors import Unavailable


class Watch:
    """`first` seconds to the first event, then `idle` seconds between events, `total` for everything."""

    def __init__(self, first: float, idle: float, total: float) -> None:
        self._idle = idle
        now = time.monotonic()
        self._end = now + total
        self._deadline = now + first
        self._late = ""
        self._socket: socket.socket | None = None
        self._is_cut = False

    def __enter__(self) -> Self:
        guard.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        guard.remove(self)

    @property
    def due(self) -> float:
        return min(self._deadline, self._end)

    def holds(self, connected: socket.socket) -> None:
        """What is cut from now on. Reading from it has no time limit but the watch's."""
        connected.settimeout(None)
        self._socket = connected
        if self._is_cut:
            self.cut()

    def saw_event(self) -> None:
        """Wakes the guard only when it would sleep too long, so that a token costs no switch of threads."""
        before, self._deadline = self._deadline, time.monotonic() + self._idle
        if self._deadline < before:
            guard.wake()

    def verdict(self) -> Unavailable | None:
        """Why it was cut, if it was."""
        return Unavailable(self._late, "DEADLINE_EXCEEDED") if self._late else None

    def cut(self) -> None:
        """Wakes a thread that is blocked in a read, which closing the socket would not; one that connects, later."""
        self._is_cut = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def expire(self) -> None:
        too_long = self._end <= time.monotonic()
        self._late = (
            _("The answer took too long and was cut off.") if too_long else _("The endpoint stopped responding.")
        )
        self.cut()


class Guard:
    """Looks after all watches. Its thread begins with the first one: before that the process may fork."""

    def __init__(self) -> None:
        self._watches: set[Watch] = set()
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, watch: Watch) -> None:
        with self._change:
            self._watches.add(watch)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="chat-watch", daemon=True)
                self._thread.start()
            self._change.notify()

    def remove(self, watch: Watch) -> None:
        with self._change:
            self._watches.discard(watch)

    def wake(self) -> None:
        with self._change:
            self._change.notify()

    def _run(self) -> None:
        while True:
            for watch in self._late():
                watch.expire()

    def _late(self) -> set[Watch]:
        """Waits until one is due, or another one has come."""
        with self._change:
            soonest = min((watch.due for watch in self._watches), default=math.inf)
            self._change.wait(min(max(0.0, soonest - time.monotonic()), threading.TIMEOUT_MAX))
            now = time.monotonic()
            late = {watch for watch in self._watches if watch.due <= now}
            self._watches -= late
            return late


guard = Guard()

"""Cuts a connection when its deadline passes, however slowly bytes may drip."""

import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from django.utils.translation import gettext as _

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
        self._over = False
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="chat-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._change:
            self._over = True
            self._change.notify()
        self._thread.join()

    def holds(self, connected: socket.socket) -> None:
        """What is cut from now on. Reading from it has no time limit but the watch's."""
        connected.settimeout(None)
        self._socket = connected
        if self._is_cut:
            self.cut()

    def saw_event(self) -> None:
        """Wakes the watch only when it would sleep too long, so that a token costs no switch of threads."""
        deadline = time.monotonic() + self._idle
        with self._change:
            if deadline < self._deadline:
                self._change.notify()
            self._deadline = deadline

    def verdict(self) -> Unavailable | None:
        """Why it was cut, if it was."""
        return Unavailable(self._late, "DEADLINE_EXCEEDED") if self._late else None

    def cut(self) -> None:
        """Wakes a thread that is blocked in a read, which closing the socket would not; one that connects, later."""
        self._is_cut = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        with self._change:
            while not self._over:
                left = min(self._deadline, self._end) - time.monotonic()
                if left <= 0:
                    break
                self._change.wait(left)
            if self._over:
                return
        too_long = self._end <= time.monotonic()
        self._late = _("The answer took too long and was cut off.") if too_long else _("The endpoint fell silent.")
        self.cut()

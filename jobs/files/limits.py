"""No call to a distant store lasts longer than it may, whatever hangs.

The look-up of a name, a connection, an answer of which a byte comes now and then: with each of these the time limits of
the clients begin anew, or they have none.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

# Each call has a thread; one that hangs has it until the client gives up.
AT_ONCE = 32
PAUSE_SECONDS, SLOW_SECONDS = 5.0, 2.0


@dataclass(frozen=True)
class Patience:
    """With a store, in seconds. `connect` and `silence` are for one socket and `retry` for the attempts of a client;
    `ask`, `fetch` and `send` for a call with all of that; `read` for one reader, all pieces together."""

    connect: float = 3.0
    silence: float = 8.0
    retry: float = 3.0
    ask: float = 10.0
    fetch: float = 15.0
    send: float = 60.0
    read: float = 60.0


class Line:
    """The way to one store. After a call that failed slowly nothing is tried for a while, and then by one caller for
    all: the threads that draw pages are few, and a page may need many files."""

    def __init__(self, pause: float = PAUSE_SECONDS) -> None:
        self._pause = pause
        self._slots, self._lock = threading.BoundedSemaphore(AT_ONCE), threading.Lock()
        self._closed_until, self._is_down = 0.0, False

    def call(self, work: Callable[[], T], seconds: float) -> T:
        """What `work` gives or raises; TimeoutError after so many seconds, when it may still be going on."""
        began = time.monotonic()
        self._enter(began, seconds)
        if not self._slots.acquire(timeout=seconds):
            self.close()
            raise TimeoutError(f"{AT_ONCE} calls are still waiting")
        outcome: Future[T] = Future()
        threading.Thread(target=self._run, args=(work, outcome), name="file-store", daemon=True).start()
        try:
            found = outcome.result(began + seconds - time.monotonic())
        except Exception:
            self.close() if time.monotonic() - began > SLOW_SECONDS else self.open()
            raise
        self.open()
        return found

    def _enter(self, now: float, seconds: float) -> None:
        with self._lock:
            if now < self._closed_until:
                raise TimeoutError("it did not answer a moment ago")
            if self._is_down:
                self._closed_until = now + seconds

    def _run(self, work: Callable[[], T], outcome: "Future[T]") -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)
        finally:
            self._slots.release()

    def open(self) -> None:
        with self._lock:
            self._closed_until, self._is_down = 0.0, False

    def close(self) -> None:
        with self._lock:
            self._closed_until, self._is_down = time.monotonic() + self._pause, True

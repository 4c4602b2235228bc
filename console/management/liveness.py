"""How the supervisor knows that a process works: it asks it over the network, or the process writes to a pipe.

Neither needs the disk, the database or Redis.
"""

import errno
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress

ASK_SECONDS = 2.0
FIRST_ASK_SECONDS = 0.05
# What this process lacks itself says nothing about the process that it asks.
OWN_FAULTS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL})


class Ear:
    """`since` is when the process last gave a sign of life, or was excused; a reading of time.monotonic()."""

    def __init__(self) -> None:
        self.since = time.monotonic()
        self.is_ready = False
        self.problem = ""

    def hear(self) -> None:
        self.since, self.is_ready, self.problem = time.monotonic(), True, ""

    def excuse(self) -> None:
        self.since = time.monotonic()

    def listen(self) -> None:
        """Takes in what has come. Never waits."""

    def close(self) -> None:
        """The process has ended."""


class Questions(Ear):
    """Asks from a thread of its own: an answer may take seconds, and the supervisor has others to look after."""

    def __init__(self, ask: Callable[[], bool], name: str, pause: float = ASK_SECONDS) -> None:
        """`pause`: seconds between two questions to one that has answered once."""
        super().__init__()
        self._ask, self._pause = ask, pause
        self._closed = threading.Event()
        threading.Thread(target=self._repeat, name=f"ask-{name}", daemon=True).start()

    def close(self) -> None:
        self._closed.set()

    def _repeat(self) -> None:
        while not self._closed.wait(self._pause if self.is_ready else FIRST_ASK_SECONDS):
            try:
                if self._ask():
                    self.hear()
            except OSError as error:
                if error.errno in OWN_FAULTS:
                    self.excuse()


class Pulse(Ear):
    """An empty line: all is well. A line with a sentence: what is not. `writer` is for the process only."""

    def __init__(self) -> None:
        super().__init__()
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        # The process must never wait for a supervisor that does not read.
        os.set_blocking(self.writer, False)

    def let_go(self) -> None:
        """The process has its own copy."""
        if self.writer >= 0:
            os.close(self.writer)
        self.writer = -1

    def listen(self) -> None:
        with suppress(BlockingIOError):
            lines = os.read(self._reader, 65_536).decode(errors="replace").split("\n")[:-1]
            if "" in lines:
                self.hear()
            self.problem = lines[-1][:200] if lines else self.problem

    def close(self) -> None:
        self.let_go()
        os.close(self._reader)

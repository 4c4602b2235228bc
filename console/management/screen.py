"""Lines for a terminal that may take nothing: Ctrl-S, a connection that is dead, `up | less` that waits for a key.

One thread writes, and only that one ever waits. What others show is queued; what finds no room is counted.
"""

import os
import select
import threading
from contextlib import suppress
from typing import Final, TextIO

# Characters that wait to be written, and as many more for what only the terminal gets.
MAX_SIZE: Final = 250_000


class Screen:
    """`stream` may be None, or any that is closed or broken: then nothing is shown."""

    def __init__(self, stream: TextIO | None, most: int = MAX_SIZE) -> None:
        self._stream, self._most = stream, most
        self._changed = threading.Condition()
        self._queue: list[str] = []
        self._size = self._left_out = 0
        self._is_writing = False
        self._writer: threading.Thread | None = None

    def show(self, text: str, *, has_no_log: bool = False) -> None:
        """Never waits for the terminal."""
        with self._changed:
            if self._size + len(text) > self._most * (2 if has_no_log else 1):
                self._left_out += 1
                return
            self._queue.append(self._notice() + text)
            self._size += len(text)
            self._changed.notify_all()
            self._start()

    def flush(self, seconds: float) -> bool:
        """False: the terminal has not taken all of it in so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue and not self._is_writing, seconds)

    def _notice(self) -> str:
        count, self._left_out = self._left_out, 0
        if not count:
            return ""
        return f"({count} {'line is' if count == 1 else 'lines are'} left out here; the logs have all of them.)\n"

    def _start(self) -> None:
        """When there is no thread left on this machine, the next line tries again."""
        if self._writer is None:
            writer = threading.Thread(target=self._write_on, name="screen", daemon=True)
            with suppress(RuntimeError):
                writer.start()
                self._writer = writer

    def _write_on(self) -> None:
        while True:
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: bool(self._queue))
                text = "".join(self._queue) + self._notice()
                self._queue.clear()
                self._size, self._is_writing = 0, True
            self._write(text)

    def _write(self, text: str) -> None:
        """A reader that went away (`up | head`) must not stop the processes."""
        with suppress(OSError, ValueError, AttributeError):
            descriptor = self._descriptor()
            if descriptor is None:
                self._stream.write(text)  # type: ignore[union-attr]
                self._stream.flush()  # type: ignore[union-attr]
            else:
                write_all(descriptor, text.encode(self._stream.encoding, "replace"))  # type: ignore[union-attr]

    def _descriptor(self) -> int | None:
        """Python's own buffer has a lock that the end of the program would wait for."""
        with suppress(OSError, ValueError, AttributeError):
            return self._stream.fileno()  # type: ignore[union-attr]
        return None


def write_all(descriptor: int, data: bytes) -> None:
    """Also if another program has made the terminal answer at once that it is full."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            select.select([], [descriptor], [])

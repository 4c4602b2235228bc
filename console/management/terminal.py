"""Many processes' lines on one terminal, each with its name; the whole of it in one rotated file per process.

A file that cannot be written costs its lines, and stops nothing: the last of them are kept in memory, too. Nor does a
terminal that takes nothing.
"""

import logging
import os
import sys
import threading
from collections import deque
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO, TextIO

from console.management.screen import MAX_SIZE, Screen
from jobs.log_lines import escape

COLOURS = {"web": 36, "worker": 32, "vertex": 35, "storage": 33, "cache": 34}
LONGEST_LINE = 65_536
LOG_BYTES, LOG_COPIES = 5_000_000, 3
TAIL_LINES = 15
FLUSH_SECONDS = 1.0


class Log(RotatingFileHandler):
    """Says in the file, once it can be written again, how many lines are missing."""

    def __init__(self, path: Path, size: int) -> None:
        super().__init__(path, maxBytes=size, backupCount=LOG_COPIES, delay=True)
        self.lost = 0

    def write(self, line: str) -> None:
        missing, self.lost = self.lost, 0
        if missing:
            self.handle(logging.makeLogRecord({"msg": f"({missing} lines could not be written to this file.)"}))
        if self.lost:
            self.lost = missing + 1
        else:
            self.handle(logging.makeLogRecord({"msg": line}))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Opens the file anew at the next line: what the old one still holds can neither be written nor taken back."""
        self.lost += 1
        stream, self.stream = self.stream, None
        with suppress(OSError, ValueError):
            if stream:
                stream.close()


class Terminal:
    def __init__(
        self, logs: Path, stream: TextIO | None = None, *, log_size: int = LOG_BYTES, screen_size: int = MAX_SIZE
    ) -> None:
        """`log_size`: bytes in a file before a new one is begun. `screen_size`: characters that wait for a terminal."""
        with suppress(OSError):
            logs.mkdir(parents=True, exist_ok=True)
        self.logs, self.log_size = logs, log_size
        self.stream = stream or sys.stdout
        self.coloured = self.stream is not None and self.stream.isatty() and "NO_COLOR" not in os.environ
        self.screen = Screen(self.stream, screen_size)
        self.tails: dict[str, deque[str]] = {}

    def say(self, sentence: str) -> None:
        self.screen.show(f"{sentence}\n", has_no_log=True)

    def flush(self, seconds: float = FLUSH_SECONDS) -> bool:
        """False: the terminal has not taken all of it in so many seconds."""
        return self.screen.flush(seconds)

    def follow(self, name: str, pipe: IO[bytes], *, echo: bool) -> threading.Thread:
        """Raises RuntimeError when this machine has no thread left."""
        self.tails.setdefault(name, deque(maxlen=TAIL_LINES))
        thread = threading.Thread(target=self._copy, args=(name, pipe, echo), name=f"log-{name}", daemon=True)
        thread.start()
        return thread

    def tail(self, name: str) -> str:
        return "\n".join(self.tails.get(name, ()))

    def file(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def _copy(self, name: str, pipe: IO[bytes], echo: bool) -> None:
        log = Log(self.file(name), self.log_size)
        with pipe:
            for raw in iter(lambda: pipe.readline(LONGEST_LINE), b""):
                line = escape(raw.decode(errors="replace").rstrip("\r\n"))
                self.tails[name].append(line)
                log.write(line)
                if echo:
                    self.screen.show(f"{self._prefix(name)}{line}\n")
        with suppress(OSError):
            log.close()

    def _prefix(self, name: str) -> str:
        label = f"{name:<8}│ "
        return f"\x1b[{COLOURS.get(name, 37)}m{label}\x1b[0m" if self.coloured else label

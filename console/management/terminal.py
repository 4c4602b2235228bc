"""Many processes' lines on one terminal, each with its name; the whole of it in one rotated file per process."""

import logging
import os
import sys
import threading
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO, TextIO

COLOURS = {"web": 36, "worker": 32, "vertex": 35, "storage": 33, "cache": 34}
LONGEST_LINE = 65_536
LOG_BYTES, LOG_COPIES = 5_000_000, 3


class Terminal:
    def __init__(self, logs: Path, stream: TextIO | None = None) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self.logs = logs
        self.stream = stream or sys.stdout
        self.coloured = self.stream is not None and self.stream.isatty() and "NO_COLOR" not in os.environ
        self.lock = threading.Lock()

    def say(self, sentence: str) -> None:
        self._write(f"{sentence}\n")

    def follow(self, name: str, pipe: IO[bytes], *, echo: bool) -> threading.Thread:
        thread = threading.Thread(target=self._copy, args=(name, pipe, echo), name=f"log-{name}", daemon=True)
        thread.start()
        return thread

    def tail(self, name: str, lines: int = 15) -> str:
        path = self.logs / f"{name}.log"
        text = path.read_text(errors="replace") if path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def _copy(self, name: str, pipe: IO[bytes], echo: bool) -> None:
        log = RotatingFileHandler(self.logs / f"{name}.log", maxBytes=LOG_BYTES, backupCount=LOG_COPIES)
        with pipe:
            for raw in iter(lambda: pipe.readline(LONGEST_LINE), b""):
                line = raw.decode(errors="replace").rstrip("\r\n")
                log.handle(logging.makeLogRecord({"msg": line}))
                if echo:
                    self._write(f"{self._prefix(name)}{line}\n")
        log.close()

    def _prefix(self, name: str) -> str:
        label = f"{name:<8}│ "
        return f"\x1b[{COLOURS.get(name, 37)}m{label}\x1b[0m" if self.coloured else label

    def _write(self, text: str) -> None:
        """A reader that went away (`up | head`) must not stop the processes."""
        try:
            with self.lock:
                self.stream.write(text)
                self.stream.flush()
        except (OSError, ValueError, AttributeError):
            return

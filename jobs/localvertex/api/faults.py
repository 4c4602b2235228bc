"""The fault switch for reliability tests. Off unless the server was started with `--faults FILE`."""

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODES = ("drop_before", "drop_after", "delay", "refuse", "half_answer")


@dataclass(frozen=True)
class Fault:
    mode: str
    status: int = 503
    seconds: float = 0.0
    size: int = 0


class Faults:
    """Reads the file at every request, so a test changes it while the server runs; a changed file counts anew."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._text = ""
        self._left: list[int] = []

    def next(self, method: str) -> Fault | None:
        if self._path is None:
            return None
        with self._lock:
            entries = self._read(self._path)
            for index, entry in enumerate(entries):
                if entry.get("method") in (method, "*") and self._left[index] > 0:
                    self._left[index] -= 1
                    return _fault(entry)
        return None

    def _read(self, path: Path) -> list[dict[str, Any]]:
        """A half-written or missing file is no fault; a test that wants one writes it with a rename."""
        try:
            text = path.read_text(encoding="utf-8")
            entries: list[dict[str, Any]] = [e for e in json.loads(text) if e.get("mode") in MODES]
        except (OSError, ValueError, AttributeError):
            return []
        if text != self._text:
            self._text = text
            self._left = [int(entry.get("times", 1)) for entry in entries]
        return entries


def _fault(entry: dict[str, Any]) -> Fault:
    return Fault(
        entry["mode"],
        status=int(entry.get("status", 503)),
        seconds=float(entry.get("seconds", 0)),
        size=int(entry.get("bytes", 0)),
    )

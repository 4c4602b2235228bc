"""The fault switch for reliability tests. Off unless the server was started with `--faults FILE`.

The file is a JSON list. An entry with a `method` goes wrong `times` times: `drop_before` and `drop_after` close the
connection, `delay` waits, `refuse` answers an HTTP `status` with a `message`, `half_answer` ends early, and `fail` lets
the call work and what it began fail after `seconds`, a job or a deployment, with the `code` and the `message`.
The entry of the mode `project` says for as long as it stands what is missing in the project; see
`jobs.localvertex.project.situation`.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.localvertex.api.errors import CODES, ApiError

FAIL, PROJECT = "fail", "project"
FAILURE = "failure"  # the name in a note, for what is to fail later
POLL_SECONDS = 0.1
MODES = ("drop_before", "drop_after", "delay", "refuse", "half_answer", FAIL)
NO_REASON = "Refused by the fault switch."


@dataclass(frozen=True)
class Fault:
    mode: str
    status: int = 503
    seconds: float = 0.0
    size: int = 0
    code: str = "INTERNAL"
    message: str = NO_REASON


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

    def project(self) -> dict[str, Any]:
        """What the entry of this mode says; nothing where there is none."""
        entries = self._parse(self._path)[1] if self._path else []
        return next((entry for entry in entries if entry.get("mode") == PROJECT), {})

    def _read(self, path: Path) -> list[dict[str, Any]]:
        text, found = self._parse(path)
        entries = [entry for entry in found if entry.get("mode") in MODES]
        if text != self._text:
            self._text = text
            self._left = [int(entry.get("times", 1)) for entry in entries]
        return entries

    def _parse(self, path: Path) -> tuple[str, list[dict[str, Any]]]:
        """A half-written or missing file is no fault; a test that wants one writes it with a rename."""
        try:
            text = path.read_text(encoding="utf-8")
            found = json.loads(text)
        except (OSError, ValueError):
            return self._text, []
        return text, [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def wait_to_fail(note: Mapping[str, Any], leaving: Callable[[], bool]) -> None:
    """Raises what the fault switch has ordered, after its time; nothing where it has not, or who waits has to leave."""
    failure = note.get(FAILURE)
    if failure is None:
        return
    until = time.monotonic() + float(failure["seconds"])
    while time.monotonic() < until:
        if leaving():
            return
        time.sleep(min(POLL_SECONDS, max(0.0, until - time.monotonic())))
    code = failure["code"]
    raise ApiError(code if code in CODES else "INTERNAL", str(failure["message"]))


def _fault(entry: dict[str, Any]) -> Fault:
    return Fault(
        entry["mode"],
        status=int(entry.get("status", 503)),
        seconds=float(entry.get("seconds", 0)),
        size=int(entry.get("bytes", 0)),
        code=str(entry.get("code", "INTERNAL")),
        message=str(entry.get("message", NO_REASON)),
    )

"""What is remembered of each import: a folder with what came of it so far, and a file that says how far it is.

There is no token in it.
"""

import json
import os
import re
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

RUNNING, INTERRUPTED, PAUSED, FAILED, DONE = "RUNNING", "INTERRUPTED", "PAUSED", "FAILED", "DONE"
ID = re.compile(r"[a-z0-9][a-z0-9-]{7,63}")
FILE = "import.json"


@dataclass
class Entry:
    """`commit`: what the first look found; a later try takes the same. `finished`: files that were checked, by their
    names here. `message`: why it is not RUNNING, with the remedy. `model`: its id, when it is DONE."""

    id: str
    source: str
    revision: str
    file: str = ""
    commit: str = ""
    state: str = RUNNING
    stage: str = ""
    message: str = ""
    total: int = 0
    done: int = 0
    finished: dict[str, int] = field(default_factory=dict)
    model: str = ""

    def tell(self) -> dict[str, Any]:
        shown = ("id", "source", "state", "stage", "message", "total", "done", "model")
        return {name: value for name, value in asdict(self).items() if name in shown}


class Journal:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def files_of(self, id: str) -> Path:
        return self._folder / id / "files"

    def write(self, entry: Entry) -> None:
        folder = self._folder / entry.id
        self.files_of(entry.id).mkdir(parents=True, exist_ok=True)
        partial = folder / f"{FILE}.partial"
        partial.write_text(json.dumps(asdict(entry)), encoding="utf-8")
        os.replace(partial, folder / FILE)

    def read_all(self) -> list[Entry]:
        """What was under way when this program ended is interrupted. What cannot be read is nothing that goes on."""
        found = []
        for path in sorted(self._folder.glob(f"*/{FILE}")):
            try:
                entry = Entry(**json.loads(path.read_text(encoding="utf-8")))
            except (OSError, ValueError, TypeError):
                continue
            if entry.state == RUNNING:
                entry.state = INTERRUPTED
            found.append(entry)
        return found

    def discard_files(self, id: str) -> None:
        shutil.rmtree(self.files_of(id), ignore_errors=True)

    def forget(self, id: str) -> None:
        shutil.rmtree(self._folder / id, ignore_errors=True)

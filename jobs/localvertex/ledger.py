"""An append-only record of everything that was created: reliability tests judge by it, never by a client's books."""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any


class Ledger:
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._lock = threading.Lock()

    def record(self, method: str, name: str, **facts: Any) -> None:
        line = json.dumps({"time": time.time(), "method": method, "name": name, **facts}) + "\n"
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

"""How fast this machine answers with a model, as it was measured when the model was served."""

import json
import logging
import threading
from pathlib import Path

log = logging.getLogger(__name__)


class Speeds:
    """Tokens a second by what was served, kept in a file. Of several measurements the fastest counts: whatever else the
    machine does makes none of them faster."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def keep(self, name: str, tokens_per_second: float) -> None:
        with self._lock:
            found = self._read()
            if tokens_per_second <= found.get(name, 0.0):
                return
            found[name] = round(tokens_per_second, 1)
            partial = self._path.with_suffix(".partial")
            try:
                partial.write_text(json.dumps(found), encoding="utf-8")
                partial.replace(self._path)
            except OSError as error:
                log.warning("the speed of %s could not be kept: %s", name, error)

    def find(self, name: str) -> float | None:
        with self._lock:
            return self._read().get(name)

    def _read(self) -> dict[str, float]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {name: speed for name, speed in found.items() if isinstance(speed, int | float) and speed > 0}

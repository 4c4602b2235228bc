"""Waits for the real weights: the first start in a folder converts them once, in the background."""

import re
import time

from tests.support.running import GEMMA, Running


def wait_for_weights(console: Running, patience: float = 600, model: str = GEMMA) -> float:
    """The seconds that it took."""
    ready = re.compile(rf"{re.escape(model)} is ready after (\d+) s")
    log = console.data_dir / "logs/vertex.log"
    until = time.monotonic() + patience
    while not (found := ready.search(log.read_text(errors="replace"))):
        if time.monotonic() > until:
            raise TimeoutError(f"The weights were not ready after {patience:.0f} s:\n{console.output()[-3000:]}")
        time.sleep(0.5)
    return float(found[1])

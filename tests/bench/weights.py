"""Waits for the real weights: the first start in a folder converts them once, in the background."""

import re
import time
from collections.abc import Iterable
from pathlib import Path

from jobs.localvertex.models.packaged import Place, find_packaged, how_to_get, place_of
from tests.support.running import GEMMA, Running

HOW = "Run `make up` while a package index can be reached: it brings them"


def require_weights(models: Iterable[str], place: Place = place_of) -> None:
    """Ends the program with a sentence where a new console would have none to make ready, however long one waits."""
    here = {weights.id for weights in find_packaged(Path("none"), [], place)}
    missing = [
        f"{model} has no weights on this machine. {how_to_get(model) or HOW}." for model in models if model not in here
    ]
    if missing:
        raise SystemExit("\n".join(missing))


def wait_for_weights(console: Running, patience: float = 600, model: str = GEMMA) -> float:
    """The seconds that it took."""
    require_weights([model])
    ready = re.compile(rf"{re.escape(model)} is ready after (\d+) s")
    log = console.data_dir / "logs/vertex.log"
    until = time.monotonic() + patience
    while not (found := ready.search(log.read_text(errors="replace"))):
        if time.monotonic() > until:
            raise TimeoutError(f"The weights were not ready after {patience:.0f} s:\n{console.output()[-3000:]}")
        time.sleep(0.5)
    return float(found[1])

"""A whole Hugging Face model to GGUF, by the engine's `convert FOLDER OUT.gguf`, where the engine has that command."""

import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from jobs.localvertex.api.errors import ApiError, precondition, unavailable
from jobs.localvertex.models.engine_process import child_environment, end, last_line, lower_priority
from jobs.localvertex.shortages import shortage_in_output

POLL_SECONDS = 0.1
PROBE_SECONDS = 30


class Converter:
    def __init__(self, engine: Sequence[str]) -> None:
        self._engine = list(engine)
        self._lock = threading.Lock()
        self._known: bool | None = None

    def available(self) -> bool:
        """Asks the engine once; it takes the time of starting Python."""
        with self._lock:
            if self._known is None:
                self._known = self._probe_engine()
            return self._known

    def _probe_engine(self) -> bool:
        command = [*self._engine, "convert", "--help"]
        try:
            answer = subprocess.run(command, capture_output=True, timeout=PROBE_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise unavailable("The engine did not answer in time. Try again in a moment.") from None
        return answer.returncode == 0

    def require(self, source: object) -> None:
        if not self.available():
            raise precondition(
                f"{source} holds a whole model and no adapter. This server cannot convert a whole model to GGUF yet:"
                " deploy the folder of a LoRA tuning (it has adapter/adapter.gguf), or start the server with the"
                " model's GGUF file in LOCALVERTEX_MODELS."
            )

    def run(self, folder: Path, target: Path, stopped: Callable[[], bool], kind: str) -> None:
        log_path = target.with_name("convert.log")
        partial = target.with_name(f"{target.stem}.partial.gguf")
        with log_path.open("wb") as output:
            command = [*self._engine, "convert", str(folder), str(partial), "--type", kind]
            child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=child_environment())
        lower_priority(child)
        while child.poll() is None:
            if stopped():
                end(child, patience=1.0)
                raise ApiError("CANCELLED", "The deployment was cancelled.")
            with suppress(subprocess.TimeoutExpired):
                child.wait(POLL_SECONDS)
        if child.returncode != 0:
            partial.unlink(missing_ok=True)
            if problem := shortage_in_output(last_line(log_path)):
                raise unavailable(problem)
            raise precondition(f"The model could not be converted to GGUF: {last_line(log_path)}")
        partial.replace(target)

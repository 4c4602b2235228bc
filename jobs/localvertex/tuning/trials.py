"""What a training will take, found out before there is one: tokens by the model's tokenizer, speed by a few steps."""

import json
import logging
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from jobs.localvertex.api.errors import invalid, unavailable
from jobs.localvertex.api.wire import Json
from jobs.localvertex.models.engine_process import child_environment, lower_priority
from jobs.localvertex.models.weights import Weights

log = logging.getLogger(__name__)
COUNT_SECONDS, PACE_SECONDS = 15, 120
MODES = ("PEFT_ADAPTER", "FULL")


class Trials:
    """`folder` keeps the paces, so that each mode of a model is measured once on a machine."""

    def __init__(self, folder: Path, engine: Sequence[str]) -> None:
        self._folder, self._engine = folder, list(engine)
        self._lock = threading.Lock()
        self._measuring: set[str] = set()
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def count(self, weights: Weights, rows: Sequence[str], max_length: int) -> int:
        """Takes as long as reading the tokenizer, about a second. Raises INVALID_ARGUMENT for a row that is none."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.jsonl"
            path.write_text("\n".join(rows), encoding="utf-8")
            command = [*self._engine, "count", str(weights.hf), str(path), "--max-length", str(max_length)]
            try:
                answer = subprocess.run(
                    command, capture_output=True, timeout=COUNT_SECONDS, check=False, env=child_environment()
                )
            except subprocess.TimeoutExpired:
                raise unavailable("The tokens could not be counted in time. Try again in a moment.") from None
        found = _last_event(answer.stdout)
        if answer.returncode or not isinstance(found.get("tokens"), int):
            said = answer.stderr.decode("utf-8", "replace").strip().splitlines()
            raise invalid(f"The tokens cannot be counted: {said[-1][:300] if said else 'the engine says nothing'}")
        return int(found["tokens"])

    def paces(self, model_id: str) -> Json:
        """By mode, as far as they were measured: `load`, `step` and `token` in seconds."""
        return {mode: pace for mode, pace in self._read(model_id).items() if pace}

    def _read(self, model_id: str) -> Json:
        """With nothing for a mode that could not be measured."""
        try:
            found = json.loads(self._path(model_id).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def measure_soon(self, weights: Weights) -> None:
        """In the background, once; takes some ten seconds, two of them for the steps of each mode."""
        with self._lock:
            if self._measuring or set(MODES) <= set(self._read(weights.id)):
                return
            self._measuring.add(weights.id)
        threading.Thread(target=self._measure, args=(weights,), name="pace", daemon=True).start()

    def stop(self) -> None:
        self._stopping = True
        if self._child is not None and self._child.poll() is None:
            self._child.kill()

    def _measure(self, weights: Weights) -> None:
        try:
            found = self._read(weights.id)
            for mode in [mode for mode in MODES if mode not in found]:
                found[mode] = self._run(weights, mode)
                if self._stopping or not weights.hf.is_dir():  # removed meanwhile
                    return
                self._folder.mkdir(parents=True, exist_ok=True)
                self._path(weights.id).write_text(json.dumps(found), encoding="utf-8")
        except OSError as error:
            log.warning("the pace of %s could not be measured: %s", weights.id, error)
        finally:
            self._measuring.discard(weights.id)

    def _run(self, weights: Weights, mode: str) -> Json:
        """Nothing where it cannot be measured, such as a full tuning that lacks the memory."""
        if self._stopping:
            return {}
        command = [*self._engine, "pace", str(weights.hf), mode]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=child_environment())
        self._child = child
        lower_priority(child)
        try:
            output, _ = child.communicate(timeout=PACE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            return {}
        found = _last_event(output) if child.returncode == 0 else {}
        numbers = {name: found.get(name) for name in ("load", "step", "token")}
        return numbers if all(isinstance(value, int | float) for value in numbers.values()) else {}

    def _path(self, model_id: str) -> Path:
        return self._folder / f"{model_id.replace('/', '--')}.json"


def _last_event(output: bytes) -> Json:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    try:
        found = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

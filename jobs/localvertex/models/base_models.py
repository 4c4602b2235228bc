"""The weights on this machine: which models can be tuned and served here, and making them ready in the background."""

import json
import logging
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from jobs.localvertex.api.errors import precondition, unavailable
from jobs.localvertex.models.engine_process import child_environment, last_line, lower_priority
from jobs.localvertex.models.packaged import find_packaged
from jobs.localvertex.models.precision import choose_kind, estimate_sizes
from jobs.localvertex.models.weights import Weights, from_folder
from jobs.localvertex.shortages import shortage_in_output, shortage_of

log = logging.getLogger(__name__)
PAUSE_SECONDS = 5.0


class BaseModels:
    def __init__(
        self, data_dir: Path, shared: Sequence[Path], own: dict[str, Path], engine: Sequence[str], memory: int
    ) -> None:
        """`memory`: bytes that all models that are served may take."""
        self._memory = memory
        self._engine = list(engine)
        self._changed = threading.Condition()
        self._stopping = False
        self._preparing = False
        self._short_at = 0.0
        self._queue: list[Weights] = []
        self._child: subprocess.Popen[bytes] | None = None
        made = data_dir / "base-models"
        self._weights = {
            model_id: from_folder(model_id, folder, made / model_id.replace("/", "--"))
            for model_id, folder in own.items()
        }
        for weights in find_packaged(data_dir, shared):
            self._weights.setdefault(weights.id, weights)

    def start(self, *, now: bool) -> None:
        for weights in self._weights.values():
            if weights.servable and weights.trainable:
                weights.state = "ready"
        if now:
            self.prepare_soon(*self._weights.values())

    def stop(self) -> None:
        self._stopping = True
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
        with self._changed:
            self._changed.notify_all()

    def all(self) -> list[Weights]:
        return list(self._weights.values())

    def add(self, weights: Weights) -> None:
        """While this program runs: whoever goes through the others meanwhile sees them as they were."""
        if weights.servable and weights.trainable:
            weights.state = "ready"
        with self._changed:
            self._queue = [one for one in self._queue if one.id != weights.id]
            self._weights = {**self._weights, weights.id: weights}

    def withdraw(self, model_id: str) -> Weights:
        """From here on nobody finds them. Raises UNAVAILABLE while they are being made ready."""
        with self._changed:
            weights = self.get(model_id)
            if weights.state == "preparing":
                raise unavailable(f"{model_id} is being made ready on this machine. Try again in a moment.")
            self._queue = [one for one in self._queue if one is not weights]
            self._weights = {name: one for name, one in self._weights.items() if one is not weights}
        return weights

    def find(self, model_id: str) -> Weights | None:
        return self._weights.get(model_id)

    def get(self, model_id: str, how: str = "") -> Weights:
        """`how` to get them is said when they are not here."""
        weights = self._weights.get(model_id)
        if weights is None:
            raise precondition(f"{model_id} has no weights on this machine. {how}".rstrip())
        return weights

    def require_servable(self, model_id: str, how: str = "") -> Weights:
        """Raises UNAVAILABLE while they are being made ready, which begins here."""
        weights = self.get(model_id, how)
        if weights.servable:
            return weights
        if weights.state == "failed":
            raise precondition(f"{model_id} could not be made ready: {weights.message}")
        self.prepare_soon(weights)
        raise unavailable(f"{model_id} is being made ready on this machine; this happens once. Try again in a moment.")

    def wait(self, model_id: str, need: str, stopped: Callable[[], bool]) -> Weights | None:
        """Until the weights are `servable` or `trainable`; None when `stopped` says so first.

        Raises FAILED_PRECONDITION when preparing them failed: waiting longer would not help.
        """
        weights = self.get(model_id)
        if not getattr(weights, need):
            self.prepare_soon(weights)
        while not getattr(weights, need):
            if weights.state == "failed":
                raise precondition(f"{model_id} could not be made ready: {weights.message}")
            if stopped() or self._stopping:
                return None
            with self._changed:
                self._changed.wait(0.25)
            weights = self.get(model_id)  # others, where its files were looked at again
            if weights.state == "waiting":
                self._prepare_after_a_pause(weights)
        return weights

    def _prepare_after_a_pause(self, weights: Weights) -> None:
        """Again, after something ran out."""
        with self._changed:
            is_free = not self._preparing and time.monotonic() - self._short_at > PAUSE_SECONDS
            self._short_at = time.monotonic() if is_free else self._short_at
        if is_free:
            self.prepare_soon(weights)

    def prepare_soon(self, *wanted: Weights) -> None:
        """One after the other; what somebody waits for goes before the rest, and what was withdrawn meanwhile never."""
        with self._changed:
            here = [weights for weights in wanted if self._weights.get(weights.id) is weights]
            self._queue[:0] = [weights for weights in here if weights.state == "waiting"]
            if self._preparing or not self._queue:
                return
            self._preparing = True
        threading.Thread(target=self._prepare_all, name="prepare", daemon=True).start()

    def _prepare_all(self) -> None:
        while (weights := self._next()) is not None:
            self._prepare(weights)

    def _next(self) -> Weights | None:
        with self._changed:
            while self._queue and not self._stopping:
                weights = self._queue.pop(0)
                if weights.state == "waiting":
                    weights.state = "preparing"  # within the lock: nobody withdraws it from here on
                    return weights
            self._preparing = False
            return None

    def _prepare(self, weights: Weights) -> None:
        started = time.monotonic()
        self._set(weights, "preparing", "")
        try:
            if not weights.servable:
                self._make_gguf(weights)
                self._set(weights, "preparing", "")
            if not weights.trainable:
                self._convert(weights)
        except Exception as error:
            log.exception("preparing %s failed", weights.id)
            problem = shortage_of(error) or shortage_in_output(str(error))
            self._set(weights, "waiting" if problem else "failed", problem or str(error))
            return
        if not self._stopping:
            log.info("%s is ready after %.0f s", weights.id, time.monotonic() - started)
            self._set(weights, "ready", "")

    def _make_gguf(self, weights: Weights) -> None:
        weights.gguf.parent.mkdir(parents=True, exist_ok=True)
        if weights.assemble is not None and not weights.trainable:
            weights.assemble(weights.gguf)
            return
        partial = weights.gguf.with_name("partial.gguf")
        kind = choose_kind(estimate_sizes(weights.hf).get("f16", 0), self._memory)
        self._run_engine(weights, "convert", weights.hf, partial, "--type", kind)
        if not self._stopping:
            partial.replace(weights.gguf)
            weights.look_for_mmproj()

    def _convert(self, weights: Weights) -> None:
        partial = weights.hf.with_name(weights.hf.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.parent.mkdir(parents=True, exist_ok=True)
        self._run_engine(weights, "prepare", weights.gguf, partial)
        if not self._stopping:
            partial.replace(weights.hf)

    def _run_engine(self, weights: Weights, command: str, source: Path, target: Path, *options: str) -> None:
        log_path = target.with_name(f"{command}.log")
        with log_path.open("wb") as output:
            line = [*self._engine, command, str(source), str(target), *options]
            self._child = subprocess.Popen(line, stdout=output, stderr=subprocess.STDOUT, env=child_environment())
        lower_priority(self._child)
        code = self._follow(weights, log_path)
        if code != 0 and not self._stopping:
            raise unavailable(f"the converter stopped with code {code}: {last_line(log_path)}")

    def _follow(self, weights: Weights, log_path: Path) -> int:
        """The converter prints its progress as JSON lines; the health page shows the last one."""
        assert self._child is not None
        while True:
            try:
                return self._child.wait(0.5)
            except subprocess.TimeoutExpired:
                self._set(weights, "preparing", _progress(last_line(log_path)))

    def _set(self, weights: Weights, state: str, message: str) -> None:
        with self._changed:
            weights.state, weights.message = state, message
            self._changed.notify_all()


def _progress(line: str) -> str:
    try:
        event = json.loads(line)
        return f"{event['stage']}, {event['fraction']:.0%}"
    except (ValueError, KeyError, TypeError):
        return ""

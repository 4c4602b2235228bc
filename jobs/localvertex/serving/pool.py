"""Which deployed models have a llama.cpp child now: started when asked, stopped when idle or when memory is short."""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx

from jobs.localvertex import last_words
from jobs.localvertex.api.errors import ApiError, precondition, unavailable
from jobs.localvertex.api.wire import Json
from jobs.localvertex.memory import serving as memory
from jobs.localvertex.memory.free import free_memory
from jobs.localvertex.serving.llama import HANG_SECONDS, SERVING_COMMAND, Child, Plan, launch
from jobs.localvertex.serving.served import FAILED, Served, describe, to_megabytes
from jobs.localvertex.serving.speeds import Speeds

log = logging.getLogger(__name__)
IDLE_SECONDS = 900.0
POLL_SECONDS = 0.02
WATCH_SECONDS = 0.25
HEALTH_PAUSE_SECONDS = 2.0
MEASURE_SECONDS = 2.0
# How long a request or a deployment waits until the models that take the memory have answered others.
ROOM_SECONDS = 20.0
LONGEST_PAUSE_SECONDS = 30.0
LOGGED_LINES = 20


def name_of(endpoint: str, deployed_model_id: str) -> str:
    return f"{endpoint}/deployedModels/{deployed_model_id}"


class Serving:
    def __init__(
        self,
        folder: Path,
        command: Sequence[str] = SERVING_COMMAND,
        *,
        idle_seconds: float = IDLE_SECONDS,
        budget: int | None = None,
        hang_seconds: float = HANG_SECONDS,
        speeds: Speeds | None = None,
        free_memory: Callable[[], int | None] = free_memory,
        where: str = "this machine",
    ) -> None:
        """`idle_seconds` of 0 keeps every child; `budget` is in bytes, half of this machine's when not given. `where`:
        whose memory is free."""
        self._folder = folder
        self._command = list(command)
        self.idle_seconds = idle_seconds
        self.hang_seconds = hang_seconds
        self.budget = budget or memory.half_of_this_machine()
        self._speeds = speeds
        self._free_memory, self._where = free_memory, where
        self._lock = threading.RLock()
        self._served: dict[str, Served] = {}
        self._stopping = threading.Event()
        self._measured_at = 0.0

    def watch(self) -> None:
        threading.Thread(target=self._watch, name="serving", daemon=True).start()
        threading.Thread(target=self._ask, name="serving-health", daemon=True).start()

    def folder(self, name: str) -> Path:
        endpoint, _, deployed = name.partition("/deployedModels/")
        return self._folder / endpoint.rpartition("/")[2] / deployed

    def require_room(self, needs: Mapping[int, int], what: str) -> None:
        """Raises FAILED_PRECONDITION for what can never fit, however little else is served; RESOURCE_EXHAUSTED for what
        other programs leave too little memory for now. `needs`: bytes by the tokens of a context, as `Plan.needs` has
        them; nothing is refused where there are none."""
        need, room = next(iter(needs.values()), 0), self.room()
        if need > self.budget:
            raise precondition(
                f"{what} needs about {to_megabytes(need)} MB of memory to be served, and the models of this server may"
                f" take {to_megabytes(self.budget)} MB altogether. {_suggest_context(needs, room)}Deploy a"
                " smaller model, or start the server with a higher --serving-memory-mb."
            )
        if need > room:
            raise ApiError(
                "RESOURCE_EXHAUSTED",
                f"{what} needs about {to_megabytes(need)} MB of memory, and {to_megabytes(room)} MB are free on"
                f" {self._where}. {_suggest_context(needs, room)}Close other programs, or deploy a smaller model.",
            )

    def room(self) -> int:
        """Bytes for one more model, once those that nobody asks are put to sleep."""
        return self.room_within(self._free_memory())

    def room_within(self, free: int | None) -> int:
        with self._lock:
            idle = sum(one.need for one in self._served.values() if one.child is not None and one.busy == 0)
        return self.budget if free is None else min(self.budget, free + idle)

    def start(self, plan: Plan, stopped: Callable[[], bool] = lambda: False) -> None:
        """Blocks until the model answers. Raises FAILED_PRECONDITION with llama.cpp's last words when it does not."""
        self.require_room(plan.needs(), "The model")
        need = plan.need()
        with self._lock:
            self._end(self._served.get(plan.name))
            served = self._served[plan.name] = Served(plan, self.folder(plan.name), need, busy=1)
        try:
            self._await(served, stopped)
            assert served.child
            served.child.warm_up()
            self._measure_speed(served.child, plan)
        except httpx.HTTPError as error:
            log.warning("the model server of %s did not warm up: %s", plan.name, error)
        finally:
            self.release(served)

    def _measure_speed(self, child: Child, plan: Plan) -> None:
        if self._speeds is not None and plan.speed_name and (speed := child.measure_speed()):
            self._speeds.keep(plan.speed_name, speed)

    def adopt(self, plan: Plan) -> None:
        """Starts without waiting, if there is room: after a restart of this program the watcher brings it up."""
        with self._lock:
            served = self._served[plan.name] = Served(plan, self.folder(plan.name), plan.need())
            if self._fits(served):
                self._launch(served)

    def offer(self, plan: Plan, check: Callable[[], object] = lambda: None) -> None:
        """Starts at its first request. What is served by that name already stays as it is. `check` raises where the
        weights were taken away meanwhile, after which `stop` is called: nothing is offered then."""
        if plan.name in self._served:
            return
        self.require_room(plan.needs(), "The model")
        need = plan.need()
        with self._lock:
            check()
            if plan.name not in self._served:
                self._served[plan.name] = Served(plan, self.folder(plan.name), need)

    def stop(self, name: str) -> None:
        with self._lock:
            served = self._served.pop(name, None)
            if served is not None:
                served.gone = True
                self._end(served)
        shutil.rmtree(self.folder(name), ignore_errors=True)

    def stop_all(self) -> None:
        self._stopping.set()
        with self._lock:
            for served in self._served.values():
                self._end(served)

    def ready(self, name: str) -> bool:
        served = self._served.get(name)
        return served is not None and served.ready

    def state(self, name: str) -> tuple[str, str]:
        """Which, and what is the matter."""
        served = self._served.get(name)
        return (served.state, served.trouble) if served else (FAILED, "Its weights are not on this machine any more.")

    def is_busy(self, name: str) -> bool:
        """Whether it answers somebody now."""
        served = self._served.get(name)
        return served is not None and served.busy > 0

    def states(self) -> list[Json]:
        with self._lock:
            return [describe(served) for served in self._served.values()]

    def plan(self, name: str) -> Plan:
        return self._find(name).plan

    def hold(self, name: str) -> Served:
        """Keeps its child, or the one that `wake` starts, until `release`."""
        with self._lock:
            served = self._find(name)
            served.busy += 1
            served.used = time.monotonic()
            return served

    def release(self, served: Served) -> None:
        with self._lock:
            served.busy -= 1
            served.used = time.monotonic()

    def wake(self, served: Served) -> bool:
        """Whether it answers. Starts its child if it has none and there is room, or can be made by stopping others.

        Raises FAILED_PRECONDITION when it was undeployed, UNAVAILABLE while it is left alone after it did not start.
        """
        # Before the lock, for which all requests wait: where there are cards, their driver is asked.
        is_asleep = served.child is None
        free = self._free_memory() if is_asleep else None
        with self._lock:
            if self._stopping.is_set():
                raise unavailable("This server is being stopped.")
            if served.gone:
                raise precondition("The model was undeployed. Deploy it again to use it.")
            self._reap(served)
            if served.child is not None:
                return served.child.ready
            if served.trouble and time.monotonic() < served.retry_at:
                raise unavailable(f"{served.trouble} It is started again in a few seconds.")
            if is_asleep and self._free(self._missing(served, free)):
                self._launch(served)
        return False

    def _find(self, name: str) -> Served:
        served = self._served.get(name)
        if served is None:
            raise unavailable(f"{name} is not being served: its weights are not on this machine any more.")
        return served

    def _await(self, served: Served, stopped: Callable[[], bool]) -> None:
        began = time.monotonic()
        while not self._wake_or_raise(served):
            if stopped() or self._stopping.is_set():
                raise ApiError("CANCELLED", "The deployment was cancelled.")
            if served.child is None and time.monotonic() - began > ROOM_SECONDS:
                raise self.no_room(served)
            time.sleep(POLL_SECONDS)

    def _wake_or_raise(self, served: Served) -> bool:
        try:
            return self.wake(served)
        except ApiError:
            if not served.trouble:
                raise ApiError("CANCELLED", "The deployment was cancelled.") from None
            raise precondition(served.trouble) from None

    def no_room(self, served: Served) -> ApiError:
        return ApiError(
            "RESOURCE_EXHAUSTED",
            f"The model needs about {to_megabytes(served.need)} MB of memory, and all of the"
            f" {to_megabytes(self.budget)} MB for models is taken by models that are answering, or by other programs."
            " Try again in a moment.",
        )

    def _missing(self, served: Served, free: int | None) -> int:
        """Bytes, of those for models and of those that this machine has `free`."""
        return max(self._memory_in_use() + served.need - self.budget, 0 if free is None else served.need - free)

    def _memory_in_use(self) -> int:
        return sum(served.need for served in self._served.values() if served.child is not None)

    def _fits(self, served: Served) -> bool:
        return self._missing(served, self._free_memory()) <= 0

    def _free(self, missing: int) -> bool:
        """Stops the least recently used of the idle ones until there is enough; none when that would not be enough."""
        idle = [served for served in self._served.values() if served.child is not None and served.busy == 0]
        if missing > sum(served.need for served in idle):
            return False
        for served in sorted(idle, key=lambda one: one.used):
            if missing <= 0:
                break
            log.info("%s is put to sleep: its memory is needed", served.plan.name)
            self._end(served)
            missing -= served.need
        return True

    def _launch(self, served: Served) -> None:
        served.trouble = ""
        try:
            served.child = launch(served.plan, served.folder, self._command)
            served.child.hang_seconds = self.hang_seconds
        except OSError as error:
            self._leave_alone(served, f"Model server cannot be started: {error.strerror}.")

    def _end(self, served: Served | None) -> None:
        if served is not None and served.child is not None:
            served.child.kill()
            served.child = None

    def _reap(self, served: Served) -> None:
        """A child that ended by itself, or never began to answer. One that had answered is started again at once."""
        child = served.child
        if child is None:
            return
        if child.alive and not child.overdue and not child.hangs():
            served.failures = 0 if child.ready else served.failures
            return
        self._end(served)
        served.trouble = ""
        if child.answers:
            log.warning("the model server of %s ended with code %s", served.plan.name, child.process.returncode)
            return
        if child.overdue:
            trouble = "Model server never became ready. Please validate that your model file is valid."
        else:
            trouble = (
                f"Model server exited unexpectedly. {last_words.why(child.last_lines(), child.process.returncode)}"
            )
        self._leave_alone(served, trouble.rstrip(), child.last_lines())

    def _leave_alone(self, served: Served, trouble: str, written: Sequence[str] = ()) -> None:
        """What it wrote is in this server's log once, not at each of the tries that follow."""
        served.failures += 1
        served.trouble = trouble
        served.retry_at = time.monotonic() + min(2.0 ** (served.failures - 1), LONGEST_PAUSE_SECONDS)
        log.warning("%s: %s", served.plan.name, served.trouble)
        for line in written[-LOGGED_LINES:] if served.failures == 1 else ():
            log.warning("%s wrote: %s", served.plan.name, line)

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_SECONDS):
            with self._lock:
                for served in self._served.values():
                    self._look_after(served)
                self._measure()

    def _ask(self) -> None:
        """Without the lock: a child that hangs lets each question wait for seconds."""
        while not self._stopping.wait(HEALTH_PAUSE_SECONDS):
            for served in list(self._served.values()):
                if child := served.child:
                    child.ask()

    def _look_after(self, served: Served) -> None:
        had = served.child
        self._reap(served)
        if served.child is not None:
            allowed = self.idle_seconds if served.plan.idle_seconds is None else served.plan.idle_seconds
            if allowed and not served.busy and time.monotonic() - served.used > allowed:
                log.info("%s was not used for %.0f s and is put to sleep", served.plan.name, allowed)
                self._end(served)
        elif (had is not None or served.trouble) and time.monotonic() >= served.retry_at and self._fits(served):
            self._launch(served)

    def _measure(self) -> None:
        """An estimate that was too low is corrected; who takes too much loses its idle neighbours."""
        now = time.monotonic()
        if now - self._measured_at < MEASURE_SECONDS:
            return
        self._measured_at = now
        for served in self._served.values():
            if served.child is not None:
                served.need = max(served.need, served.child.resident())
        self._free(self._memory_in_use() - self.budget)


def _suggest_context(needs: Mapping[int, int], room: int) -> str:
    """With the largest context that there is room for."""
    tokens = next((tokens for tokens, need in needs.items() if need <= room), 0)
    return f"A context of {tokens} tokens fits (--max-model-len={tokens}). " if tokens else ""

"""Starts processes, starts again what dies or does not answer, and stops all of them.

Nothing that the disk, the memory or the table of processes refuses ends it: it says so and tries again.
"""

import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from console.management.liveness import ASK_SECONDS, Ear, Pulse, Questions
from console.management.rundir import RunDirectory
from console.management.terminal import Terminal

CHILD = Path(__file__).with_name("child.py")
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
STEADY_AFTER = 60.0
LONGEST_EXCUSE = 120.0
RECORD_SECONDS = 1.0
IN_A_ROW = 3
PULSE_VARIABLE = "CONSOLE_PULSE_FD"


@dataclass(frozen=True)
class Patience:
    """In seconds. `ask` and `look`: between two questions, and two looks of the supervisor. One that is silent for so
    long is `deaf`, while it has not been ready yet after `start`; it is killed `deaf_grace` after it was told to end.

    `gap`: the supervisor itself did not run for so long, because the machine slept or has no time for anybody. `away`:
    so long a process behind is silent before who uses it is excused for its sake, but not for ever. `front_grace`,
    `back_grace`: for the processes to end by themselves, when all of them are to.
    """

    ask: float = ASK_SECONDS
    look: float = 0.2
    deaf: float = 20.0
    start: float = 90.0
    deaf_grace: float = 2.0
    gap: float = 5.0
    away: float = 6.0
    front_grace: float = 7.0
    back_grace: float = 3.0


class StartFailed(Exception):
    """A process ended before it was ready, or was not ready in time; carries its name and its last lines."""

    def __init__(self, name: str, reason: str, tail: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason, self.tail = name, reason, tail


@dataclass(frozen=True)
class Process:
    """`is_ready` is asked all its life; None: it writes to the pipe that CONSOLE_PULSE_FD names. `behind` others: they
    use it, so it is stopped after them."""

    name: str
    command: list[str]
    environment: dict[str, str]
    is_ready: Callable[[], bool] | None
    directory: Path
    echo: bool = True
    behind: bool = False


@dataclass
class Child:
    """`failures` in a row, `restarts` in all; `reason` says why the last one was, or, of a child that is being ended,
    why that is."""

    process: Process
    popen: subprocess.Popen[bytes]
    ear: Ear
    patience: Patience
    started: float
    since: datetime
    pause: float = FIRST_PAUSE
    again_at: float | None = None
    kill_at: float | None = None
    failures: int = 0
    restarts: int = 0
    reason: str = ""
    trouble: str = ""
    restarted_at: datetime | None = None
    reader: threading.Thread | None = field(default=None, repr=False)

    def is_deaf(self, now: float) -> bool:
        return now - self.ear.since > (self.patience.deaf if self.ear.is_ready else self.patience.start)

    def is_away(self, now: float) -> bool:
        return self.popen.poll() is not None or not self.ear.is_ready or now - self.ear.since > self.patience.away

    def complaint(self) -> str:
        if not self.ear.is_ready:
            return f"did not respond within {self.patience.start:.0f} s of its start"
        told = f" ({self.ear.problem})" if self.ear.problem else ""
        return f"did not respond for {self.patience.deaf:.0f} s{told}"

    def facts(self) -> dict[str, Any]:
        """For the page that shows them."""
        restarted_at = self.restarted_at.isoformat(timespec="seconds") if self.restarted_at else ""
        return {
            "name": self.process.name,
            "pid": self.popen.pid,
            "since": self.since.isoformat(timespec="seconds"),
            "runs": self.again_at is None and self.kill_at is None,
            "restarts": self.restarts,
            "reason": self.reason,
            "restarted_at": restarted_at,
        }


def describe_exit(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return f"signal {signal.Signals(-code).name}"
    return f"signal {-code}"


def end_group(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


class Supervisor:
    """Used from one thread that outlives the children: Linux ties "end with the parent" to the thread that forked."""

    def __init__(self, terminal: Terminal, run: RunDirectory, patience: Patience | None = None) -> None:
        self.terminal = terminal
        self.run = run
        self.patience = patience or Patience()
        self.children: dict[str, Child] = {}
        self.stopping = threading.Event()
        self.url = ""
        self._unrecorded = False
        self._recorded_at = 0.0
        self._excused_since: float | None = None

    def start(self, *processes: Process) -> None:
        for process in processes:
            try:
                self.children[process.name] = self._spawn(process)
            except OSError as error:
                raise StartFailed(process.name, f"could not be started ({error.strerror or error})", "") from None
        self.record()

    def record(self) -> None:
        """For people and for the page that shows the processes; nothing here depends on it."""
        children = list(self.children.values())
        pids = {child.process.name: child.popen.pid for child in children}
        self._unrecorded = not self.run.record(self.url, pids, [child.facts() for child in children])
        self._recorded_at = time.monotonic()

    def wait_until_ready(self, names: Iterable[str], patience: float) -> None:
        """Returns early, not ready, when a stop was asked for."""
        waiting = list(names)
        deadline = time.monotonic() + patience
        while waiting and not self.stopping.is_set():
            waiting = [name for name in waiting if not self._check_ready(self.children[name])]
            if waiting and time.monotonic() > deadline:
                raise StartFailed(waiting[0], f"did not respond within {patience:.0f} s", self._tail(waiting[0]))
            self.stopping.wait(0.05)

    def watch(self) -> None:
        seen = time.monotonic()
        while not self.stopping.wait(self.patience.look):
            now = time.monotonic()
            if now - seen > self.patience.gap:
                self._excuse(self.children.values())
            self._excuse_users(now)
            for child in list(self.children.values()):
                self._look_safely(child, now)
            if self._unrecorded and now - self._recorded_at > RECORD_SECONDS:
                self.record()
            seen = now

    def stop(self) -> None:
        """Also gives the terminal a moment to take the last lines."""
        self.stopping.set()
        if self.children:
            self._end_all()
        self.terminal.flush()

    def _end_all(self) -> None:
        self.terminal.say("Stopping…")
        front = [child for child in self.children.values() if not child.process.behind]
        back = [child for child in self.children.values() if child.process.behind]
        self._end(front, self.patience.front_grace)
        self._end(back, self.patience.back_grace)
        self.terminal.say("Stopped.")

    def _spawn(self, process: Process) -> Child:
        """Raises OSError when there is no room for one more process; then nothing of it is left."""
        pulse = Pulse() if process.is_ready is None else None
        try:
            popen = self._fork(process, pulse)
        except BaseException:
            if pulse:
                pulse.close()
            raise
        try:
            assert popen.stdout is not None
            reader = self.terminal.follow(process.name, popen.stdout, echo=process.echo)
            ear = pulse or Questions(process.is_ready or _never, process.name, self.patience.ask)
        except RuntimeError as error:
            end_group(popen.pid, signal.SIGKILL)
            popen.wait()
            if pulse:
                pulse.close()
            raise OSError(str(error)) from None
        return Child(process, popen, ear, self.patience, time.monotonic(), datetime.now(UTC), reader=reader)

    def _fork(self, process: Process, pulse: Pulse | None) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-I", "-S", str(CHILD), str(os.getpid()), str(int(signal.SIGTERM))]
        popen = subprocess.Popen(
            [*command, *process.command],
            cwd=process.directory,
            env=process.environment | ({PULSE_VARIABLE: str(pulse.writer)} if pulse else {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[self.run.lock, *([pulse.writer] if pulse else [])],
        )
        if pulse:
            pulse.let_go()
        return popen

    def _check_ready(self, child: Child) -> bool:
        code = child.popen.poll()
        if code is not None:
            raise StartFailed(child.process.name, f"ended with {describe_exit(code)}", self._tail(child.process.name))
        child.ear.listen()
        return child.ear.is_ready

    def _tail(self, name: str) -> str:
        reader = self.children[name].reader
        if reader and self.children[name].popen.poll() is not None:
            reader.join(1)
        return self.terminal.tail(name)

    @staticmethod
    def _excuse(children: Iterable[Child]) -> None:
        for child in children:
            child.ear.excuse()

    def _excuse_users(self, now: float) -> None:
        """Whoever waits for a process that is away is not deaf: the one that is away is seen to first."""
        children = list(self.children.values())
        if not any(child.is_away(now) for child in children if child.process.behind):
            self._excused_since = None
            return
        self._excused_since = self._excused_since or now
        if now - self._excused_since < LONGEST_EXCUSE:
            self._excuse(child for child in children if not child.process.behind and child.ear.is_ready)

    def _look_safely(self, child: Child, now: float) -> None:
        """Whatever goes wrong with one, the others are looked after; the same trouble is said once."""
        try:
            self._look_after(child, now)
        except Exception as error:
            trouble = f"{type(error).__name__}: {error}"
            if trouble != child.trouble:
                child.trouble = trouble
                where = traceback.format_exc().rstrip()
                self.terminal.say(f"{child.process.name} could not be monitored; trying again.\n{where}")

    def _look_after(self, child: Child, now: float) -> None:
        code = child.popen.poll()
        if code is None:
            child.ear.listen()
            self._end_if_deaf(child, now)
        elif child.again_at is None:
            self._reap(child, code, now)
        elif now >= child.again_at:
            self._replace(child, now)

    def _end_if_deaf(self, child: Child, now: float) -> None:
        """First with a signal that lets it tidy up. One that is stopped, or stuck, does not hear that."""
        if child.kill_at is not None:
            if now >= child.kill_at:
                end_group(child.popen.pid, signal.SIGKILL)
        elif child.is_deaf(now):
            child.reason, child.kill_at = child.complaint(), now + self.patience.deaf_grace
            end_group(child.popen.pid, signal.SIGTERM)

    def _reap(self, child: Child, code: int, now: float) -> None:
        """What the dead process had started goes with it, so that its ports and files are free."""
        end_group(child.popen.pid, signal.SIGKILL)
        child.ear.close()
        if now - child.started > STEADY_AFTER:
            child.pause, child.failures = FIRST_PAUSE, 0
        self._postpone(child, child.reason if child.kill_at is not None else f"stopped ({describe_exit(code)})", now)

    def _postpone(self, child: Child, reason: str, now: float) -> None:
        child.reason, child.again_at = reason, now + child.pause
        child.failures += 1
        again = ""
        if child.failures >= IN_A_ROW:
            again = f" This is failure {child.failures} in a row. Its log: {self.terminal.file(child.process.name)}"
        self.terminal.say(f"{child.process.name} {reason}; restarting it in {child.pause:g} s.{again}")
        child.pause = min(child.pause * 2, LONGEST_PAUSE)
        self.record()

    def _replace(self, child: Child, now: float) -> None:
        try:
            fresh = self._spawn(child.process)
        except OSError as error:
            self._postpone(child, f"could not be started ({error.strerror or error})", now)
            return
        fresh.pause, fresh.failures, fresh.restarts = child.pause, child.failures, child.restarts + 1
        fresh.reason, fresh.restarted_at = child.reason, fresh.since
        self.children[child.process.name] = fresh
        self.record()

    @staticmethod
    def _end(children: list[Child], grace: float) -> None:
        for child in children:
            if child.popen.poll() is None:
                with suppress(ProcessLookupError):
                    child.popen.terminate()
        deadline = time.monotonic() + grace
        for child in children:
            with suppress(subprocess.TimeoutExpired):
                child.popen.wait(max(deadline - time.monotonic(), 0.01))
            end_group(child.popen.pid, signal.SIGKILL)
            child.popen.wait()


def _never() -> bool:
    return False

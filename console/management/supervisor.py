"""Starts processes, starts again what dies, and stops all of them."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from console.management.rundir import RunDirectory
from console.management.terminal import Terminal

CHILD = Path(__file__).with_name("child.py")
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
STEADY_AFTER = 60.0
FRONT_GRACE, BACK_GRACE = 7.0, 3.0


class StartFailed(Exception):
    """A process ended before it was ready, or was not ready in time; carries its name and its last lines."""

    def __init__(self, name: str, reason: str, tail: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason, self.tail = name, reason, tail


@dataclass(frozen=True)
class Process:
    """`behind` others: they use it, so it is stopped after them."""

    name: str
    command: list[str]
    environment: dict[str, str]
    is_ready: Callable[[], bool]
    directory: Path
    echo: bool = True
    behind: bool = False


@dataclass
class Child:
    process: Process
    popen: subprocess.Popen[bytes]
    started: float
    was_ready: bool = False
    pause: float = FIRST_PAUSE
    again_at: float | None = None
    reader: threading.Thread | None = field(default=None, repr=False)


def described(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def end_group(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


class Supervisor:
    """Used from one thread that outlives the children: Linux ties "end with the parent" to the thread that forked."""

    def __init__(self, terminal: Terminal, run: RunDirectory) -> None:
        self.terminal = terminal
        self.run = run
        self.children: dict[str, Child] = {}
        self.stopping = threading.Event()
        self.url = ""

    def start(self, *processes: Process) -> None:
        for process in processes:
            self.children[process.name] = self._spawn(process)
        self.record()

    def record(self) -> None:
        self.run.record(self.url, {name: child.popen.pid for name, child in self.children.items()})

    def wait_until_ready(self, names: Iterable[str], patience: float) -> None:
        """Returns early, not ready, when a stop was asked for."""
        waiting = list(names)
        deadline = time.monotonic() + patience
        while waiting and not self.stopping.is_set():
            for name in list(waiting):
                if self._check_ready(self.children[name]):
                    waiting.remove(name)
            if waiting and time.monotonic() > deadline:
                raise StartFailed(waiting[0], f"did not answer within {patience:.0f} s", self._tail(waiting[0]))
            self.stopping.wait(0.05)

    def watch(self) -> None:
        while not self.stopping.wait(0.2):
            for child in list(self.children.values()):
                self._revive(child)

    def stop(self) -> None:
        self.stopping.set()
        if not self.children:
            return
        self.terminal.say("Stopping…")
        front = [child for child in self.children.values() if not child.process.behind]
        back = [child for child in self.children.values() if child.process.behind]
        self._end(front, FRONT_GRACE)
        self._end(back, BACK_GRACE)
        self.terminal.say("Stopped.")

    def _spawn(self, process: Process) -> Child:
        command = [sys.executable, "-I", "-S", str(CHILD), str(os.getpid()), str(int(signal.SIGTERM))]
        popen = subprocess.Popen(
            [*command, *process.command],
            cwd=process.directory,
            env=process.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[self.run.lock],
        )
        assert popen.stdout is not None
        reader = self.terminal.follow(process.name, popen.stdout, echo=process.echo)
        return Child(process, popen, time.monotonic(), reader=reader)

    def _check_ready(self, child: Child) -> bool:
        code = child.popen.poll()
        if code is not None:
            raise StartFailed(child.process.name, f"ended with {described(code)}", self._tail(child.process.name))
        child.was_ready = child.process.is_ready()
        return child.was_ready

    def _tail(self, name: str) -> str:
        reader = self.children[name].reader
        if reader and self.children[name].popen.poll() is not None:
            reader.join(1)
        return self.terminal.tail(name)

    def _revive(self, child: Child) -> None:
        code = child.popen.poll()
        if code is None:
            return
        now = time.monotonic()
        if child.again_at is None:
            self._schedule(child, code, now)
        elif now >= child.again_at:
            fresh = self._spawn(child.process)
            fresh.pause = child.pause
            self.children[child.process.name] = fresh
            self.record()

    def _schedule(self, child: Child, code: int, now: float) -> None:
        """What the dead process had started goes with it, so that its ports and files are free."""
        end_group(child.popen.pid, signal.SIGKILL)
        pause = FIRST_PAUSE if now - child.started > STEADY_AFTER else child.pause
        child.again_at = now + pause
        child.pause = min(pause * 2, LONGEST_PAUSE)
        self.terminal.say(f"{child.process.name} stopped ({described(code)}); starting it again in {pause:g} s.")

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

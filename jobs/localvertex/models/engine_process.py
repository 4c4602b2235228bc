"""A process of the engine, which converts, trains or counts: how it is started and ended, and its last words."""

import os
import signal
import subprocess
from pathlib import Path

# At 10 a training of two threads took half of the speed of a chat beside it; at 19 the chat keeps nine tenths.
NICE = 19
INSTANT = "jobs.localvertex.instant"


def child_environment() -> dict[str, str]:
    """Passive waiting, set before torch starts: with active waiting, two threads on busy cores are slower than one. One
    heap for all threads: with one for each, a training keeps some 0.2 GB that it has freed."""
    threads = {"OMP_WAIT_POLICY": "PASSIVE", "MALLOC_ARENA_MAX": "1", "TOKENIZERS_PARALLELISM": "false"}
    return os.environ | threads | {"PYTHONUNBUFFERED": "1"}


def lower_priority(child: subprocess.Popen[bytes]) -> None:
    """Of what computes for long, which the engine of --instant does not."""
    if INSTANT in child.args:  # type: ignore[operator]  # a list, as everywhere here
        return
    try:
        os.setpriority(os.PRIO_PROCESS, child.pid, NICE)
    except ProcessLookupError:
        return


def last_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except FileNotFoundError:
        return ""
    return lines[-1][-500:] if lines else ""


def end(child: subprocess.Popen[bytes], patience: float) -> None:
    """Asks, waits `patience` seconds, then kills."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
    try:
        child.wait(patience)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()

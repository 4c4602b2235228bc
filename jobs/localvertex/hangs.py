"""Whether a child hangs: it lives, waits for nothing that a processor or a disk gives, and yet does nothing for long.

Read from /proc; elsewhere no child ever hangs.
"""

import os
import time
from pathlib import Path

# A thread that only looks every second whether its parent is there takes less; one that works takes far more.
LEAST_CPU_SECONDS = 0.02
GAP_SECONDS = 5.0
WORKING = "RD"


class Watch:
    """`main_thread_only`: its other threads may do something all the time without any progress. `gap`: seconds for
    which this program itself did not run, because the machine slept, or somebody stopped it."""

    def __init__(self, pid: int, patience: float, *, main_thread_only: bool = False, gap: float = GAP_SECONDS) -> None:
        self._path = Path(f"/proc/{pid}/task/{pid}/stat" if main_thread_only else f"/proc/{pid}/stat")
        self._patience, self._gap = patience, gap
        self._cpu = 0.0
        self._since = self._looked = time.monotonic()

    def hangs(self) -> bool:
        """To be asked every few seconds at least."""
        now, looked = time.monotonic(), self._looked
        self._looked = now
        state, cpu = self._read()
        if now - looked > self._gap or state in WORKING or cpu - self._cpu > LEAST_CPU_SECONDS:
            self._since, self._cpu = now, cpu
        return now - self._since > self._patience

    def _read(self) -> tuple[str, float]:
        try:
            fields = self._path.read_text().rpartition(")")[2].split()
            return fields[0], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError):
            return WORKING[0], 0.0

"""How many cores compute at the same time: two threads of one core take turns at its arithmetic."""

import os
from pathlib import Path

SYSTEM = Path("/sys/devices/system/cpu")


def count_cores(system: Path = SYSTEM) -> int | None:
    """Of those that this process may use. None where the system does not say, as on macOS."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    try:
        siblings = {
            (system / f"cpu{number}/topology/thread_siblings_list").read_text(encoding="ascii")
            for number in os.sched_getaffinity(0)
        }
    except (OSError, ValueError):
        return None
    return len(siblings)

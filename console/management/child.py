"""Turns into the given command after asking Linux to end it with its parent: `child.py PARENT_PID SIGNAL COMMAND…`.

Run as a script, without site-packages, between fork and exec: doing this in the parent's `preexec_fn` could deadlock
beside the threads that read logs. On other systems a killed parent leaves the command running.
"""

import ctypes
import os
import resource
import sys
from contextlib import suppress

PR_SET_PDEATHSIG = 1
DESCRIPTORS = 65_536


def raise_descriptors() -> None:
    """As far as the system lets us: each open page, answer and connection takes one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main(parent: int, death_signal: int, command: list[str]) -> None:
    raise_descriptors()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:
            sys.exit("The parent ended before the start.")
    os.execvp(command[0], command)  # noqa: S606  # no shell: the arguments are a list


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])

"""The engine that comes with the local server, as a child of the worker: it merges and converts models."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from jobs.errors import NotAllowedNow
from jobs.text.deferred import gettext as _

NEEDED = ("torch", "gguf", "transformers", "xllamacpp", "peft")
PROJECT = Path(__file__).parents[3]
LONGEST_SECONDS = 3600.0
PASSED = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "PATH", "PYTHONPATH", "TMPDIR", "VIRTUAL_ENV")
POLL_SECONDS = 2.0


def is_missing() -> bool:
    return any(find_spec(name) is None for name in NEEDED)


def run(arguments: Sequence[str], log: Path, tell: Callable[[], None]) -> None:
    """`tell` is called now and then. Raises NotAllowedNow with the last line that the engine wrote."""
    command, until = [sys.executable, "-m", "jobs.localvertex.engine", *arguments], time.monotonic() + LONGEST_SECONDS
    with log.open("wb") as output:
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=PROJECT, env=child_environment())
    try:
        while child.poll() is None:
            if time.monotonic() > until:
                raise NotAllowedNow(_("The conversion took longer than an hour and was ended."))
            tell()
            time.sleep(POLL_SECONDS)
    finally:
        child.kill()
        child.wait()
    if child.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise NotAllowedNow(
            _("The model could not be converted: %s") % (lines[-1][:300] if lines else child.returncode)
        )


def child_environment() -> dict[str, str]:
    """The child reads files that anybody may have written, so it gets none of the worker's passwords, keys and tokens,
    and asks no hub."""
    return {name: os.environ[name] for name in PASSED if name in os.environ} | {"HF_HUB_OFFLINE": "1"}

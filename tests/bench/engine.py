"""The training engine as the local Vertex AI starts it: a process of its own, and what it took."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.running import ROOT, environment

ENGINE = (sys.executable, "-m", "jobs.localvertex.engine")
TRAIN = (*ENGINE, "train")
LOOK_SECONDS = 0.02


def prepare(gguf: Path, folder: Path) -> Path:
    """The Hugging Face files of a model, in `folder`."""
    subprocess.run([*ENGINE, "prepare", gguf, folder], check=True, stdout=subprocess.DEVNULL)
    return folder


def train(workdir: Path, command: Sequence[str] = TRAIN) -> tuple[list[dict[str, Any]], int]:
    """Does what job.json says; returns the events, and the most memory that the process held, in bytes."""
    log = workdir / "train.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, str(workdir)], cwd=ROOT, env=environment({}), stdout=output, stderr=output
        )
        highest = _watch(process)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{log.read_text()[-3000:]}")
    events = [json.loads(line) for line in (workdir / "events.jsonl").read_text().splitlines()]
    return events, highest


def _watch(process: "subprocess.Popen[bytes]") -> int:
    """Until it ends. What the system adds up for a process that has ended begins with what its parent held."""
    highest = 0
    while process.poll() is None:
        highest = max(highest, find_highest(process.pid))
        time.sleep(LOOK_SECONDS)
    return highest


def find_highest(pid: int) -> int:
    """Bytes that the process held at the most; 0 when it has gone, and for a moment before."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    found = next((line.split()[1] for line in lines if line.startswith("VmHWM")), "0")
    return int(found) * 1024

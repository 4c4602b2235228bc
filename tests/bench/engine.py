"""The training engine as the local Vertex AI starts it: a process of its own, and what it took."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.running import ROOT, environment

ENGINE = (sys.executable, "-m", "jobs.localvertex.engine")
TRAIN = (*ENGINE, "train")


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
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{log.read_text()[-3000:]}")
    events = [json.loads(line) for line in (workdir / "events.jsonl").read_text().splitlines()]
    return events, used.ru_maxrss * 1024

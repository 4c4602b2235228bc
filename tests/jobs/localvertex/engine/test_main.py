import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.jobs.localvertex.engine.conftest import ROOT, Workdir

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-m", "jobs.localvertex.engine", "train", sys.argv[1]])
print(child.pid, flush=True)
time.sleep(60)
"""


def is_running(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_engine_leaves_when_its_parent_is_killed(workdir: Workdir) -> None:
    workdir.describe(epochs=10, batch_size=1)
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(workdir.path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    workdir.process = parent
    workdir.wait_for("loading")
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 10
    while is_running(child) and time.monotonic() < until:
        time.sleep(0.1)
    left = is_running(child)
    if left:
        os.kill(child, signal.SIGKILL)
    assert not left
    assert workdir.events("cancelled") == workdir.events("failed") == []

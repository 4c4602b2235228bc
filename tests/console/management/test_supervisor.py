import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from console.management.rundir import RunDirectory
from console.management.supervisor import CHILD, Process, StartFailed, Supervisor
from console.management.terminal import Terminal

SLEEP = "import time; print('here', flush=True); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SLEEP
PARENT = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);" + SLEEP


def process(folder: Path, code: str = SLEEP, name: str = "web", *, ready: bool = True, behind: bool = False) -> Process:
    command = [sys.executable, "-c", code]
    return Process(name, command, dict(os.environ), lambda: ready, folder, behind=behind)


@pytest.fixture
def supervisor(tmp_path):
    run = RunDirectory(tmp_path)
    run.acquire()
    made = Supervisor(Terminal(tmp_path / "logs", io.StringIO()), run)
    yield made
    made.stop()
    run.release()


def eventually(check, seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not check():
        time.sleep(0.05)
    return bool(check())


def watched(supervisor: Supervisor, check) -> bool:
    """Watches on this thread, which forked the children, until the check holds."""
    waiter = threading.Thread(target=lambda: (eventually(check), supervisor.stopping.set()))
    waiter.start()
    supervisor.watch()
    waiter.join()
    return bool(check())


def members(group: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def test_a_dead_process_is_started_again_and_said(supervisor, tmp_path):
    supervisor.start(process(tmp_path))
    first = supervisor.children["web"].popen.pid
    os.kill(first, signal.SIGKILL)
    assert watched(supervisor, lambda: supervisor.children["web"].popen.pid != first)
    assert supervisor.terminal.stream.getvalue().count("web stopped (signal SIGKILL); starting it again in 0.5 s.") == 1


def test_pauses_between_starts_grow(supervisor, tmp_path):
    supervisor.start(process(tmp_path, "raise SystemExit(3)"))
    assert watched(
        supervisor,
        lambda: "web stopped (exit code 3); starting it again in 1 s." in supervisor.terminal.stream.getvalue(),
    )


def test_a_process_that_ends_at_the_start_is_reported_with_its_last_lines(supervisor, tmp_path):
    supervisor.start(process(tmp_path, "raise SystemExit('no such model')", ready=False))
    with pytest.raises(StartFailed) as failure:
        supervisor.wait_until_ready(["web"], 10)
    assert (failure.value.reason, failure.value.tail) == ("ended with exit code 1", "no such model")


def test_a_process_that_never_answers_is_reported(supervisor, tmp_path):
    supervisor.start(process(tmp_path, ready=False))
    with pytest.raises(StartFailed, match="did not answer"):
        supervisor.wait_until_ready(["web"], 0.2)


def test_stop_ends_the_whole_group_however_stubborn(supervisor, tmp_path, monkeypatch):
    monkeypatch.setattr("console.management.supervisor.FRONT_GRACE", 0.5)
    supervisor.start(process(tmp_path, STUBBORN), process(tmp_path, PARENT, "vertex", behind=True))
    groups = [child.popen.pid for child in supervisor.children.values()]
    assert eventually(lambda: len(members(groups[1])) == 2)
    supervisor.stop()
    assert eventually(lambda: [members(group) for group in groups] == [[], []])


def test_the_directory_stays_locked_while_a_child_lives(supervisor, tmp_path):
    supervisor.start(process(tmp_path))
    inherited = Path(f"/proc/{supervisor.children['web'].popen.pid}/fd/{supervisor.run.lock}")
    assert eventually(inherited.exists)


NURSE = """
import os, subprocess, sys, time
command = [sys.executable, sys.argv[1], str(os.getpid()), "15", sys.executable, "-c", "import time; time.sleep(60)"]
print(subprocess.Popen(command).pid, flush=True)
time.sleep(60)
"""


def is_running(pid: int) -> bool:
    try:
        return "time.sleep(60)" in Path(f"/proc/{pid}/cmdline").read_text().split("\0")[2]
    except (FileNotFoundError, IndexError):
        return False


def test_a_child_ends_with_its_killed_parent():
    command = [sys.executable, "-c", NURSE, str(CHILD)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        assert eventually(lambda: is_running(child))
        parent.kill()
    assert eventually(lambda: not is_running(child))

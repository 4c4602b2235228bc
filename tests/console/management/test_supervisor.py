import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from console.management.liveness import Ear
from console.management.rundir import RunDirectory
from console.management.supervisor import CHILD, Patience, Process, StartFailed, Supervisor
from console.management.terminal import Terminal

SLEEP = "import time; print('here', flush=True); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SLEEP
PARENT = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);" + SLEEP


BEAT = (
    "import os, time\nfor _ in range(%d):\n os.write(int(os.environ['CONSOLE_PULSE_FD']), b'%s\\n')\n time.sleep(.1)\n"
)
STEADY = BEAT % (9999, "")
FALLS_SILENT = BEAT % (3, "") + "time.sleep(60)"
COMPLAINS = BEAT % (3, "") + BEAT % (9999, "its threads take no work")


def process(folder: Path, code: str = SLEEP, name: str = "web", *, ready: bool = True, behind: bool = False) -> Process:
    command = [sys.executable, "-c", code]
    return Process(name, command, dict(os.environ), lambda: ready, folder, behind=behind)


def beating(folder: Path, code: str = STEADY, name: str = "chat") -> Process:
    return Process(name, [sys.executable, "-c", code], dict(os.environ), None, folder)


# Tenths of a second in place of seconds. A process that starts is given time all the same: Python takes some.
SHORT = Patience(ask=0.1, deaf=1.5, deaf_grace=0.3, away=0.7)


def said(supervisor: Supervisor) -> str:
    """Of its own, without the lines of its processes."""
    supervisor.terminal.flush()
    assert isinstance(supervisor.terminal.stream, io.StringIO)
    lines = supervisor.terminal.stream.getvalue().splitlines(keepends=True)
    return "".join(line for line in lines if "│" not in line)


@pytest.fixture
def patience():
    """Of the supervisor; a test says what its own is with `patient`."""
    return Patience()


@pytest.fixture
def supervisor(tmp_path, patience):
    run = RunDirectory(tmp_path)
    run.acquire()
    made = Supervisor(Terminal(tmp_path / "logs", io.StringIO()), run, patience)
    yield made
    made.stop()
    run.release()


def patient(patience: Patience, **changes: float):
    """For a test, with these changes."""
    return pytest.mark.parametrize("patience", [replace(patience, **changes)], ids=["patience"])


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


def watched_for(supervisor: Supervisor, seconds: float) -> str:
    """What it says meanwhile."""
    timer = threading.Timer(seconds, supervisor.stopping.set)
    timer.start()
    supervisor.watch()
    timer.join()
    return said(supervisor)


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
    assert said(supervisor).count("web stopped (signal SIGKILL); restarting it in 0.5 s.") == 1


@pytest.mark.fault("F23")
def test_a_process_that_a_signal_without_a_name_ends_is_started_again(supervisor, tmp_path):
    supervisor.start(process(tmp_path))
    first = supervisor.children["web"].popen.pid
    os.kill(first, 40)
    assert watched(supervisor, lambda: supervisor.children["web"].popen.pid != first)
    assert said(supervisor) == "web stopped (signal 40); restarting it in 0.5 s.\n"


class Broken(Ear):
    def listen(self) -> None:
        raise OSError("broken")


@pytest.mark.fault("F23")
def test_trouble_with_one_process_is_said_once_and_leaves_the_others_looked_after(supervisor, tmp_path):
    supervisor.start(beating(tmp_path), process(tmp_path))
    chat, web = (supervisor.children[name] for name in ("chat", "web"))
    chat.ear = Broken()
    os.kill(web.popen.pid, signal.SIGKILL)
    assert watched(supervisor, lambda: supervisor.children["web"] is not web)
    lines = said(supervisor).splitlines()
    assert [line for line in lines if line.startswith(("chat", "OSError"))] == [
        "chat could not be monitored; trying again.",
        "OSError: broken",
    ]


def test_pauses_between_starts_grow(supervisor, tmp_path):
    supervisor.start(process(tmp_path, "raise SystemExit(3)"))
    assert watched(
        supervisor,
        lambda: "web stopped (exit code 3); restarting it in 1 s." in supervisor.terminal.stream.getvalue(),
    )


def test_a_process_that_ends_at_the_start_is_reported_with_its_last_lines(supervisor, tmp_path):
    supervisor.start(process(tmp_path, "raise SystemExit('no such model')", ready=False))
    with pytest.raises(StartFailed) as failure:
        supervisor.wait_until_ready(["web"], 10)
    assert (failure.value.reason, failure.value.tail) == ("ended with exit code 1", "no such model")


def test_a_process_that_never_answers_is_reported(supervisor, tmp_path):
    supervisor.start(process(tmp_path, ready=False))
    with pytest.raises(StartFailed, match="did not respond"):
        supervisor.wait_until_ready(["web"], 0.2)


@patient(Patience(), front_grace=0.5)
def test_stop_ends_the_whole_group_however_stubborn(supervisor, tmp_path):
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


@pytest.mark.fault("F18", "F23")
@patient(SHORT)
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (FALLS_SILENT, "chat did not respond for 2 s; restarting it in 0.5 s."),
        (COMPLAINS, "chat did not respond for 2 s (its threads take no work); restarting it in 0.5 s."),
    ],
)
def test_a_process_that_falls_silent_is_started_again_and_said(supervisor, tmp_path, code, reason):
    supervisor.start(beating(tmp_path, code))
    first = supervisor.children["chat"].popen.pid
    assert watched(supervisor, lambda: supervisor.children["chat"].popen.pid != first)
    assert said(supervisor).splitlines() == [reason]


@pytest.mark.fault("F18")
@patient(SHORT)
@pytest.mark.parametrize("asked", [True, False])
def test_a_stopped_process_is_ended_with_all_that_it_had_started(supervisor, tmp_path, asked):
    """A stopped process answers no question; with `asked` the question is whether it runs."""

    def is_running() -> bool:
        found = supervisor.children.get("web")
        return found is None or Path(f"/proc/{found.popen.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T"

    made = process(tmp_path, PARENT) if asked else beating(tmp_path, PARENT.replace(SLEEP, STEADY), "web")
    supervisor.start(Process(**(vars(made) | {"is_ready": is_running if asked else None})))
    first = supervisor.children["web"].popen.pid
    assert eventually(lambda: len(members(first)) == 2)
    supervisor.wait_until_ready(["web"], 10)
    os.kill(first, signal.SIGSTOP)
    assert watched(supervisor, lambda: supervisor.children["web"].popen.pid != first)
    assert (members(first), said(supervisor)) == ([], "web did not respond for 2 s; restarting it in 0.5 s.\n")


@patient(SHORT)
def test_a_process_that_beats_is_left_alone(supervisor, tmp_path):
    supervisor.start(beating(tmp_path), process(tmp_path))
    pids = [child.popen.pid for child in supervisor.children.values()]
    assert watched_for(supervisor, 4) == ""
    assert [child.popen.pid for child in supervisor.children.values()] == pids


@patient(SHORT, start=4.0)
def test_a_process_that_starts_has_a_patience_of_its_own(supervisor, tmp_path):
    supervisor.start(beating(tmp_path, SLEEP))
    assert watched_for(supervisor, 3) == ""
    supervisor.stopping.clear()
    assert watched(supervisor, lambda: "chat did not respond within 4 s of its start; restarting" in said(supervisor))


@pytest.mark.parametrize(
    ("patience", "is_ended"),
    [(replace(SHORT, look=1.0, gap=0.5), False), (replace(SHORT, look=1.0, gap=60.0), True)],
    ids=["gaps", "no gaps"],
)
@pytest.mark.slow
def test_after_a_gap_of_the_supervisor_itself_everybody_has_the_full_time(supervisor, tmp_path, is_ended):
    """It looks every second here: with 0.5 each second is a gap, as after a laptop slept."""
    supervisor.start(beating(tmp_path, FALLS_SILENT))
    assert ("did not respond" in watched_for(supervisor, 6)) == is_ended


@patient(SHORT, deaf=3.0)
def test_who_waits_for_a_process_that_is_away_is_not_ended_for_it(supervisor, tmp_path):
    supervisor.start(process(tmp_path, name="cache", behind=True), beating(tmp_path, FALLS_SILENT))
    supervisor.wait_until_ready(["cache", "chat"], 10)
    cache = supervisor.children["cache"]
    cache.ear.close()
    assert watched(supervisor, lambda: supervisor.children["cache"] is not cache)
    assert said(supervisor).startswith("cache did not respond")
    assert "chat" not in said(supervisor)


@patient(SHORT, front_grace=0.3)
def test_a_stop_ends_what_is_deaf_and_starts_nothing(supervisor, tmp_path):
    supervisor.start(beating(tmp_path))
    supervisor.wait_until_ready(["chat"], 10)
    pid = supervisor.children["chat"].popen.pid
    os.kill(pid, signal.SIGSTOP)
    supervisor.stop()
    assert (members(pid), supervisor.children["chat"].popen.pid) == ([], pid)


def test_who_ends_again_and_again_is_named_with_the_place_of_its_log(supervisor, tmp_path):
    supervisor.start(process(tmp_path, "raise SystemExit(3)"))
    log = tmp_path / "logs/web.log"
    wanted = f"web stopped (exit code 3); restarting it in 2 s. This is failure 3 in a row. Its log: {log}"
    assert watched(supervisor, lambda: wanted in said(supervisor))


@contextmanager
def no_descriptor_left():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 1, hard))
    taken = []
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.fault("F23")
def test_no_file_descriptors_and_then_some_again(supervisor, tmp_path):
    supervisor.start(process(tmp_path))
    first = supervisor.children["web"].popen.pid
    with no_descriptor_left():
        os.kill(first, signal.SIGKILL)
        assert watched(supervisor, lambda: "web could not be started (Too many open files)" in said(supervisor))
    supervisor.stopping.clear()
    assert watched(supervisor, lambda: supervisor.children["web"].popen.pid != first)


@pytest.mark.fault("F20")
def test_a_record_that_cannot_be_written_stops_nothing_and_is_written_later(supervisor, tmp_path):
    supervisor.start(process(tmp_path))
    first = supervisor.children["web"].popen.pid
    shutil.rmtree(supervisor.run.path)
    os.kill(first, signal.SIGKILL)
    assert watched(supervisor, lambda: supervisor.children["web"].popen.pid != first)
    supervisor.run.path.mkdir()
    supervisor.stopping.clear()
    assert watched(supervisor, supervisor.run.state.exists)
    kept = json.loads(supervisor.run.state.read_text())["children"][0]
    assert (kept["name"], kept["restarts"], kept["reason"]) == ("web", 1, "stopped (signal SIGKILL)")

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.headless_client import Visitor
from tests.support.running import ROOT, Running, environment, launch, processes_of, running, wait_for_link

pytestmark = pytest.mark.timeout(180)
IDLE = {"CONSOLE_LOCAL_OPTIONS": "--prepare when-needed"}


def eventually(check: Callable[[], bool], seconds: float = 12) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not check():
        time.sleep(0.1)
    return check()


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists() and not is_zombie(pid)]


def is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def left(console: Running, pids: list[int]) -> list[int]:
    return sorted({*alive(pids), *processes_of(console.data_dir)})


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    with running(tmp_path_factory.mktemp("up") / "data", IDLE, is_empty=True) as started:
        yield started


@pytest.mark.slow
def test_the_link_signs_the_owner_in_once(console):
    with Visitor(console.address) as person:
        assert "Dashboard" in person.sign_in(console.link).text
    with Visitor(console.address) as other:
        assert other.client.get(console.link).status_code == 410


@pytest.mark.slow
def test_a_second_one_in_the_same_folder_refuses(console):
    command = [sys.executable, "manage.py", "up", "--data-dir", str(console.data_dir)]
    second = subprocess.run(command, cwd=ROOT, env=environment({}), capture_output=True, text=True, timeout=30)
    sentence = f"Garden Console already runs on {console.data_dir} (process {console.process.pid}, {console.address})."
    assert (second.returncode, sentence in second.stderr) == (1, True)


@pytest.mark.slow
def test_a_given_port_that_is_taken_is_refused(console, tmp_path):
    port = console.address.rpartition(":")[2]
    command = [sys.executable, "manage.py", "up", "--data-dir", str(tmp_path), "--port", port]
    second = subprocess.run(command, cwd=ROOT, env=environment({}), capture_output=True, text=True, timeout=30)
    assert second.stderr == f"CommandError: Port {port} is in use. To use a free port, leave out --port.\n"


@pytest.mark.slow
def test_two_folders_run_beside_each_other_and_a_killed_one_comes_back_where_it_was(console, tmp_path):
    other = launch(tmp_path / "data", IDLE)
    wait_for_link(other)
    pids = list(other.pids().values())
    assert other.address != console.address
    other.process.kill()
    other.process.wait()
    assert eventually(lambda: left(other, pids) == [])
    with running(tmp_path / "data", IDLE) as again:
        assert again.address == other.address


def test_ctrl_c_leaves_nothing(tmp_path):
    with running(tmp_path / "data", IDLE, is_empty=True) as console:
        pids, stopped = list(console.pids().values()), time.monotonic()
        assert (len(pids), console.stop(signal.SIGINT)) == (6, 0)
        assert (left(console, pids), time.monotonic() - stopped < 12) == ([], True)


@pytest.mark.slow
def test_it_starts_without_any_standard_input(tmp_path):
    command = ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "manage.py", "up", "--data-dir", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, env=environment(IDLE), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert any(line.startswith("Ready. Open http://") for line in process.stdout)
        process.terminate()
        process.stdout.read()
    assert process.returncode == 0


def test_an_unreachable_database_is_one_sentence(tmp_path):
    command = [sys.executable, "manage.py", "up", "--data-dir", str(tmp_path)]
    given = environment(IDLE | {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"})
    failed = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=60)
    assert failed.stderr.startswith("CommandError: The database cannot be used: ")
    assert (failed.returncode, len(failed.stderr.splitlines())) == (1, 1)


def test_a_wrong_setting_is_one_sentence(tmp_path):
    command = [sys.executable, "manage.py", "up", "--data-dir", str(tmp_path)]
    given = environment({"CONSOLE_LOCAL_OPTIONS": "'"})
    failed = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=60)
    assert failed.stderr.startswith("CommandError: CONSOLE_LOCAL_OPTIONS cannot be read")
    assert not processes_of(tmp_path), os.listdir(tmp_path)

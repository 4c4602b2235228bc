import json
import os
import socket
import subprocess
import sys

import pytest

from console.management.rundir import AlreadyRunning, RunDirectory, StillStopping

HOST = "127.0.0.1"


def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_second_one_learns_who_holds_the_directory(tmp_path):
    first, second = RunDirectory(tmp_path), RunDirectory(tmp_path)
    first.acquire()
    first.record("http://127.0.0.1:8000", {"web": 1})
    with pytest.raises(AlreadyRunning) as refusal:
        second.acquire()
    assert str(refusal.value) == f"process {os.getpid()}, http://127.0.0.1:8000"
    first.release()


def test_a_released_directory_can_be_taken(tmp_path):
    first, second = RunDirectory(tmp_path), RunDirectory(tmp_path)
    first.acquire()
    first.record("", {})
    first.release()
    second.acquire()
    second.release()
    assert not second.state.exists()


def test_what_a_killed_run_left_is_named(tmp_path):
    left, fresh = RunDirectory(tmp_path), RunDirectory(tmp_path)
    left.acquire()
    left.state.write_text(json.dumps({"pid": ended_process(), "processes": {"worker": 4711}}))
    with pytest.raises(StillStopping, match="4711"):
        fresh.acquire(patience=0.2)
    left.release()


@pytest.fixture
def run(tmp_path):
    made = RunDirectory(tmp_path)
    yield made
    made.give_back()


def test_a_port_is_remembered(run, tmp_path):
    first = run.port("web", HOST, 0)
    run.give_back()
    assert run.port("web", HOST, 1) == first


def test_a_taken_port_is_replaced(run):
    with socket.create_server((HOST, 0)) as other:
        taken = other.getsockname()[1]
        assert run.port("web", HOST, taken) != taken


def test_two_processes_never_get_the_same_port(run):
    web = run.port("web", HOST, 0)
    assert run.port("vertex", HOST, web) != web


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names that end with their process")
def test_two_consoles_that_start_at_once_never_get_the_same_port(run, tmp_path):
    other = RunDirectory(tmp_path / "other")
    chosen = run.port("web", HOST, 0)
    assert (other.port("web", HOST, chosen) != chosen, other.take(HOST, chosen)) == (True, False)
    run.give_back()
    assert other.take(HOST, chosen)
    other.give_back()


def test_a_torn_file_of_ports_is_ignored(run):
    run.ports.write_text('{"web": 80')
    assert run.port("web", HOST, 0) > 0

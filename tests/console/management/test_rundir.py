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


def test_a_port_is_remembered(tmp_path):
    run = RunDirectory(tmp_path)
    first = run.port("web", HOST, 0)
    assert RunDirectory(tmp_path).port("web", HOST, 1) == first


def test_a_taken_port_is_replaced(tmp_path):
    with socket.create_server((HOST, 0)) as other:
        taken = other.getsockname()[1]
        assert RunDirectory(tmp_path).port("web", HOST, taken) != taken


def test_two_processes_never_get_the_same_port(tmp_path):
    run = RunDirectory(tmp_path)
    web = run.port("web", HOST, 0)
    assert run.port("vertex", HOST, web) != web


def test_a_torn_file_of_ports_is_ignored(tmp_path):
    run = RunDirectory(tmp_path)
    run.ports.write_text('{"web": 80')
    assert run.port("web", HOST, 0) > 0

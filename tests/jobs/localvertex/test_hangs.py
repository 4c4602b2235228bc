"""Children of the local server that hang: a training goes on from its checkpoint, a model server is started again."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobs.localvertex.hangs import Watch
from tests.jobs.localvertex.servers import wait_for
from tests.jobs.localvertex.serving.test_pool import gone, llama

pytestmark = [
    pytest.mark.slow,
    pytest.mark.fault("F18", "F23"),
    pytest.mark.skipif(sys.platform != "linux", reason="read from /proc"),
]
BUSY = "while True: sum(range(10000))"
IDLE = "import threading, time\nthreading.Thread(target=exec, args=({other!r},), daemon=True).start()\ntime.sleep(60)"


@pytest.fixture
def child():
    started = []

    def start(code: str) -> int:
        started.append(subprocess.Popen([sys.executable, "-c", code]))
        time.sleep(0.5)
        return started[-1].pid

    yield start
    for process in started:
        process.kill()
        process.wait()


def hangs_within(watch: Watch, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if watch.hangs():
            return True
        time.sleep(0.1)
    return False


def test_who_computes_does_not_hang_and_who_is_stopped_does(child):
    pid = child(BUSY)
    watch = Watch(pid, 1)
    assert not hangs_within(watch, 3)
    os.kill(pid, signal.SIGSTOP)
    assert hangs_within(watch, 5)


@pytest.mark.parametrize(("main_thread_only", "is_seen"), [(True, True), (False, False)])
def test_a_main_thread_that_hangs_beside_one_that_works(child, main_thread_only, is_seen):
    pid = child(IDLE.format(other=BUSY))
    assert hangs_within(Watch(pid, 1, main_thread_only=main_thread_only), 3) == is_seen


def test_after_a_gap_of_its_own_it_begins_anew(child):
    """As after a machine slept."""
    watch = Watch(child("import time; time.sleep(60)"), 1, gap=1.5)
    watch.hangs()
    time.sleep(2)
    assert not watch.hangs()
    assert hangs_within(watch, 3)


def trainer(server) -> int:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            if parent == server.process.pid and b"\0train\0" in (stat.parent / "cmdline").read_bytes():
                return int(stat.parent.name)
        except OSError:
            continue
    return 0


def test_a_training_that_hangs_goes_on_from_its_checkpoint(own_server):
    own_server.extra = ["--hang-seconds", "2"]
    server = own_server.start()
    name = server.create(server.job("slowly")).name
    first = wait_for(lambda: trainer(server), server.log)
    os.kill(first, signal.SIGSTOP)
    job = server.until(name, "SUCCEEDED", "FAILED")
    log = server.text(job.output_uri.removeprefix("gs://garden-local/") + "/logs/train.log")
    assert (job.error.message, gone(first)) == ("", True)
    assert "The training process did nothing for 2 s and is ended." in log
    assert "going on from the last checkpoint" in log


def test_a_training_that_always_hangs_fails_with_its_reason(own_server):
    own_server.extra = ["--hang-seconds", "1"]
    server = own_server.start()
    name = server.create(server.job("hold")).name
    seen: set[int] = set()
    while server.tuning.get_tuning_job(name=name).state.name != "JOB_STATE_FAILED":
        pid = trainer(server)
        if pid and pid not in seen:
            os.kill(pid, signal.SIGSTOP)
            seen.add(pid)
        time.sleep(0.05)
    message = server.tuning.get_tuning_job(name=name).error.message
    assert len(seen) == 3
    assert message.startswith("The training process ended 3 times without a result:")
    assert message.endswith("The training process did nothing for 1 s and is ended.")


def test_a_model_server_that_hangs_is_started_again_and_the_question_is_answered(own_server):
    own_server.extra = ["--hang-seconds", "2"]
    server = own_server.start()
    server.deployed("stuck")
    before = llama(server, "stuck")
    os.kill(before, signal.SIGSTOP)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(server.chat, "stuck")
        wait_for(lambda: gone(before), server.log)
        assert asked.result(30).json()["choices"][0]["message"]["content"] == "Hello there"
    assert llama(server, "stuck") != before


@pytest.mark.slow
def test_a_model_server_that_works_long_is_left_alone(own_server):
    """Nothing is asked of it for longer than the patience, and then something that takes longer."""
    own_server.extra = ["--hang-seconds", "5"]
    server = own_server.start()
    server.deployed("calm")
    before = llama(server, "calm")
    time.sleep(8)
    assert server.chat("calm").status_code == 200
    assert llama(server, "calm") == before

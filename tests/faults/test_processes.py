"""A whole console whose processes are killed or stopped while a model is tuned and chatted with: the page of the job is
true again soon, the terminal says why, the job ends well, and it is created once.

The seconds that each took are in the report of `pytest -rA`.
"""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import redis

from tests.support import journey
from tests.support.headless_client import Visitor
from tests.support.rights import MAY_MOUNT
from tests.support.running import (
    GEMMA,
    ROOT,
    Running,
    launch,
    processes_of,
    running,
    wait_for_link,
    with_tiny_model,
)

pytestmark = pytest.mark.timeout(1800)
ROWS = ROOT / "tests/fixtures/tiny-tune/train.jsonl"
LONG = {"epochs": "10", "learning_rate": "0.005", "adapter_size": "8", "batch_size": "4"}
PATIENCE = 200
# What a quiet machine keeps.
KILLED_SECONDS, STOPPED_SECONDS = 10, 40
SUPERVISED = ("web", "worker", "chat", "cache", "storage", "vertex")
OF_VERTEX = ("trainer", "llama")


def start_job(visitor: Visitor, *, wait: bool = True) -> str:
    """A training that has made its first steps and has many before it."""
    tune = journey.Tune(GEMMA, train=ROWS, auto_deploy=False, training=LONG)
    started = journey.start(visitor, journey.fill_in(visitor, tune), tune)
    if wait:
        journey.wait_for_step(visitor, started, PATIENCE)
    return started


def creates(console: Running, job: str) -> int:
    lines = (console.data_dir / "localvertex/ledger.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    return sum(entry["method"] == "create_tuning_job" and entry["labels"].get("app-key") == job for entry in entries)


def cache_of(console: Running) -> redis.Redis:
    settings = (console.data_dir / "cache/valkey.conf").read_text()
    port, password = re.findall(r"^(?:port|requirepass) (\S+)$", settings, re.M)
    return redis.Redis(port=int(port), password=password)


def wait_for_another(console: Running, name: str, old: int) -> None:
    until = time.monotonic() + 20
    said = f"{name} stopped (signal SIGKILL); restarting it"
    while console.pids()[name] == old or said not in console.output():
        assert time.monotonic() < until, console.output()[-3000:]
        time.sleep(0.1)


@pytest.mark.fault("F21", "F23")
@pytest.mark.slow
def test_each_process_killed_in_turn_and_then_all(tmp_path: Path) -> None:
    """At the end only `up` is killed; Linux takes its children along, and the next start goes on with the training."""
    console = launch(tmp_path / "data", with_tiny_model())
    wait_for_link(console)
    with Visitor(console.address) as person:
        person.sign_in(console.link)
        journey.wait_for_catalogue(person)
        job = start_job(person)
        for name in ("vertex", "worker", "cache"):
            assert journey.job_state(person, job) == "Running"
            wait_for_another(console, name, console.kill(name))
        with cache_of(console) as cache:
            cache.flushall()
        assert journey.job_state(person, job) == "Running"
        console.process.kill()
        console.process.wait()
        wait_until_gone(console)
        with running(tmp_path / "data", with_tiny_model()) as again:
            assert again.address == console.address
            journey.wait_for_state(person, job, "Succeeded", PATIENCE)
            assert creates(again, job) == 1


def wait_until_gone(console: Running) -> None:
    until = time.monotonic() + 12
    while left := processes_of(console.data_dir):
        assert time.monotonic() < until, left
        time.sleep(0.1)


def how_busy() -> float:
    """How long this machine takes for what takes a second when it is quiet."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def patience() -> float:
    return PATIENCE * how_busy()


def eventually(check: Callable[[], object], seconds: float) -> float:
    """Seconds until it held. What is asked of a process that is away does not hold yet."""
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        try:
            if check():
                return time.monotonic() - began
        except (httpx.HTTPError, LookupError, RuntimeError, OSError, ValueError):
            pass
        time.sleep(0.1)
    raise AssertionError(f"It did not come to that within {seconds} s.")


def pid_of(console: Running, name: str) -> int:
    if name == "llama":
        (port_file,) = (console.data_dir / "localvertex/endpoints").glob("*/*/port.json")
        return int(json.loads(port_file.read_text())["pid"])
    if name == "trainer":
        return [pid for pid in processes_of(console.data_dir) if is_trainer(pid)][0]
    return console.pids()[name]


def is_trainer(pid: int) -> bool:
    try:
        return b"jobs.localvertex.engine\0train" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


class Story:
    """A training with many steps to come, and a model that answers."""

    def __init__(self, console: Running, person: Visitor) -> None:
        self.console, self.person = console, person
        person.sign_in(console.link)
        journey.wait_for_catalogue(person)
        self.endpoint = journey.deploy_base(person, GEMMA)
        journey.wait_until_ready(person, self.endpoint, PATIENCE)
        self.jobs = [start_job(person)]

    @property
    def job(self) -> str:
        return self.jobs[-1]

    def keep_training(self) -> None:
        """A training that is over at the wrong moment is followed by another."""
        if journey.job_state(self.person, self.job) == "Succeeded":
            self.jobs.append(start_job(self.person))

    def strike(self, name: str, number: signal.Signals) -> dict[str, float]:
        """Seconds until the process was another, the page of the job was true again, and a chat was answered."""
        self.keep_training()
        eventually(lambda: pid_of(self.console, name), PATIENCE)
        old, before = pid_of(self.console, name), len(self.console.output())
        os.kill(old, number)
        began = time.monotonic()
        limit = how_busy() * (KILLED_SECONDS if number == signal.SIGKILL else STOPPED_SECONDS)
        eventually(lambda: is_gone(old) and self.is_replaced(name, old), limit)
        replaced = time.monotonic() - began
        eventually(lambda: journey.job_state(self.person, self.job) in {"Running", "Succeeded"}, limit - replaced)
        page, steps = time.monotonic() - began, self.steps()
        eventually(lambda: self.steps() > steps or journey.job_state(self.person, self.job) == "Succeeded", patience())
        progress = time.monotonic() - began
        eventually(self.is_answered, patience())
        self.check_last_words(name, number, self.console.output()[before:])
        took = {"replaced": replaced, "page": page, "progress": progress, "chat": time.monotonic() - began}
        return {what: round(seconds, 1) for what, seconds in took.items()}

    def is_replaced(self, name: str, old: int) -> bool:
        """A training that has just ended needs no other trainer."""
        ended = name == "trainer" and journey.job_state(self.person, self.job) == "Succeeded"
        return ended or pid_of(self.console, name) != old

    def steps(self) -> int:
        return len(journey.losses_of(self.person, self.job))

    def is_answered(self) -> bool:
        return bool(journey.ask(self.person, self.endpoint, "Say hello.", stop_after=0.3).text)

    @staticmethod
    def check_last_words(name: str, number: signal.Signals, output: str) -> None:
        own = [line for line in output.splitlines() if "│" not in line]
        reason = "stopped (signal SIGKILL)" if number == signal.SIGKILL else "did not respond for 20 s"
        wanted = [f"{name} {reason}; restarting it in 0.5 s."] if name in SUPERVISED else []
        assert own == wanted


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    with running(tmp_path / "data", with_tiny_model()) as console, Visitor(console.address) as person:
        yield Story(console, person)


def end_well(story: Story) -> None:
    for job in story.jobs:
        journey.wait_for_state(story.person, job, "Succeeded", patience())
        assert creates(story.console, job) == 1
    checks = eventually(lambda: story.person.client.get("/readyz/all").status_code == 200, 60)
    assert checks < 60


@pytest.mark.fault("F23")
@pytest.mark.slow
def test_each_process_killed_once(story: Story) -> None:
    for name in (*OF_VERTEX, *SUPERVISED):
        print(name, "SIGKILL", story.strike(name, signal.SIGKILL))
    end_well(story)


@pytest.mark.slow
@pytest.mark.fault("F18", "F23")
@pytest.mark.parametrize("name", [*SUPERVISED, *OF_VERTEX])
def test_a_stopped_process_is_noticed(story: Story, name: str) -> None:
    """The training is long enough: it stands still while what it needs does."""
    print(name, "SIGSTOP", story.strike(name, signal.SIGSTOP))
    end_well(story)


@pytest.mark.slow
@pytest.mark.fault("F18")
def test_a_supervisor_that_was_stopped_blames_nobody(story: Story) -> None:
    """As after a laptop slept. Its processes go on meanwhile."""
    pids = story.console.pids()
    story.console.process.send_signal(signal.SIGSTOP)
    try:
        time.sleep(25)
        assert story.steps() > 1
    finally:
        story.console.process.send_signal(signal.SIGCONT)
    time.sleep(10)
    assert (story.console.pids(), "restarting it" in story.console.output()) == (pids, False)
    end_well(story)


@pytest.mark.slow
@pytest.mark.fault("F22")
def test_three_schedulers_do_what_one_does(story: Story) -> None:
    """The worker's own, and two beside it; at last one of those is killed."""
    given = Path(f"/proc/{story.console.pids()['worker']}/environ").read_bytes().decode().split("\0")
    worker = dict(line.split("=", 1) for line in given if "=" in line)
    worker.pop("CONSOLE_PULSE_FD")
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "console", "beat", "--pidfile="]
    others = [subprocess.Popen(command, cwd=ROOT, env=worker, stdout=subprocess.DEVNULL) for _ in range(2)]
    try:
        second = start_job(story.person)
        others[0].kill()
        journey.wait_for_state(story.person, second, "Succeeded", patience())
        assert creates(story.console, second) == 1
        end_well(story)
    finally:
        for process in others:
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.fault("F23")
def test_rolling_restarts(story: Story) -> None:
    """One of four every four seconds."""
    for name in ("worker", "web", "vertex", "chat") * 2:
        story.console.kill(name)
        time.sleep(4)
    end_well(story)


@pytest.mark.slow
@pytest.mark.fault("F23")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process that runs")
def test_a_worker_without_memory(story: Story) -> None:
    """It can take no more; then it is killed, as Linux does when there is none. What it began goes on."""
    worker = story.console.pids()["worker"]
    size = int(Path(f"/proc/{worker}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.prlimit(worker, resource.RLIMIT_AS, (size + 2**20, size + 2**20))
    second = start_job(story.person, wait=False)
    time.sleep(10)
    with suppress(ProcessLookupError):
        os.kill(worker, signal.SIGKILL)
    eventually(lambda: story.console.pids()["worker"] != worker, 60)
    for job in (story.job, second):
        journey.wait_for_state(story.person, job, "Succeeded", patience())
        assert creates(story.console, job) == 1


@pytest.mark.fault("F20")
@pytest.mark.slow
@pytest.mark.skipif(not MAY_MOUNT, reason="only root may mount a small disk")
def test_a_full_disk_ends_nothing_and_what_dies_meanwhile_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=120m", "tmpfs", str(folder)], check=True)
    try:
        with running(folder / "data", {"CONSOLE_LOCAL_OPTIONS": "--prepare when-needed"}) as console:
            fill(folder / "filler")
            for name in ("chat", "worker", "web"):
                console.kill(name)
            eventually(lambda: "worker stopped (signal SIGKILL)" in console.output(), 30)
            time.sleep(8)
            assert console.process.poll() is None
            (folder / "filler").unlink()
            with Visitor(console.address) as person:
                eventually(lambda: person.client.get("/readyz/all").status_code == 200, 120)
            alive = dict.fromkeys(SUPERVISED, False)
            eventually(lambda: {name: is_gone(pid) for name, pid in console.pids().items()} == alive, 10)
            assert "Logging error" not in console.output()
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: Path) -> None:
    """Until nothing goes in any more."""
    with path.open("wb", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue

"""A whole console whose processes are killed while a model is tuned: the job ends well, and is created once."""

import json
import re
import time
from pathlib import Path

import pytest
import redis

from tests import journey
from tests.running import GEMMA, ROOT, Running, launch, processes_of, running, wait_for_link, with_tiny_model
from tests.visitor import Visitor

pytestmark = [pytest.mark.timeout(240), pytest.mark.fault("F21", "F23")]
ROWS = ROOT / "tests/fixtures/tiny-tune/train.jsonl"
LONG = {"epochs": "20", "learning_rate": "0.005", "adapter_size": "8", "batch_size": "4"}
PATIENCE = 150


def start_job(visitor: Visitor) -> str:
    """A training that has made its first steps and has many before it."""
    tune = journey.Tune(GEMMA, train=ROWS, auto_deploy=False, training=LONG)
    started = journey.start(visitor, journey.fill_in(visitor, tune), tune)
    journey.wait_for_step(visitor, started, 60)
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
    while console.pids()[name] == old:
        assert time.monotonic() < until, console.output()[-3000:]
        time.sleep(0.1)
    assert f"{name} stopped (signal SIGKILL); starting it again" in console.output()


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

"""A whole console whose processes are killed while a model is tuned: the job ends well, and is created once."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests import journey
from tests.running import GEMMA, ROOT, Running, launch, processes_of, running, wait_for_link, with_tiny_model
from tests.visitor import Visitor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
ROWS = ROOT / "tests/fixtures/tiny-tune/train.jsonl"
LONG = {"epochs": "16", "learning_rate": "0.005", "adapter_size": "8", "batch_size": "4"}
PATIENCE = 150


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("faults") / "data", with_tiny_model()) as started:
        yield started


@pytest.fixture(scope="module")
def visitor(console: Running) -> Iterator[Visitor]:
    with Visitor(console.address) as person:
        person.sign_in(console.link)
        journey.wait_for_catalogue(person)
        yield person


@pytest.fixture
def job(visitor: Visitor) -> str:
    return start_job(visitor)


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


def test_a_worker_killed_in_the_middle(console: Running, visitor: Visitor, job: str) -> None:
    wait_for_another(console, "worker", console.kill("worker"))
    journey.wait_for_state(visitor, job, "Succeeded", PATIENCE)
    assert creates(console, job) == 1


def test_redis_emptied_in_the_middle(console: Running, visitor: Visitor, job: str) -> None:
    with cache_of(console) as cache:
        cache.flushall()
    journey.wait_for_state(visitor, job, "Succeeded", PATIENCE)
    assert creates(console, job) == 1


def test_the_cache_killed_in_the_middle(console: Running, visitor: Visitor, job: str) -> None:
    wait_for_another(console, "cache", console.kill("cache"))
    journey.wait_for_state(visitor, job, "Succeeded", PATIENCE)
    assert creates(console, job) == 1


def test_the_local_vertex_killed_in_the_middle(console: Running, visitor: Visitor, job: str) -> None:
    wait_for_another(console, "vertex", console.kill("vertex"))
    journey.wait_for_state(visitor, job, "Succeeded", PATIENCE)
    assert creates(console, job) == 1


def test_all_of_it_killed_in_the_middle(tmp_path: Path) -> None:
    """Only `up` is killed; Linux takes its children along, and the next start goes on with the training."""
    first = launch(tmp_path / "data", with_tiny_model())
    wait_for_link(first)
    with Visitor(first.address) as person:
        person.sign_in(first.link)
        journey.wait_for_catalogue(person)
        job = start_job(person)
        first.process.kill()
        first.process.wait()
        wait_until_gone(first)
        with running(tmp_path / "data", with_tiny_model()) as again:
            assert again.address == first.address
            journey.wait_for_state(person, job, "Succeeded", PATIENCE)
            assert creates(again, job) == 1


def wait_until_gone(console: Running) -> None:
    until = time.monotonic() + 12
    while left := processes_of(console.data_dir):
        assert time.monotonic() < until, left
        time.sleep(0.1)

"""Counts of many processes become one, and none is lost that can be kept."""

import json
import os
import subprocess
import sys
import time

import pytest

from jobs import telemetry
from jobs.telemetry import COUNTS, LEVELS, Counter, Histogram, Level, shared

THINGS = Counter("things", "Things.", ("kind",))
WAITS = Histogram("waits", "Waits.", (0.1, 1.0))
OPEN = Level("open", "Open.")
AGAIN = """
import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
from jobs import telemetry
from tests.jobs.test_telemetry import OPEN, THINGS
from django.conf import settings
settings.REDIS_URL, settings.TELEMETRY_SECONDS = os.environ["SHARED"], 5.0
THINGS.count("a")
OPEN.set(3)
"""


@pytest.fixture(autouse=True)
def _shared(settings, redis_url, broker):  # noqa: F811
    settings.REDIS_URL = redis_url
    shared.forget()
    yield
    shared.forget()


def test_the_counts_of_processes_are_added_up(redis_url):  # noqa: F811
    """Each hands over what is new when it ends, too."""
    THINGS.count("a")
    THINGS.count("b")
    OPEN.set(2)
    environment = os.environ | {"SHARED": redis_url}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", AGAIN], env=environment, cwd=os.getcwd(), check=True)
    found = telemetry.read()
    assert (found.of("things"), found.levels) == ({("a",): 3, ("b",): 1}, {"open": 8})
    assert telemetry.read().of("things") == {("a",): 3, ("b",): 1}


def test_durations_fall_between_bounds():
    for seconds in (0.05, 0.1, 0.5, 3.0):
        WAITS.observe(seconds)
    found = telemetry.read()
    assert {part: found.of("waits", part) for part in WAITS.parts} == {"0.1": {(): 2}, "1.0": {(): 1}, "+Inf": {(): 1}}
    assert found.of("waits", "sum")[()] == pytest.approx(3.65)


@pytest.mark.fault("F18")
def test_what_redis_cannot_take_is_kept(settings, redis_url):  # noqa: F811
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    THINGS.count("a")
    assert shared.share() is False
    THINGS.count("a")
    settings.REDIS_URL = redis_url
    assert (shared.share(), telemetry.read().of("things")) == (True, {("a",): 2})


@pytest.mark.fault("F23")
def test_the_level_of_a_process_that_was_killed_counts_no_longer(broker):  # noqa: F811
    OPEN.set(2)
    long_ago = time.time() - telemetry.LEVEL_SECONDS - 1
    broker.hset(LEVELS, json.dumps(["open", "gone 1"]), json.dumps([40, long_ago]))
    assert telemetry.read().levels == {"open": 2}
    assert broker.hlen(LEVELS) == 1


def test_what_another_version_wrote_is_passed_over(broker):  # noqa: F811
    THINGS.count("a")
    broker.hset(COUNTS, mapping={"no json": "1", "[]": "1", '["things", ""]': "no number"})
    broker.hset(LEVELS, mapping={"[]": "1", '["open", "x"]': "{}"})
    assert telemetry.read().of("things") == {("a",): 1}


def test_a_child_does_not_hand_over_what_its_parent_counted():
    THINGS.count("a")
    child = os.fork()
    if child == 0:
        THINGS.count("b")
        shared.share()
        os._exit(0)
    os.waitpid(child, 0)
    assert telemetry.read().of("things") == {("a",): 1, ("b",): 1}


def test_counting_waits_for_nobody(settings):
    """Also while Redis cannot be reached."""
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    began = time.perf_counter()
    for _ in range(10_000):
        THINGS.count("a")
    assert time.perf_counter() - began < 1.0

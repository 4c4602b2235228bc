import json
import shutil
from collections import namedtuple
from datetime import timedelta

import pytest
from django.db import OperationalError, connection

from jobs.models import Heartbeat, ProbeResult, ProcessReport, ServiceState
from jobs.services.health import status
from tests.support import factories
from tests.support.factories import NOW

pytestmark = pytest.mark.django_db
Usage = namedtuple("Usage", "total used free")


def beat(name, seconds_ago=1, **detail):
    seen_at = NOW - timedelta(seconds=seconds_ago)
    return Heartbeat.objects.create(name=name, seen_at=seen_at, detail=json.dumps(detail) if detail else "")


def part(name):
    return next(part for part in status.list_services(NOW) if part.name == name)


def test_every_part_is_there_once():
    names = [part.name for part in status.list_services(NOW)]
    expected = ["database", "broker", "worker", "chat", "web", "scheduler"]
    expected += ["storage", "vertex", "clock", "live", "disk"]
    assert names == expected


def test_nothing_is_green_before_it_was_checked():
    states = {part.name: part.state.value for part in status.list_services(NOW)}
    assert {name: states[name] for name in ("worker", "scheduler", "storage", "vertex", "clock")} == {
        "worker": "failed", "scheduler": "unknown", "storage": "unknown", "vertex": "unknown", "clock": "unknown",
    }  # fmt: skip


@pytest.mark.parametrize(("seconds", "state"), [(10, "ok"), (180, "ok"), (181, "unknown")])
def test_what_was_checked_too_long_ago_is_unknown(seconds, state):
    checked_at = NOW - timedelta(seconds=seconds)
    ProbeResult.objects.create(name="storage", state="ok", latency_ms=40, checked_at=checked_at)
    assert (part("storage").state, part("storage").latency_ms) == (state, 40 if state == "ok" else None)


def test_an_old_failure_is_unknown_too():
    old = NOW - timedelta(minutes=10)
    ProbeResult.objects.create(name="vertex", state="failed", detail="No answer.", checked_at=old)
    assert (part("vertex").state, "out of date" in part("vertex").problem) == (ServiceState.UNKNOWN, True)


def test_a_worker_that_works(settings):
    beat("worker", version=settings.VERSION, host="here")
    beat("beat")
    assert [part(name).state for name in ("worker", "scheduler")] == [ServiceState.OK, ServiceState.OK]


def test_a_worker_of_another_version_needs_attention():
    beat("worker", version="0.0.1", host="here")
    assert part("worker").problem == "The worker runs version 0.0.1, but the pages run 0.1.0."


def test_a_silent_worker_leaves_the_scheduler_unknown():
    beat("worker", 95)
    beat("beat", 95)
    assert [part(name).state for name in ("worker", "scheduler")] == [ServiceState.FAILED, ServiceState.UNKNOWN]


@pytest.mark.fault("F20")
def test_on_a_full_disk_a_silent_worker_may_well_live(settings):
    if connection.vendor != "sqlite":
        pytest.skip("the disk of another database is elsewhere")
    beat("worker", 95)
    beat("beat", 95)
    settings.DISK_LEAST_BYTES = 2**62
    told = [(found.state, found.problem) for found in map(part, ("worker", "scheduler"))]
    assert told == [(ServiceState.UNKNOWN, "Unknown: the disk is full, so no process can report.")] * 2


def test_a_worker_that_lives_tells_of_a_dead_scheduler():
    beat("worker")
    beat("beat", 95)
    assert [part(name).state for name in ("worker", "scheduler")] == [ServiceState.OK, ServiceState.FAILED]


@pytest.mark.parametrize(("seconds", "state"), [(5, "unknown"), (31, "failed")])
def test_a_scheduler_is_given_time_to_begin(seconds, state):
    beat("worker", since=(NOW - timedelta(seconds=seconds)).isoformat())
    assert part("scheduler").state == state


def test_work_that_waits_is_told():
    beat("worker")
    factories.job(next_check_at=NOW - timedelta(seconds=75))
    assert (part("worker").state, part("worker").facts["waiting"]) == (ServiceState.WARNING, 75)


@pytest.mark.parametrize(
    ("free", "state"), [(50 * status.GIB, "ok"), (2 * status.GIB, "warning"), (status.GIB // 4, "failed")]
)
def test_a_disk_that_fills_up(free, state):
    assert status.disk(NOW, lambda path: Usage(100 * status.GIB, 0, free)).state == state


def test_the_disk_is_that_of_the_data_directory(settings):
    assert part("disk").facts["total"] == shutil.disk_usage(settings.DATA_DIR).total


def test_a_data_directory_that_is_gone_is_unknown(settings):
    settings.DATA_DIR.rmdir()
    assert part("disk").state == ServiceState.UNKNOWN


def test_a_broker_that_is_away():
    assert [part(name).state for name in ("broker", "live")] == [ServiceState.FAILED, ServiceState.FAILED]


def test_who_is_away_takes_one_line_of_the_log_each_time(caplog):
    """Whoever watches the console asks every few seconds."""
    problems = [status.broker_problem()]
    with connection.execute_wrapper(refuse):
        problems.append(status.database_problem())
    assert problems == ["The broker does not answer.", "The database does not answer."]
    told = [(record.getMessage().partition(": ")[0], record.exc_info) for record in caplog.records]
    assert told == [("The broker does not answer", None), ("The database does not answer", None)]


def refuse(*_):
    raise OperationalError("the server closed the connection")


def test_the_parts_take_the_same_queries_however_much_there_is(django_assert_num_queries):
    beat("worker")
    for _ in range(3):
        factories.job(next_check_at=NOW - timedelta(seconds=5))
    with django_assert_num_queries(8):
        status.list_services(NOW)


def report(kind="chat", seconds_ago=1, pid=1, version="0.1.0"):
    seen_at = NOW - timedelta(seconds=seconds_ago)
    values = {"host": "here", "pid": pid, "version": version, "since": NOW - timedelta(hours=1), "seen_at": seen_at}
    return ProcessReport.objects.create(kind=kind, **values)


@pytest.mark.parametrize("kind", ["chat", "web"])
@pytest.mark.parametrize(
    ("ages", "state", "problem"),
    [
        ([], "failed", "No process of this kind is reporting."),
        ([5, 9], "ok", ""),
        ([5, 45], "warning", "The process here 1 last reported 45 seconds ago."),
        ([45, 90], "failed", "It last reported 45 seconds ago."),
        ([5, 601], "ok", ""),
    ],
)
def test_processes_of_a_kind(kind, ages, state, problem):
    for pid, age in enumerate(ages):
        report(kind, age, pid)
    found = part(kind)
    assert (found.state, found.problem) == (state, problem)
    assert [one["pid"] for one in found.facts["processes"]] == [pid for pid, age in enumerate(ages) if age < 600]


def test_a_chat_worker_of_another_version_needs_attention():
    report(version="0.0.1")
    assert part("chat").problem == "The worker runs version 0.0.1, but the pages run 0.1.0."


def test_a_silent_worker_beside_one_that_works_needs_attention():
    beat("worker")
    report("worker", 40)
    assert (part("worker").state, part("worker").problem) == (
        "warning", "The process here 1 last reported 40 seconds ago.",
    )  # fmt: skip


@pytest.mark.fault("F20")
def test_on_a_full_disk_silence_says_nothing(settings):
    if connection.vendor != "sqlite":
        pytest.skip("the disk of another database is elsewhere")
    report(seconds_ago=60)
    for name in ("worker", "beat"):
        beat(name, 600)
    settings.DISK_LEAST_BYTES = 2**62
    told = "Unknown: the disk is full, so no process can report."
    shown = [part(name) for name in ("chat", "worker", "scheduler")]
    assert [(one.state, one.problem) for one in shown] == [("unknown", told)] * 3
    assert [status.worker_problem(NOW), status.chat_problem(NOW)] == [told, told]

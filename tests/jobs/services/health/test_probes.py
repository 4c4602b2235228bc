from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs.models import Heartbeat, ProbeResult
from jobs.services.health import probes
from jobs.vertex.errors import NotAuthorised, Unavailable
from jobs.vertex.machine import Gpu
from tests.support.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(fake_gateway):
    fake_gateway.connection.server_time = timezone.now()
    return fake_gateway


def kept(name):
    return ProbeResult.objects.get(name=name)


def steps(name):
    return {step["name"]: step["state"] for step in kept(name).facts["steps"]}


def test_all_works(world):
    assert probes.run(NOW)
    assert list(ProbeResult.objects.order_by("name").values_list("name", "state", "detail")) == [
        ("clock", "ok", ""), ("storage", "ok", ""), ("vertex", "ok", ""),
    ]  # fmt: skip


def test_gpus_of_the_machine_that_computes_are_kept(world):
    world.connection.gpus = [Gpu("NVIDIA L4", 24, 20), Gpu("NVIDIA T4", 16, 16)]
    probes.run(NOW)
    assert kept("vertex").facts["gpus"] == [
        {"name": "NVIDIA L4", "total": 24, "free": 20}, {"name": "NVIDIA T4", "total": 16, "free": 16},
    ]  # fmt: skip


def test_the_object_is_written_read_and_deleted(world):
    probes.run(NOW)
    calls = [call for call in world.calls if call.startswith("storage.")]
    assert calls == ["storage.problem_with_output", "storage.upload", "storage.read_text", "storage.delete"]
    assert (world.storage.objects, set(steps("storage").values())) == ({}, {"ok"})


def test_a_bucket_that_is_not_there_is_named_and_the_rest_not_tried(world):
    world.storage.buckets.clear()
    probes.run(NOW)
    assert (kept("storage").state, kept("storage").detail) == ("failed", "The bucket garden-local does not exist.")
    assert steps("storage") == {"bucket": "failed", "write": "unknown", "read": "unknown", "delete": "unknown"}


def test_what_cannot_be_read_is_deleted_all_the_same(world):
    world.unavailable("storage.read_text")
    probes.run(NOW)
    assert steps("storage") == {"bucket": "ok", "write": "ok", "read": "failed", "delete": "ok"}
    assert world.storage.objects == {}


@pytest.mark.parametrize(
    ("error", "states"),
    [
        (NotAuthorised("Sign in.", "UNAUTHENTICATED"), ["failed", "unknown", "unknown"]),
        (NotAuthorised("You lack a role.", "PERMISSION_DENIED"), ["ok", "ok", "failed"]),
        (NotAuthorised("The API has not been used in project x.", "PERMISSION_DENIED"), ["ok", "failed", "unknown"]),
        (Unavailable("No answer.", "UNAVAILABLE"), ["ok", "failed", "unknown"]),
    ],
)
def test_a_failure_says_at_which_step(world, error, states):
    world.fail("connection.look", error)
    probes.run(NOW)
    assert (kept("vertex").detail, list(steps("vertex").values())) == (str(error), states)


def test_missing_credentials_are_the_first_step(world):
    world.fail("connection.credentials", NotAuthorised("No credentials.", "UNAUTHENTICATED"))
    probes.run(NOW)
    assert list(steps("vertex").values()) == ["failed", "unknown", "unknown"]


@pytest.mark.parametrize(("seconds", "state"), [(0, "ok"), (25, "ok"), (-60, "warning"), (900, "failed")])
def test_a_wrong_clock_is_told(world, seconds, state):
    world.connection.server_time += timedelta(seconds=seconds)
    probes.run(NOW)
    assert kept("clock").state == state


def test_no_time_told_is_an_unknown_clock(world):
    world.connection.server_time = None
    probes.run(NOW)
    assert (kept("clock").state, kept("clock").detail) == ("unknown", "Vertex AI didn't report the time.")


@pytest.mark.parametrize(("setting", "name"), [("VERTEX_BUCKET", "storage"), ("VERTEX_PROJECT", "vertex")])
def test_what_is_not_configured_is_said_and_not_called(world, settings, setting, name):
    setattr(settings, setting, "")
    probes.run(NOW)
    assert (kept(name).state, f"Set {setting}" in kept(name).detail) == ("failed", True)


def test_a_check_that_breaks_is_unknown_and_the_others_go_on(world):
    world.fail("storage.upload", RuntimeError("boom"))
    probes.run(NOW)
    assert (kept("storage").state, kept("storage").latency_ms, kept("vertex").state) == ("unknown", None, "ok")


def test_only_one_worker_is_at_it(world):
    Heartbeat.objects.create(name="probe", seen_at=NOW, detail="running")
    assert [probes.run(NOW + timedelta(seconds=seconds)) for seconds in (30, 91)] == [False, True]


def test_not_twice_in_two_seconds(world):
    assert [probes.run(NOW + timedelta(seconds=seconds)) for seconds in (0, 1, 2)] == [True, False, True]


def test_the_claim_makes_the_database_log_no_error(world):
    """PostgreSQL writes down each row that is there already, unless it is told that this is no error."""
    for number in range(3):
        with CaptureQueriesContext(connection) as queries:
            assert probes._claim(NOW + number * probes.LOST_AFTER)
        inserts = [one["sql"] for one in queries if one["sql"].startswith("INSERT")]
        assert [("ON CONFLICT DO NOTHING" in sql or "OR IGNORE" in sql) for sql in inserts] == [True]
    assert not probes._claim(NOW + 2 * probes.LOST_AFTER)

from datetime import timedelta
from uuid import uuid4

import pytest

from jobs.models import Heartbeat
from jobs.services import installation
from jobs.services.tuning import orphaned_jobs
from tests.support import factories

pytestmark = pytest.mark.django_db
MINE = "projects/garden-local/locations/us-central1/tuningJobs/7000"


@pytest.fixture
def labels():
    """Those of a job of this installation."""
    install = str(installation.get_id())
    return lambda key: {"app-install": install, "app-key": str(key)}


def sweep(times=1):
    for minute in range(times):
        orphaned_jobs.sweep(factories.NOW + timedelta(minutes=minute))


def warnings(job):
    return [event.message for event in job.events.filter(level="WARNING")]


def test_the_job_of_a_row_is_no_surplus(labels, fake_gateway):
    job = factories.job(resource_name="projects/4711/locations/global/tuningJobs/7000")
    fake_gateway.tuning.add(labels(job.pk))
    sweep()
    assert (warnings(job), orphaned_jobs.unknown_jobs()) == ([], [])


def test_a_second_job_is_said_once_on_the_row_it_belongs_to(labels, fake_gateway):
    job = factories.job(resource_name=MINE)
    second = [fake_gateway.tuning.add(labels(job.pk)) for _ in range(2)][1]
    sweep(times=3)
    assert warnings(job) == [
        f"Vertex AI has another job with the same key: {second.name}. It may cost money. Cancel it in Vertex AI."
    ]
    assert "tuning.cancel" not in fake_gateway.calls


@pytest.mark.parametrize("key", [uuid4(), "not-a-key", ""])
def test_a_job_without_a_row_is_named_while_it_runs(labels, fake_gateway, key):
    stray = fake_gateway.tuning.add(labels(key))
    fake_gateway.tuning.add({"app-install": "another", "app-key": str(key)})
    sweep()
    assert orphaned_jobs.unknown_jobs() == [stray.name]
    fake_gateway.tuning.set_state(stray.name, "CANCELLED")
    sweep(times=2)
    assert orphaned_jobs.unknown_jobs() == []


def test_a_job_that_is_being_sent_will_be_found_by_its_row(labels, fake_gateway):
    job = factories.job(phase="SUBMITTING")
    fake_gateway.tuning.add(labels(job.pk))
    sweep()
    assert (warnings(job), orphaned_jobs.unknown_jobs()) == ([], [])


def test_a_job_that_appears_after_it_was_given_up_is_said(labels, fake_gateway):
    job = factories.job(state="FAILED", phase="CLOSED")
    late = fake_gateway.tuning.add(labels(job.pk))
    sweep()
    assert [late.name in message for message in warnings(job)] == [True]


def test_one_list_call_a_minute_however_often_it_is_kicked(labels, fake_gateway):
    labels("x")
    for seconds in (0, 10, 49, 60, 61):
        orphaned_jobs.sweep(factories.NOW + timedelta(seconds=seconds))
    assert fake_gateway.calls == ["tuning.find"] * 2


def test_an_installation_that_never_sent_anything_asks_nobody(fake_gateway):
    sweep()
    assert (fake_gateway.calls, Heartbeat.objects.count()) == ([], 0)


def test_a_list_that_cannot_be_read_changes_nothing(labels, fake_gateway):
    stray = fake_gateway.tuning.add(labels(uuid4()))
    sweep()
    fake_gateway.unavailable("tuning.find")
    sweep(times=2)
    assert orphaned_jobs.unknown_jobs() == [stray.name]

"""Random trouble from known seeds: whatever happens, one create a key, and both sides end alike (I1, I3, I4, I6).

CONSOLE_SEED chooses other ones. The seed is in the name of each test, so what failed can be run again by that name.
"""

import os
import random

import pytest

from jobs.models import Endpoint, Notification
from jobs.services.tuning import jobs
from tests.support import factories
from tests.support.row_driver import Driver
from tests.support.share import one_of

pytestmark = [pytest.mark.django_db, pytest.mark.fault("F6", "F8", "F9", "F11", "F12", "F13", "F14", "F27")]

CREATES = ("tuning.create", "deployment.deploy")
READS = (
    "storage.ensure_bucket", "storage.upload", "storage.problem_with_output", "storage.read_text", "tuning.find",
    "tuning.get", "tuning.cancel", "metrics.read", "deployment.get_endpoint", "deployment.get_operation",
    "deployment.find_deployment",
)  # fmt: skip
TROUBLE = ("crash", "crash_before", "drop_before", "drop_after", "unavailable", "not_sent", "over_quota", "bug")
FIRST = int(os.environ.get("CONSOLE_SEED", "0"))
SEEDS = range(FIRST, FIRST + 60)


def cause(gateway, chance):
    call = chance.choice(CREATES * 3 + READS)
    kind = chance.choice(TROUBLE)
    if kind == "bug":
        gateway.fail(call, RuntimeError("bug"), after=chance.random() < 0.5)
    elif kind == "crash_before":
        gateway.crash(call, after=False)
    else:
        getattr(gateway, kind)(call)


def live(job, driver, chance):
    """Steps until the job rests; now and then somebody cancels, and whoever is asked says: again."""
    cancel_at = chance.choice([None, None, chance.randrange(25)])
    for number in range(300):
        if job.next_check_at is None:
            return job
        if number == cancel_at and not job.is_terminal:
            jobs.request_cancel(job)
        elif job.phase == "NEEDS_DECISION" and not job.cancel_requested_at:
            jobs.decide(job, again=True)
        driver.step(job)
    raise AssertionError(f"{job.state} {job.phase} {job.notice}")


@pytest.mark.parametrize("seed", one_of(6, SEEDS), ids="CONSOLE_SEED={}".format)
def test_one_create_and_one_end(fake_gateway, seed):
    chance, driver = random.Random(seed), Driver()
    fake_gateway.automatic, fake_gateway.tuning.lag = True, chance.choice([0, 1, 5, 20])
    fake_gateway.catalogue.acknowledged.add(factories.BASE_MODEL)
    for _ in range(chance.randrange(1, 7)):
        cause(fake_gateway, chance)
    job = live(factories.job(next_check_at=driver.now, auto_deploy=True), driver, chance)
    assert len(fake_gateway.creates("tuning-job")) <= 1
    assert [remote.state for remote in fake_gateway.tuning.jobs.values()] in ([], [job.state])
    assert Notification.objects.filter(subject_id=job.pk, end=job.state).count() == 1
    assert Notification.objects.filter(subject_id=job.pk).exclude(kind="tuning.undecided").count() == 1
    check_endpoint(job, driver, fake_gateway)


def check_endpoint(job, driver, gateway):
    endpoint = Endpoint.objects.filter(main_model__job=job).first()
    assert (endpoint is None) == (job.state != "SUCCEEDED" or job.cancel_requested_at is not None)
    if endpoint:
        gateway.automatic = True
        driver.until(endpoint, state="READY")
        assert gateway.creates("deployment") == [endpoint.resource_name]

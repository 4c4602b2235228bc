"""A row that breaks its worker does not stop the others, and is not tried for ever at once."""

from contextlib import suppress
from datetime import timedelta

import pytest

from jobs.services.remote import row_claim
from jobs.services.tuning import jobs
from tests.fakes import Crash
from tests.support import factories
from tests.support.row_driver import AFTER_THE_LEASE, Driver

pytestmark = [pytest.mark.django_db, pytest.mark.fault("F23")]


@pytest.fixture
def driver(fake_gateway):
    fake_gateway.catalogue.acknowledged.add(factories.BASE_MODEL)
    return Driver()


def test_an_unforeseen_error_is_shown_and_tried_again_later(driver, fake_gateway):
    job = factories.job(next_check_at=driver.now)
    fake_gateway.fail("storage.upload", ValueError("odd"))
    driver.step(job)
    assert job.notice.startswith("The console failed while working on this (ValueError: odd).")
    assert (job.strikes, job.lease_token) == (1, None)
    driver.until(job, phase="BOUND")
    assert (job.strikes, job.notice) == (0, "")


def test_repeated_errors_park_the_row(driver, fake_gateway):
    job = factories.job(next_check_at=driver.now)
    fake_gateway.fail("storage.upload", ValueError("odd"), times=99)
    for _ in range(6):
        driver.step(job)
    assert job.next_check_at - driver.now >= timedelta(minutes=9)
    assert fake_gateway.calls.count("storage.upload") == 6


def test_a_row_that_kills_its_worker_is_parked(driver, fake_gateway):
    job = factories.job(next_check_at=driver.now)
    for _ in range(20):
        fake_gateway.crash("storage.upload")
    for _ in range(12):
        tuning_dies(job, driver)
    assert fake_gateway.calls.count("storage.upload") <= 7


def test_the_others_are_still_due(driver):
    poison, healthy = factories.job(next_check_at=driver.now), factories.job(next_check_at=driver.now)
    row_claim.claim(type(poison), poison.pk, driver.now)
    assert jobs.due(driver.now) == [healthy.pk]


def test_an_outage_is_no_strike(driver, fake_gateway):
    job = factories.job(next_check_at=driver.now)
    fake_gateway.unavailable("storage.upload", times=10)
    for _ in range(10):
        driver.step(job)
    assert (job.strikes, job.notice) == (0, "Vertex AI does not answer.")
    driver.until(job, phase="BOUND")


def test_a_vanished_row_is_no_error(driver):
    job = factories.job(next_check_at=driver.now)
    pk = job.pk
    job.delete()
    assert jobs.advance(pk, driver.now) is False


def tuning_dies(job, driver):
    with suppress(Crash):
        jobs.advance(job.pk, driver.now)
    driver.now += AFTER_THE_LEASE

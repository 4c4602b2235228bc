"""One click, one paid job: at each point where the worker can die or the reply can be lost."""

import io
from datetime import timedelta

import pytest
from django.db import connection

from jobs.files import store
from jobs.models import JobEvent
from jobs.services.datasets.images import uploads
from jobs.services.remote import create_once, row_claim
from jobs.services.tuning import jobs
from jobs.states import Phase
from jobs.vertex.errors import AlreadyExists, Unavailable, VertexError
from tests.fakes import Crash
from tests.support import factories
from tests.support.row_driver import Driver
from tests.support.zips import pack_images

pytestmark = pytest.mark.django_db


@pytest.fixture
def driver(fake_gateway):
    fake_gateway.catalogue.acknowledged.add(factories.BASE_MODEL)
    return Driver()


@pytest.fixture
def job(db, driver):
    return factories.job(next_check_at=driver.now, request_hash="c0ffee00" * 8)


def one_create(gateway, job):
    assert gateway.creates("tuning-job") == [job.resource_name]


@pytest.mark.fault("F6", "F7")
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    "call", ["storage.ensure_bucket", "storage.upload", "storage.problem_with_output", "tuning.find", "tuning.get"]
)
def test_death_around_a_call_that_is_free(driver, job, fake_gateway, call, after):
    fake_gateway.crash(call, after=after)
    fake_gateway.automatic = True
    driver.until(job, phase="CLOSED")
    assert job.state == "SUCCEEDED"
    one_create(fake_gateway, job)


@pytest.mark.fault("F9")
def test_death_after_the_request_was_accepted(driver, job, fake_gateway):
    fake_gateway.crash("tuning.create", after=True)
    driver.until(job, phase="BOUND")
    one_create(fake_gateway, job)
    assert "Found in Vertex AI from an earlier request." in [event.message for event in JobEvent.objects.all()]


@pytest.mark.fault("F8")
def test_death_before_the_request_left(driver, job, fake_gateway):
    fake_gateway.crash("tuning.create", after=False)
    driver.until(job, phase="NEEDS_DECISION")
    assert fake_gateway.ledger == []
    jobs.decide(job, again=True)
    driver.until(job, phase="BOUND")
    one_create(fake_gateway, job)


class DiesBefore:
    """The worker ends before it writes to its row for that time. The first two times it claims the row, then it marks
    the point after which it creates, and at last it writes down what came of it."""

    def __init__(self, write):
        self.left = write

    def __call__(self, execute, sql, params, many, context):
        if sql.startswith('UPDATE "jobs_tuningjob"'):
            self.left -= 1
            if self.left == 0:
                raise Crash(sql)
        return execute(sql, params, many, context)


@pytest.mark.fault("F7", "F10")
@pytest.mark.parametrize(("write", "created"), [(3, 0), (4, 1)], ids=["mark", "settle"])
def test_death_between_the_calls(driver, job, fake_gateway, write, created):
    driver.until(job, prepared_at=driver.step(driver.step(job)).prepared_at)
    with connection.execute_wrapper(DiesBefore(write)):
        driver.step(job)
    assert len(fake_gateway.ledger) == created
    driver.until(job, phase="BOUND")
    one_create(fake_gateway, job)


@pytest.mark.fault("F11")
def test_a_lost_reply_is_resolved_by_looking(driver, job, fake_gateway):
    fake_gateway.drop_after("tuning.create")
    driver.until(job, phase="AMBIGUOUS")
    reason = "The connection broke before an answer came. The console looks for it in Vertex AI first."
    assert job.notice == reason
    driver.until(job, phase="BOUND")
    one_create(fake_gateway, job)


@pytest.mark.fault("F11", "F12")
@pytest.mark.parametrize("error", [RuntimeError("a bug"), VertexError("odd"), Unavailable("503", "UNAVAILABLE")])
def test_any_unforeseen_outcome_is_unknown(driver, job, fake_gateway, error):
    fake_gateway.fail("tuning.create", error, after=True)
    driver.until(job, phase="BOUND")
    one_create(fake_gateway, job)


@pytest.mark.fault("F14")
@pytest.mark.parametrize("lag", [1, 3, 20])
def test_a_list_that_lags_inside_the_window(driver, job, fake_gateway, lag):
    fake_gateway.tuning.lag = lag
    fake_gateway.drop_after("tuning.create")
    driver.until(job, phase="BOUND")
    one_create(fake_gateway, job)


@pytest.mark.fault("F14")
def test_a_list_that_lags_beyond_the_window_never_makes_a_second_job(driver, job, fake_gateway):
    fake_gateway.tuning.lag = 45
    fake_gateway.drop_after("tuning.create")
    driver.until(job, phase="NEEDS_DECISION")
    driver.until(job, phase="BOUND")
    one_create(fake_gateway, job)


@pytest.mark.fault("F14")
def test_the_window_is_eight_looks_and_ten_minutes(driver, job, fake_gateway):
    fake_gateway.drop_before("tuning.create")
    driver.until(job, phase="AMBIGUOUS")
    driver.until(job, phase="NEEDS_DECISION")
    assert timedelta(minutes=10) <= driver.now - job.submit_started_at < timedelta(minutes=11)
    assert fake_gateway.ledger == []


@pytest.mark.fault("F14")
def test_the_window_is_a_setting_and_eight_looks_still_count(driver, job, fake_gateway, settings):
    settings.VERTEX_AMBIGUOUS_SECONDS = 0
    fake_gateway.drop_before("tuning.create")
    driver.until(job, phase="AMBIGUOUS")
    looks = fake_gateway.calls.count("tuning.find")
    driver.until(job, phase="NEEDS_DECISION")
    assert fake_gateway.calls.count("tuning.find") - looks == 8


@pytest.mark.fault("F12")
def test_not_sent_is_sent_again(driver, job, fake_gateway):
    fake_gateway.not_sent("tuning.create")
    driver.until(job, phase="RETRY_OK")
    assert job.notice == "Vertex AI could not be reached."
    driver.until(job, phase="BOUND")
    one_create(fake_gateway, job)


@pytest.mark.fault("F13")
def test_quota_waits_with_a_reason_and_at_most_one_post_a_minute(driver, job, fake_gateway):
    fake_gateway.over_quota("tuning.create", times=4)
    posts = []
    fake_gateway.during("tuning.create", lambda: posts.append(driver.now))
    driver.until(job, phase="RETRY_OK")
    assert job.notice.startswith("Waiting for quota. Quota exceeded:")
    driver.until(job, phase="BOUND")
    assert all(later - earlier >= timedelta(seconds=60) for earlier, later in zip(posts, posts[1:], strict=False))
    assert len(posts) == 5
    one_create(fake_gateway, job)


def test_a_refusal_ends_the_job(driver, job, fake_gateway):
    fake_gateway.refuse("tuning.create", "The adapter size is not supported for this base model.")
    driver.rest(job)
    assert (job.state, job.phase, job.error_code) == ("FAILED", "CLOSED", "INVALID_ARGUMENT")
    assert job.error_message == "The adapter size is not supported for this base model."


@pytest.mark.fault("F11")
def test_already_exists_is_looked_at(driver, job, fake_gateway):
    fake_gateway.fail("tuning.create", AlreadyExists("Taken.", "ALREADY_EXISTS"), after=True)
    driver.until(job, phase="BOUND")
    one_create(fake_gateway, job)


@pytest.mark.fault("F18")
def test_a_paused_worker_that_wakes_up_late_changes_nothing(driver, job, fake_gateway):
    """SIGSTOP for two minutes during the POST: meanwhile another worker looks and binds."""

    def meanwhile():
        fake_gateway.hooks.clear()
        jobs.advance(job.pk, driver.now + timedelta(seconds=120))

    fake_gateway.during("tuning.create", meanwhile)
    driver.until(job, phase="AMBIGUOUS")
    driver.until(job, phase="BOUND")
    one_create(fake_gateway, job)


def test_giving_up_an_unknown_outcome(driver, job, fake_gateway, settings):
    settings.VERTEX_AMBIGUOUS_SECONDS = 0
    fake_gateway.drop_before("tuning.create")
    driver.until(job, phase="NEEDS_DECISION")
    jobs.decide(job, again=False)
    assert (job.state, job.phase, job.next_check_at) == ("FAILED", "CLOSED", None)


class CannotBePrepared:
    """A creation whose request cannot be made from its row."""

    model, window, after_window = factories.BASE_MODEL, timedelta(0), Phase.RETRY_OK

    def look(self):
        return None

    def accept_licence(self):
        """There is none."""

    def prepare(self):
        raise KeyError("a field of an older version")


def test_what_fails_before_the_mark_was_not_sent(driver, job, caplog):
    claimed = row_claim.claim(type(job), job.pk, driver.now)
    row_claim.run(claimed, lambda mine: create_once.Submission(mine, CannotBePrepared()).step(), lambda row: None)
    job.refresh_from_db()
    assert (job.phase, job.attempt, job.submit_started_at, job.strikes) == ("INTENT", 0, None, 1)
    assert f"A step of TuningJob {job.pk} failed" in caplog.text


@pytest.mark.fault("F6")
@pytest.mark.parametrize("call", ["storage.list_folder", "storage.upload", "storage.find_object"])
def test_images_of_the_rows_are_there_before_the_job(driver, fake_gateway, owner, call):
    """Also when the worker dies on the way; each is sent once that it is not there."""
    dataset, _is_known = uploads.create(owner, io.BytesIO(pack_images("a.png", "b.png")), "set.zip")
    job = factories.job(owner=owner, dataset=dataset, next_check_at=driver.now, request_hash="c0ffee00" * 8)
    fake_gateway.crash(call, after=True)
    fake_gateway.automatic = True
    driver.until(job, phase="CLOSED")
    folder = f"gs://garden-local/datasets/users/{owner.pk}/images/"
    sent = {uri.removeprefix(folder) for uri in fake_gateway.storage.objects if uri.startswith(folder)}
    assert (job.state, sent) == ("SUCCEEDED", set(dataset.images.values_list("file", flat=True)))
    one_create(fake_gateway, job)


def test_an_image_that_is_gone_ends_the_job_before_it_costs_anything(driver, fake_gateway, owner):
    dataset, _is_known = uploads.create(owner, io.BytesIO(pack_images("a.png")), "set.zip")
    store.delete(f"dataset-images/{owner.pk}/{dataset.images.get().file}")
    job = factories.job(owner=owner, dataset=dataset, next_check_at=driver.now)
    driver.until(job, phase="CLOSED")
    assert (job.state, job.error_field, job.error_message, fake_gateway.ledger) == (
        "FAILED", "dataset",
        "The image in line 1 of the dataset set is missing from this server. Upload the zip file with the rows and"
        " their images again.",
        [],
    )  # fmt: skip

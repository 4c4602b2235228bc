"""What Vertex AI lists decides whether a paid job is created: only a whole list is an answer."""

import pytest

from jobs.models import TuningJob
from jobs.services.remote import create_once
from jobs.services.tuning import orphaned_jobs
from jobs.vertex import get_gateway
from tests.support import factories
from tests.support.misbehaving_server import answer, bad_server, drop, error, truncate
from tests.support.row_driver import Driver
from tests.support.share import each_once

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


@pytest.mark.fault("F15")
def test_a_failed_look_is_no_proof_of_absence(driver, job, fake_gateway, settings):
    settings.VERTEX_AMBIGUOUS_SECONDS = 0
    fake_gateway.drop_before("tuning.create")
    driver.until(job, phase="AMBIGUOUS")
    for _ in range(5):
        driver.step(job)
    fake_gateway.unavailable("tuning.find")
    driver.step(job)
    assert (job.phase, job.empty_looks) == ("AMBIGUOUS", 0)


@pytest.mark.fault("F15")
def test_never_created_while_the_list_fails(driver, job, fake_gateway):
    driver.until(job, prepared_at=driver.step(driver.step(job)).prepared_at)
    fake_gateway.unavailable("tuning.find", times=5)
    for _ in range(5):
        driver.step(job)
    assert (job.phase, job.notice, fake_gateway.ledger) == ("INTENT", "Vertex AI does not answer.", [])
    driver.until(job, phase="BOUND")
    one_create(fake_gateway, job)


@pytest.mark.fault("F17")
def test_two_jobs_with_our_key_bind_the_oldest_and_name_the_other(driver, job, fake_gateway):
    labels = {"app-key": str(job.pk)}
    first, second = (fake_gateway.tuning.add(labels) for _ in range(2))
    driver.until(job, phase="BOUND")
    assert job.resource_name == first.name
    assert second.name in job.events.get(level="WARNING").message
    assert fake_gateway.tuning.jobs[second.name].state == "PENDING"


@pytest.mark.fault("F17")
def test_our_key_on_other_settings_is_a_conflict_for_a_person(driver, job, fake_gateway):
    fake_gateway.tuning.add({"app-key": str(job.pk), "app-hash": "deadbeef"})
    driver.rest(job)
    assert (job.state, job.error_code) == ("FAILED", "ALREADY_EXISTS")
    assert len(fake_gateway.creates()) == 1


REGION, GLOBAL = "us-central1", "global"


def listed(job, number, *, location=REGION, minute=0):
    """As Vertex AI lists what was sent for the row."""
    return {
        "name": f"projects/1/locations/{location}/tuningJobs/{number}",
        "createTime": f"2026-11-24T12:{minute:02}:00Z",
        "labels": create_once.labels(job),
    }


class Lists:
    """A Vertex AI that can do nothing but list and create: `pages` are its replies by location and page token."""

    def __init__(self):
        self.pages, self.server = {}, None

    def behave(self, connection):
        request = self.server.requests[-1]
        if request.method == "POST":
            return answer(200, {"name": f"projects/1/locations/{REGION}/tuningJobs/99"})(connection)
        path, _, query = request.path.partition("?")
        token = dict(part.partition("=")[::2] for part in query.split("&")).get("pageToken", "")
        reply = self.pages.get((path.split("/")[5], token), ([], ""))
        if callable(reply):
            return reply(connection)
        return answer(200, {"tuningJobs": reply[0], "nextPageToken": reply[1]})(connection)


@pytest.fixture
def lists(settings):
    served = Lists()
    with bad_server(served.behave) as served.server:
        settings.VERTEX_API_ENDPOINT = served.server.address
        settings.VERTEX_GATEWAY = "jobs.vertex.sdk.Gateway"
        get_gateway.cache_clear()
        yield served
    get_gateway.cache_clear()


@pytest.fixture
def prepared(db):
    """Its data is where Vertex AI reads it: the next step looks, and creates."""
    driver = Driver()
    return driver, factories.job(next_check_at=driver.now, prepared_at=driver.now, request_hash="c0ffee00" * 8)


BROKEN = {
    "refused": error(500, "INTERNAL"),
    "away": error(503, "UNAVAILABLE"),
    "busy": error(429, "RESOURCE_EXHAUSTED"),
    "expired token": error(400, "INVALID_ARGUMENT", "The page token is invalid or has expired."),
    "no rights": error(403, "PERMISSION_DENIED"),
    "no page": answer(200, b"<html>"),
    "half a page": truncate,
    "no answer": drop,
}


@pytest.mark.fault("F15")
@pytest.mark.parametrize(
    ("name", "place"), each_once(BROKEN, [(REGION, ""), (REGION, "a"), (REGION, "b"), (GLOBAL, "g")])
)
def test_a_list_that_is_not_whole_creates_nothing(lists, prepared, place, name):
    """Of three pages of the region and two of `global`, one fails."""
    driver, job = prepared
    lists.pages |= {(REGION, ""): ([], "a"), (REGION, "a"): ([], "b"), (GLOBAL, ""): ([], "g")}
    broken = lists.pages | {place: BROKEN[name]}
    whole, lists.pages = lists.pages, broken
    for _ in range(3):
        driver.step(job)
    assert (job.phase, job.attempt, job.state, bool(job.notice)) == ("INTENT", 0, "QUEUED", True)
    assert lists.server.posts() == []
    lists.pages = whole
    driver.until(job, phase="BOUND")
    assert len(lists.server.posts()) == 1


@pytest.mark.fault("F15")
@pytest.mark.parametrize("name", BROKEN)
def test_an_unknown_outcome_is_not_made_certain_by_a_broken_list(lists, prepared, settings, name):
    driver, job = prepared
    settings.VERTEX_AMBIGUOUS_SECONDS = 0
    TuningJob.objects.update(phase="AMBIGUOUS", submit_started_at=driver.now, attempt=1, empty_looks=7)
    lists.pages |= {(REGION, ""): ([], "a"), (REGION, "a"): BROKEN[name]}
    driver.step(job)
    assert (job.phase, job.empty_looks) == ("AMBIGUOUS", 0)
    assert lists.server.posts() == []


@pytest.mark.fault("F15")
def test_the_one_on_the_last_page_is_found(lists, prepared):
    driver, job = prepared
    lists.pages |= {(REGION, ""): ([], "a"), (REGION, "a"): ([], "b"), (REGION, "b"): ([listed(job, 3)], "")}
    driver.until(job, phase="BOUND")
    assert (job.resource_name.split("/")[-1], lists.server.posts()) == ("3", [])


@pytest.mark.fault("F16")
def test_the_same_job_in_its_region_and_in_global_counts_once(lists, prepared):
    driver, job = prepared
    lists.pages |= {(REGION, ""): ([listed(job, 3)], ""), (GLOBAL, ""): ([listed(job, 3, location=GLOBAL)], "")}
    driver.until(job, phase="BOUND")
    assert (job.resource_name, lists.server.posts()) == (f"projects/1/locations/{REGION}/tuningJobs/3", [])
    orphaned_jobs.sweep(driver.now)
    assert (orphaned_jobs.unknown_jobs(), job.events.filter(level="WARNING").count()) == ([], 0)


@pytest.mark.fault("F16", "F17")
def test_two_in_two_places_are_two(lists, prepared):
    driver, job = prepared
    older, newer = listed(job, 4, location=GLOBAL, minute=1), listed(job, 3, minute=2)
    lists.pages |= {(REGION, ""): ([newer], ""), (GLOBAL, ""): ([older], "")}
    driver.until(job, phase="BOUND")
    assert (job.resource_name, lists.server.posts()) == (older["name"], [])
    assert newer["name"] in job.events.get(level="WARNING").message


@pytest.mark.fault("F17")
def test_a_copied_label_that_is_seen_later_is_shown_once(driver, job, fake_gateway):
    driver.until(job, phase="BOUND")
    copy = fake_gateway.tuning.add(create_once.labels(job))
    for _ in range(2):
        orphaned_jobs.sweep(driver.now)
        driver.now += 2 * orphaned_jobs.SHORTEST_PAUSE
    assert [copy.name in event.message for event in job.events.filter(level="WARNING")] == [True]
    assert ("tuning.cancel" in fake_gateway.calls, copy.state) == (False, "PENDING")

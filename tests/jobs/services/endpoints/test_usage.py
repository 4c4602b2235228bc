from datetime import timedelta

import pytest

from console.presenters.endpoints.questions import in_use_by
from jobs.services.endpoints import usage
from tests.support import factories

pytestmark = pytest.mark.django_db
NOW, HOUR = factories.NOW, timedelta(hours=1)


@pytest.fixture
def talk():
    return factories.conversation()


def answer(talk, ago=timedelta(0), **values):
    return factories.message(conversation=talk, role="assistant", created_at=NOW - ago, **values)


@pytest.mark.parametrize(
    ("values", "percent", "value"),
    [
        ([], 50, None),
        ([3], 95, 3),
        ([1, 2], 50, 1),
        ([1, 2, 3, 4], 50, 2),
        (list(range(1, 101)), 95, 95),
        ([1, 2], 0, 1),
    ],
)
def test_percentiles(values, percent, value):
    assert usage.percentile(values, percent) == value


def test_requests_by_the_hour(talk):
    for ago in (timedelta(0), timedelta(minutes=30), 23 * HOUR, 24 * HOUR):
        answer(talk, ago)
    factories.message(conversation=talk, created_at=NOW)
    other = factories.ready_endpoint()
    assert usage.by_hour([talk.endpoint, other], NOW) == {
        talk.endpoint.pk: [1, *[0] * 21, 1, 1],
        other.pk: [0] * 24,
    }


def test_figures(talk):
    answer(talk, timings={"first_token": 0.5, "total": 2.5}, usage={"prompt_tokens": 5, "completion_tokens": 20})
    answer(talk, timings={"first_token": 1.5, "total": 2.5}, usage={"prompt_tokens": 6, "completion_tokens": 40})
    answer(talk, state="FAILED", timings={"total": 9})
    answer(talk, 2 * HOUR)
    asked = usage.requests(talk.endpoint, NOW - HOUR)
    assert usage.figures(asked) == usage.Figures(3, 1, 0.5, 1.5, 10.0, 11, 60)


def test_nothing_asked_has_no_figures():
    assert usage.figures([]) == usage.Figures(0, 0, None, None, None, 0, 0)


def test_figures_of_each_part_of_a_period(talk):
    for ago in (3 * HOUR, 2 * HOUR, 2 * HOUR):
        answer(talk, ago)
    edges = [NOW - 3 * HOUR, NOW - 2 * HOUR, NOW - HOUR]
    parts = usage.periods(usage.requests(talk.endpoint, edges[0]), edges)
    assert [part.requests for part in parts] == [1, 2]


def test_who_would_miss_it(talk):
    job = factories.job(state="SUCCEEDED")
    endpoint = talk.endpoint
    endpoint.deployed_models.update(job=job)
    endpoint.refresh_from_db()
    answer(talk, state="WAITING")
    answer(talk, 25 * HOUR)
    assert usage.uses_of(endpoint, NOW) == usage.Uses(1, 1, 1, job)
    factories.ready_endpoint(job=job, artifact_uri="gs://b/final")
    assert usage.uses_of(endpoint, NOW).job is None


def test_jobs_that_are_to_put_their_models_on_it_are_counted(db):
    endpoint = factories.ready_endpoint()
    coming = {"deploy_endpoint": endpoint, "joins_endpoint": True, "auto_deploy": True}
    for values in (
        coming,
        coming | {"state": "RUNNING"},
        coming | {"state": "FAILED"},
        coming | {"auto_deploy": False},
    ):
        factories.job(**values)
    found = usage.uses_of(endpoint, NOW)
    assert found.coming == 2
    assert "2 tuning jobs are going to deploy their models on it." in in_use_by(found)

"""`custom_jobs.find` decides whether a paid job is created, as `tuning.find` does."""

import pytest

from jobs.vertex.sdk import Gateway
from tests.support.misbehaving_server import answer, bad_server

JOB = {"name": "projects/p/locations/us-central1/customJobs/1", "labels": {"app-key": "k"}}


@pytest.fixture
def server(settings):
    """Its filter has not heard of the job yet, and lets one of somebody else's through."""
    with bad_server(lambda connection: behave(connection)) as server:

        def behave(connection):
            jobs = [JOB | {"labels": {}}] if "filter=" in server.requests[-1].path else [JOB]
            answer(200, {"customJobs": jobs})(connection)

        settings.VERTEX_API_ENDPOINT = server.address
        yield server


@pytest.mark.parametrize(("is_thorough", "found"), [(False, []), (True, [JOB["name"]])])
def test_what_was_made_a_moment_ago_is_found_without_a_filter(server, is_thorough, found):
    jobs = Gateway().custom_jobs.find("app-key", "k", is_thorough=is_thorough)
    assert [job.name for job in jobs] == found
    (request,) = server.requests
    assert ("filter=labels.app-key" in request.path) != is_thorough

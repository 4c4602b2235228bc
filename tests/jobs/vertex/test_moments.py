from datetime import UTC, datetime

import pytest

from jobs.vertex.moments import drop_impossible
from jobs.vertex.sdk import Gateway
from tests.support.misbehaving_server import answer, bad_server

NAME = "projects/1/locations/us-central1/tuningJobs/1"
SHOWN = datetime(2026, 11, 30, 5, tzinfo=UTC)


@pytest.mark.parametrize("moment", [None, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_what_no_page_could_show_is_not_told(moment):
    assert drop_impossible(moment) is None


def test_any_other_is(settings):
    assert drop_impossible(SHOWN) == SHOWN
    times = {"createTime": "2026-11-30T05:00:00Z", "startTime": "0001-01-01T00:00:00Z",
             "endTime": "9999-12-31T23:59:59Z"}  # fmt: skip
    with bad_server(answer(200, {"name": NAME, "state": "JOB_STATE_SUCCEEDED", **times})) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        found = Gateway().tuning.get(NAME)
    assert (found.create_time, found.start_time, found.end_time) == (SHOWN, None, None)

"""Entries as the REST reference of Cloud Logging v2 shows a LogEntry."""

from datetime import UTC, datetime

import pytest

from jobs.vertex.sdk import Gateway
from tests.support.misbehaving_server import answer

SINCE = datetime(2026, 11, 30, 5, 0, tzinfo=UTC)
JOB = "projects/42/locations/us-central1/tuningJobs/777"
ENDPOINT = "projects/42/locations/europe-west4/endpoints/garden-1"


def entry(at, **values):
    return {
        "insertId": "1", "logName": "projects/garden/logs/workerpool0-0", "timestamp": at,
        "resource": {"type": "ml_job", "labels": {"job_id": "777", "task_name": "workerpool0-0"}},
        **values,
    }  # fmt: skip


NEWEST_FIRST = [
    entry("2026-11-30T05:03:00.123456789Z", severity="ERROR", jsonPayload={"message": "Out of memory\n"}),
    entry("2026-11-30T05:02:00Z", severity="INFO", textPayload="step 2\nloss 1.5"),
    entry("2026-11-30T05:01:30Z", severity="DEFAULT", jsonPayload={"step": 1}),
    entry("2026-11-30T05:01:00Z", protoPayload={"@type": "type.googleapis.com/x"}),
    entry("never", textPayload="when?"),
    entry("9999-12-31T23:59:59Z", textPayload="No calendar has it"),
]  # fmt: skip


def test_the_log_of_a_job(api):
    api.behave = answer(200, {"entries": NEWEST_FIRST})
    assert [line.text for line in Gateway().logs.of_job(JOB, SINCE, 1000)] == [
        '2026-11-30 05:01:30 {"step": 1}',
        "2026-11-30 05:02:00 INFO step 2\\nloss 1.5",
        "2026-11-30 05:03:00 ERROR Out of memory",
    ]
    (request,) = api.requests
    assert (request.method, request.path) == ("POST", "/v2/entries:list")
    assert request.json() == {
        "resourceNames": ["projects/garden"],
        "filter": 'resource.type="ml_job" AND resource.labels.job_id="777" AND timestamp>="2026-11-30T05:00:00Z"',
        "orderBy": "timestamp desc",
        "pageSize": 1000,
    }


def test_the_log_of_an_endpoint(api):
    assert Gateway().logs.of_endpoint(ENDPOINT, SINCE, 200) == []
    assert api.requests[0].json()["filter"] == (
        'resource.type="aiplatform.googleapis.com/Endpoint" AND resource.labels.endpoint_id="garden-1"'
        ' AND resource.labels.location="europe-west4" AND timestamp>="2026-11-30T05:00:00Z"'
    )


@pytest.mark.parametrize(
    "entries", [None, "text", [None, 7], [{"timestamp": 5, "textPayload": {}}], [{"jsonPayload": []}]]
)
def test_nonsense_is_no_line(api, entries):
    api.behave = answer(200, {"entries": entries})
    assert Gateway().logs.of_job(JOB, SINCE, 10) == []


def test_lines_from_outside_are_bounded_and_say_what_they_hold(api):
    api.behave = answer(
        200, {"entries": [entry("2026-11-30T05:01:00Z", textPayload="\x1b[31m\u202e" + "x" * 10_000)] * 3}
    )
    lines = Gateway().logs.of_job(JOB, SINCE, 2)
    assert len(lines) == 2
    assert lines[0].text.startswith("2026-11-30 05:01:00 \\x1b[31m\\u202exxx")
    assert len(lines[0].text) < 4100

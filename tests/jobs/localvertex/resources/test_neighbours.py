"""As gcloud asks them; `test_gcloud` has whole commands."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from google.cloud import aiplatform_v1beta1 as vertex

from tests.jobs.localvertex.resources.tuning.test_custom_jobs import arguments, create, until
from tests.jobs.localvertex.servers import PARENT, PROJECT, wait_for

QUOTA = f"v1/{PROJECT}/locations/global/services/aiplatform.googleapis.com/quotaInfos/AnyGPUsPerProjectPerRegion"


def entries(server, wanted, **asked):
    body = {"resourceNames": [PROJECT], "filter": wanted, "orderBy": "timestamp asc", "pageSize": 1000, **asked}
    reply = httpx.post(f"{server.url}/v2/entries:list", json=body, trust_env=False)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_quotas_of_every_region_never_run_out(server):
    found = httpx.get(f"{server.url}/{QUOTA}", params={"alt": "json"}, trust_env=False).json()
    by_region = {one["applicableLocations"][0]: int(one["details"]["value"]) for one in found["dimensionsInfos"]}
    assert (by_region["us-central1"], by_region["europe-west4"], len(by_region)) == (1_000_000, 1_000_000, 40)
    usage = {
        "filter": 'metric.type="serviceruntime.googleapis.com/quota/allocation/usage"',
        "interval.endTime": "2026-11-30T05:00:00Z",
    }
    assert httpx.get(f"{server.url}/v3/{PROJECT}/timeSeries", params=usage, trust_env=False).json() == {}


def test_lines_of_a_log_as_a_follower_reads_them(server):
    client = server.client(vertex.JobServiceClient)
    name = create(client, arguments(server, "logged")).name
    until(server, client, name, "SUCCEEDED")
    own = f'resource.type="ml_job" AND resource.labels.job_id="{name.rpartition("/")[2]}"'
    found = entries(server, own)["entries"]
    places = [(one["timestamp"], one["insertId"]) for one in found]
    assert places == sorted(places)
    assert any("Reading gs://" in one["textPayload"] for one in found)
    moment, last = places[-1]
    rest = f'{own} AND ((timestamp="{moment}" AND insertId>"{last}") OR timestamp>"{moment}")'
    assert entries(server, rest) == {"entries": []}
    page = entries(server, own, pageSize=1)
    following = entries(server, own, pageSize=1, pageToken=page["nextPageToken"])
    assert [page["entries"][0], following["entries"][0]] == found[:2]


@pytest.mark.parametrize(
    "body",
    [[], {}, {"resourceNames": "p"}, {"resourceNames": [1]}, {"resourceNames": ["p"], "pageSize": "x"},
     {"resourceNames": ["p"], "filter": 5}, {"resourceNames": ["p"], "filter": 'timestamp>"never"'},
     {"resourceNames": [PROJECT] * 101},
     {"resourceNames": ["p"], "filter": "shoes=1"}, {"resourceNames": ["p"], "pageToken": "nonsense"}],
)  # fmt: skip
def test_what_cannot_be_read(server, body):
    reply = httpx.post(f"{server.url}/v2/entries:list", json=body, trust_env=False)
    assert (reply.status_code, reply.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def count_by_code(server, endpoint):
    moment = datetime.now(UTC) + timedelta(minutes=2)
    query = {
        "filter": 'metric.type="aiplatform.googleapis.com/prediction/online/response_count"'
        f' AND resource.labels.endpoint_id="{endpoint.rpartition("/")[2]}"',
        "interval.startTime": (moment - timedelta(hours=1)).isoformat(),
        "interval.endTime": moment.isoformat(),
        "aggregation.alignmentPeriod": "3600s",
        "aggregation.perSeriesAligner": "ALIGN_DELTA",
        "aggregation.crossSeriesReducer": "REDUCE_SUM",
        "aggregation.groupByFields": "metric.labels.response_code",
    }
    found = httpx.get(f"{server.url}/v3/{PROJECT}/timeSeries", params=query, trust_env=False).json()
    return {
        one["metric"]["labels"]["response_code"]: int(one["points"][0]["value"]["int64Value"])
        for one in found.get("timeSeries", [])
    }


def test_what_any_client_asks_is_counted_with_its_code(server):
    endpoint = server.deployed("counted-by-code").name
    url, body = f"{server.url}/v1/{endpoint}/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}
    assert count_by_code(server, endpoint) == {}
    assert httpx.post(url, json=body, trust_env=False).status_code == 200
    assert "[DONE]" in httpx.post(url, json={**body, "stream": True}, trust_env=False).text
    assert httpx.post(url, json={"messages": 5}, trust_env=False).status_code == 400
    predict = {"instances": [{"prompt": "Hi", "max_tokens": 2}]}
    assert httpx.post(f"{server.url}/v1beta1/{endpoint}:predict", json=predict, trust_env=False).status_code == 200
    nobody = f"{server.url}/v1/{PARENT}/endpoints/none:predict"
    assert httpx.post(nobody, json=predict, trust_env=False).status_code == 404
    # An answer is counted when all of it has been sent.
    assert wait_for(lambda: count_by_code(server, endpoint) == {"2xx": 3, "4xx": 1}, seconds=20)


def test_the_lines_of_a_model_server_are_found(server):
    (deployed,) = server.deployed("logged").deployed_models
    own = 'resource.type="aiplatform.googleapis.com/Endpoint" AND resource.labels.endpoint_id="logged"'
    (line,) = entries(server, own)["entries"]
    assert (line["textPayload"], line["insertId"]) == ("The fake model server starts.", f"{deployed.id}-{0:012}")
    assert line["resource"] == {
        "type": "aiplatform.googleapis.com/Endpoint",
        "labels": {"endpoint_id": "logged", "location": "us-central1", "resource_container": "p1"},
    }
    assert entries(server, f'{own} AND resource.type="ml_job"') == {"entries": []}


def test_the_lines_of_a_tuning_job_are_found(server):
    name = server.until(server.create(server.job()).name, "SUCCEEDED").name
    found = entries(server, f'resource.labels.job_id="{name.rpartition("/")[2]}"')["entries"]
    assert {one["resource"]["type"] for one in found} == {"ml_job"}
    assert "The fake engine starts." in [one["textPayload"] for one in found]


def test_series_that_cannot_be_asked_for(server):
    reply = httpx.get(f"{server.url}/v3/{PROJECT}/timeSeries", trust_env=False)
    assert (reply.status_code, reply.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")

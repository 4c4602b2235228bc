"""As gcloud asks them; `test_gcloud` has whole commands."""

import httpx
import pytest
from google.cloud import aiplatform_v1beta1 as vertex

from tests.jobs.localvertex.resources.tuning.test_custom_jobs import arguments, create, until
from tests.jobs.localvertex.servers import PROJECT

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
    assert httpx.get(f"{server.url}/v3/{PROJECT}/timeSeries", trust_env=False).json() == {}


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
     {"resourceNames": ["p"], "filter": "shoes=1"}, {"resourceNames": ["p"], "pageToken": "nonsense"}],
)  # fmt: skip
def test_what_cannot_be_read(server, body):
    reply = httpx.post(f"{server.url}/v2/entries:list", json=body, trust_env=False)
    assert (reply.status_code, reply.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")

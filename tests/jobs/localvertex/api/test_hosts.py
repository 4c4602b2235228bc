import httpx
import pytest

from jobs.localvertex.api import hosts
from jobs.localvertex.api.errors import ApiError
from tests.jobs.localvertex.servers import PARENT

ENDPOINT = "projects/7/locations/europe-west4/endpoints/e"
OWN = "e.europe-west4-7.prediction.localhost"
BODY = {"messages": [{"role": "user", "content": "hi"}]}


def test_names():
    assert hosts.dedicated_dns(ENDPOINT, "127.0.0.1:80", own=False) == "127.0.0.1:80"
    assert hosts.dedicated_dns(ENDPOINT, "127.0.0.1:80", own=True) == f"{OWN}:80"
    assert hosts.dedicated_dns(ENDPOINT, "example", own=True) == OWN
    assert hosts.dedicated_dns(ENDPOINT, "[::1]:80", own=True) == f"{OWN}:80"


@pytest.mark.parametrize(
    ("host", "is_dedicated", "status"),
    [
        (f"{OWN}:80", True, ""),
        ("127.0.0.1:80", False, ""),
        ("127.0.0.1:80", True, "FAILED_PRECONDITION"),
        (f"{OWN}:80", False, "NOT_FOUND"),
        (f"other.{OWN}:80", True, "NOT_FOUND"),
    ],
)
def test_who_may_be_asked_where(host, is_dedicated, status):
    answer = ""
    try:
        hosts.check(ENDPOINT, host, is_dedicated=is_dedicated)
    except ApiError as refused:
        answer = refused.status
    assert answer == status


def test_dedicated_endpoint_by_its_host_only(own_server):
    own_server.extra = ["--dedicated-hosts"]
    server = own_server.start()
    dns = server.deployed("own-host").dedicated_endpoint_dns
    assert dns.endswith(f".prediction.localhost:{server.port}")
    refused = server.chat("own-host").json()["error"]
    assert (refused["status"], dns in refused["message"]) == ("FAILED_PRECONDITION", True)
    address = f"{server.url}/v1/{PARENT}/endpoints/own-host/chat/completions"
    assert httpx.post(address, json=BODY, headers={"host": dns}, trust_env=False).status_code == 200


def test_shared_endpoints_take_less(server):
    request = {"endpoint_user_id": "shared", "dedicated_endpoint_disabled": True}
    operation = server.deploy("shared", endpoint_config=request)
    server.garden.wait_operation({"name": operation})
    endpoint = server.endpoints.get_endpoint(name=f"{PARENT}/endpoints/shared")
    assert (endpoint.dedicated_endpoint_enabled, endpoint.dedicated_endpoint_dns) == (False, "")
    assert server.chat("shared").status_code == 200
    refused = server.chat("shared", "x" * hosts.SHARED_LIMIT)
    assert refused.json()["error"]["message"] == "Request payload size exceeds the limit: 1572864 bytes."

import shlex
import sys
import time
from datetime import timedelta

import httpx
import pytest
from google.api_core.exceptions import BadRequest, NotFound

from tests.jobs.localvertex.resources.endpoints.test_deploy import stage
from tests.jobs.localvertex.servers import PARENT


@pytest.fixture(scope="module")
def operation(shared_server):
    shared_server.deployed("operations")
    return next(line["operation"] for line in shared_server.ledger() if line["name"].endswith("/operations"))


@pytest.mark.parametrize(("prefix", "version"), [("ui", "v1beta1"), ("v1", "v1"), ("v1beta1", "v1beta1")])
def test_under_every_prefix(server, operation, prefix, version):
    reply = httpx.get(f"{server.url}/{prefix}/{operation}", trust_env=False).json()
    assert reply["done"] is True
    assert reply["response"]["@type"] == f"type.googleapis.com/google.cloud.aiplatform.{version}.DeployResponse"


def test_polling_prefix_follows_the_version_that_began_it(server):
    body = {"displayName": "Of v1"}
    name = httpx.post(f"{server.url}/v1/{PARENT}/endpoints", json=body, trust_env=False).json()["name"]
    reply = httpx.get(f"{server.url}/ui/{name}", trust_env=False).json()
    assert reply["response"]["@type"] == "type.googleapis.com/google.cloud.aiplatform.v1.Endpoint"
    assert reply["metadata"]["@type"].endswith("aiplatform.v1.CreateEndpointOperationMetadata")


def test_list_by_filter(server, operation):
    request = {"name": PARENT, "filter": "done=true", "page_size": 500}
    assert operation in [found.name for found in server.models.list_operations(request).operations]
    request["filter"] = "done=false"
    assert operation not in [found.name for found in server.models.list_operations(request).operations]


def test_other_calls_have_no_ui_prefix(server):
    assert httpx.get(f"{server.url}/ui/{PARENT}/endpoints", trust_env=False).status_code == 404


def test_wait_and_list_by_the_mixins(server, operation):
    assert server.models.wait_operation({"name": operation, "timeout": timedelta(seconds=1)}).done
    names = [found.name for found in server.models.list_operations({"name": PARENT}).operations]
    assert operation in names


def test_bad_wait(server, operation):
    reply = httpx.post(f"{server.url}/v1/{operation}:wait", json={"timeout": "soon"}, trust_env=False)
    assert reply.status_code == 400


def test_delete_needs_it_done(server):
    server.deployed("operation-gone")
    name = next(line["operation"] for line in server.ledger() if line["name"].endswith("/operation-gone"))
    server.garden.delete_operation({"name": name})
    with pytest.raises(NotFound):
        server.garden.get_operation({"name": name})


def test_cancelled_deployment_leaves_nothing(own_server):
    sleeper = shlex.join([sys.executable, "-c", "import time; time.sleep(60)"])
    own_server.options = ("--serving-command", sleeper)
    own_server.start()
    name = own_server.deploy("slow")
    with pytest.raises(BadRequest, match="being deployed"):
        own_server.endpoints.delete_endpoint(name=f"{PARENT}/endpoints/slow")
    began = time.monotonic()
    assert not own_server.garden.wait_operation({"name": name, "timeout": timedelta(seconds=0.3)}).done
    assert 0.3 <= time.monotonic() - began < 10
    own_server.garden.cancel_operation({"name": name})
    done = own_server.garden.wait_operation({"name": name})
    assert (done.error.code, done.error.message) == (1, "The deployment was cancelled.")
    assert stage(own_server, "slow") == "DEPLOYMENT_TERMINATED"
    with pytest.raises(NotFound):
        own_server.endpoints.get_endpoint(name=f"{PARENT}/endpoints/slow")


def test_unknown_paths_and_verbs(server):
    assert httpx.get(f"{server.url}/v1/nonsense", trust_env=False).json()["error"]["status"] == "NOT_FOUND"
    reply = httpx.put(f"{server.url}/v1beta1/{PARENT}/endpoints", trust_env=False)
    assert (reply.status_code, reply.json()["error"]["status"]) == (404, "NOT_FOUND")

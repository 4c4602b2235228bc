"""`agentplatform.Client(...).model_garden`: the surface that returns the operation instead of waiting for it."""

import pytest

from tests.jobs.localvertex.servers import PARENT, TINY, wait_for

agentplatform = pytest.importorskip("agentplatform")
pytestmark = pytest.mark.filterwarnings(
    "ignore:The Model Garden module is experimental", "ignore:Using .@model_validator. with mode:DeprecationWarning"
)


@pytest.fixture(scope="module")
def garden(server, token):
    from google.genai import types

    options = types.HttpOptions(base_url=server.url, api_version="v1beta1")
    client = agentplatform.Client(project="p1", location="us-central1", credentials=token, http_options=options)
    return client.model_garden


def finished(garden, name):
    def done():
        operation = garden.get_deploy_publisher_model_operation(operation_name=name)
        return operation if operation.done else None

    return wait_for(done)


def test_catalogue(garden):
    assert TINY in garden.list_deployable_models()
    assert "qwen/qwen3@qwen3-4b" in garden.list_models()
    options = garden.list_publisher_model_deploy_options(model=TINY)
    assert [option.machine_type for option in options] == ["g2-standard-12", "local-cpu"]


def test_deploy_publisher_model(garden, server):
    config = {"wait_for_completion": False, "endpoint_display_name": "By agentplatform", "machine_type": "local-cpu"}
    operation = garden.deploy_publisher_model(model=TINY, config=config)
    done = finished(garden, operation.name)
    assert done.error is None
    (endpoint,) = [e for e in server.endpoints.list_endpoints(parent=PARENT) if e.display_name == "By agentplatform"]
    assert endpoint.deployed_models[0].status.available_replica_count == 1


def test_deploy_custom_model(garden, final):
    operation = garden.deploy_custom_model(src=final, config={"wait_for_completion": False})
    assert finished(garden, operation.name).error is None
    assert "local-cpu" in str(garden.list_custom_model_deploy_options(src=final))


def test_refused(garden):
    from google.genai import errors

    with pytest.raises(errors.ClientError, match="no weights on this machine"):
        garden.deploy_publisher_model(model="qwen/qwen3@qwen3-4b", config={"wait_for_completion": False})
    with pytest.raises(errors.ClientError, match="empty or not there"):
        garden.deploy_custom_model(src="gs://garden-local/none", config={"wait_for_completion": False})

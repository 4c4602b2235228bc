"""Operations as Google ends them, where they differ from the local server's."""

import pytest

from jobs.vertex.sdk import Gateway
from jobs.vertex.values import RemoteError
from tests.support.misbehaving_server import answer, bad_server

NAME = "projects/1/locations/us-central1/operations/1"
ENDPOINT = "projects/1/locations/us-central1/endpoints/1"
TYPE = "type.googleapis.com/google.cloud.aiplatform.v1beta1."


def operation(settings, **body):
    with bad_server(answer(200, {"name": NAME} | body)) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        found = Gateway().deployment.get_operation(NAME)
    assert server.requests[0].path.startswith(f"/ui/{NAME}")
    return found


def test_an_error_has_its_word(settings):
    error = {"code": 9, "message": "Model server never became ready."}
    found = operation(settings, done=True, error=error)
    assert (found.done, found.error) == (True, RemoteError("FAILED_PRECONDITION", "Model server never became ready."))


def test_a_failure_that_only_the_metadata_tells(settings):
    failures = {"genericMetadata": {"partialFailures": [{"code": 8, "message": "Quota"}]}}
    found = operation(settings, done=True, metadata={"@type": f"{TYPE}DeployOperationMetadata"} | failures)
    assert found.error == RemoteError("RESOURCE_EXHAUSTED", "Quota")


def test_a_stage(settings):
    metadata = {"@type": f"{TYPE}DeployModelOperationMetadata", "deploymentStage": "PREPARING_MODEL"}
    found = operation(settings, metadata=metadata)
    assert (found.done, found.error, found.stage, found.response) == (False, None, "PREPARING_MODEL", {})


def test_a_response(settings):
    response = {"@type": f"{TYPE}DeployResponse", "endpoint": "projects/1/locations/us-central1/endpoints/2"}
    assert operation(settings, done=True, response=response).response == {"endpoint": response["endpoint"]}


def test_scaled_to_zero_is_asleep_and_starting_is_not(settings):
    def deployed(status, **resources):
        model = {"id": "1", "dedicatedResources": {"minReplicaCount": 1, **resources}, "status": status}
        with bad_server(answer(200, {"name": ENDPOINT, "deployedModels": [model]})) as server:
            settings.VERTEX_API_ENDPOINT = server.address
            (found,) = Gateway().deployment.get_endpoint(ENDPOINT).deployed_models
        return found.is_asleep, found.message

    by_rule = {"scaleToZeroSpec": {"idleScaledownPeriod": "900s"}}
    assert deployed({"availableReplicaCount": 0}, **by_rule) == (True, "")
    assert deployed({"availableReplicaCount": 0}) == (False, "")
    assert deployed({"availableReplicaCount": 1}, **by_rule) == (False, "")
    assert deployed({"message": "Starting."}, **by_rule) == (False, "Starting.")


@pytest.mark.parametrize(("told", "kept"), [(-1, 0), (2**31 - 1, 32_767)])
def test_no_number_of_replicas_is_less_than_nothing_or_more_than_a_column_holds(settings, told, kept):
    resources = {"minReplicaCount": told, "maxReplicaCount": told}
    model = {"id": "1", "dedicatedResources": resources, "status": {"availableReplicaCount": told}}
    with bad_server(answer(200, {"name": ENDPOINT, "deployedModels": [model]})) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        (found,) = Gateway().deployment.get_endpoint(ENDPOINT).deployed_models
    assert (found.available_replicas, found.min_replicas, found.max_replicas) == (kept, kept, kept)

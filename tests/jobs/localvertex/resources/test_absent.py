import httpx
import pytest

from tests.jobs.localvertex.servers import PARENT

STUDY = {
    "displayName": "H",
    "studySpec": {"metrics": [{"metricId": "loss", "goal": "MINIMIZE"}], "parameters": [{"parameterId": "rate"}]},
    "trialJobSpec": {"workerPoolSpecs": [{"replicaCount": 1}]},
    "maxTrialCount": 2,
    "parallelTrialCount": 1,
}
POOLS = {"resourcePools": [{"machineSpec": {"machineType": "n1-standard-4"}, "replicaCount": 1}]}


def refusal(server, path, body):
    reply = httpx.post(f"{server.url}/v1/{PARENT}/{path}", json=body, timeout=10, trust_env=False)
    error = reply.json()["error"]
    return reply.status_code, error["status"], error["message"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (STUDY, "FAILED_PRECONDITION", "chooses no trials"),
        ({**STUDY, "displayName": ""}, "INVALID_ARGUMENT", "display_name field is required"),
        ({**STUDY, "maxTrialCount": 0}, "INVALID_ARGUMENT", "max_trial_count must be at least 1"),
        ({key: STUDY[key] for key in STUDY if key != "studySpec"}, "INVALID_ARGUMENT", "study_spec field is required"),
    ],
)
def test_hyperparameter_tuning_is_refused(server, body, status, said):
    code, found, message = refusal(server, "hyperparameterTuningJobs", body)
    assert (code, found, said in message) == (400, status, True), message


@pytest.mark.parametrize(
    ("identifier", "body", "status", "said"),
    [
        ("one", POOLS, "FAILED_PRECONDITION", "makes no persistent resources"),
        ("One", POOLS, "INVALID_ARGUMENT", "persistent_resource_id must start"),
        ("one", {}, "INVALID_ARGUMENT", "resource_pools field is required"),
    ],
)
def test_persistent_resources_are_refused(server, identifier, body, status, said):
    code, found, message = refusal(server, f"persistentResources?persistentResourceId={identifier}", body)
    assert (code, found, said in message) == (400, status, True), message


@pytest.mark.parametrize("kind", ["hyperparameterTuningJobs", "persistentResources"])
def test_lists_are_empty(server, kind):
    where = f"{server.url}/v1/{PARENT}/{kind}"
    assert httpx.get(where, params={"pageSize": 100, "alt": "json"}, trust_env=False).json() == {}
    assert httpx.get(f"{where}/1", trust_env=False).json()["error"]["status"] == "NOT_FOUND"

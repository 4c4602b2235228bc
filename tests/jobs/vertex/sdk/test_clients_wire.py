"""What goes over the wire: one POST a create, whatever the other side does to it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from jobs.vertex.errors import NotSent, OutcomeUnknown, OverQuota, Refused, Unavailable
from jobs.vertex.sdk import Gateway
from jobs.vertex.values import DeploySpec, MachineSpec, TuningJobSpec
from tests.support.misbehaving_server import answer, bad_server, drop, error, hang, reset, truncate

TUNE = TuningJobSpec(
    base_model="google/gemma3@gemma-3-270m",
    display_name="My model",
    output_uri="gs://garden-local/out",
    training_dataset_uri="gs://garden-local/train.jsonl",
    validation_dataset_uri="",
    epochs=3,
    learning_rate=0.00002,
    tuning_mode="PEFT_ADAPTER",
    adapter_size=8,
    batch_size=None,
    export_last_checkpoint_only=True,
    labels={"app-key": "k"},
)
DEPLOY = DeploySpec(
    endpoint_user_id="endpoint-1",
    model_user_id="model-1",
    endpoint_display_name="My endpoint",
    model_display_name="My model",
    publisher_model="google/gemma3@gemma-3-270m",
    artifact_uri="",
    accept_eula=True,
    machine=MachineSpec("g2-standard-12", "NVIDIA_L4", 1),
    labels={"app-key": "k"},
)
CREATES: dict[str, Callable[[], Any]] = {
    "tune": lambda: Gateway().tuning.create(TUNE),
    "deploy": lambda: Gateway().deployment.deploy(DEPLOY),
}
UNCLEAR = {
    "dropped": drop,
    "reset": reset,
    "truncated": truncate,
    "hang": hang,
    "500": error(500, "INTERNAL"),
    "502 of a proxy": answer(502, b"<html>Bad gateway</html>"),
    "503": error(503, "UNAVAILABLE"),
    "504": error(504, "DEADLINE_EXCEEDED"),
    "408": answer(408, b""),
    "not JSON": answer(200, b"<html>"),
    "another JSON": answer(200, b"[1]"),
    "no name": answer(200, {}),
    "redirect": answer(307, b"", "Location: /elsewhere"),
}


@pytest.fixture(autouse=True)
def _short_deadline(settings):
    settings.VERTEX_CREATE_SECONDS = settings.VERTEX_READ_SECONDS = 1.0


@pytest.mark.parametrize("create", CREATES)
@pytest.mark.parametrize("behaviour", UNCLEAR)
def test_an_unclear_create_is_sent_once(settings, create, behaviour):
    with bad_server(UNCLEAR[behaviour]) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        with pytest.raises(OutcomeUnknown):
            CREATES[create]()
    assert len(server.requests) == 1


@pytest.mark.parametrize("create", CREATES)
def test_a_refused_connection_was_not_sent(settings, create):
    with bad_server(drop) as server:
        settings.VERTEX_API_ENDPOINT = server.address
    with pytest.raises(NotSent):
        CREATES[create]()


def test_a_read_of_a_refused_connection_is_unavailable_even_after_a_create_failed(settings):
    with bad_server(drop) as server:
        settings.VERTEX_API_ENDPOINT = server.address
    try:
        CREATES["tune"]()
    except NotSent:
        with pytest.raises(Unavailable):
            Gateway().tuning.get("projects/p/locations/us-central1/tuningJobs/1")


def test_an_older_error_does_not_make_a_lost_create_look_unsent(settings):
    with bad_server(drop) as gone:
        settings.VERTEX_API_ENDPOINT = gone.address
    with bad_server(drop) as server:
        try:
            CREATES["tune"]()
        except NotSent:
            settings.VERTEX_API_ENDPOINT = server.address
            with pytest.raises(OutcomeUnknown):
                CREATES["tune"]()


@pytest.mark.parametrize(
    ("status", "word", "kind"),
    [
        (400, "INVALID_ARGUMENT", Refused),
        (412, "FAILED_PRECONDITION", Refused),
        (429, "RESOURCE_EXHAUSTED", OverQuota),
        (501, "UNIMPLEMENTED", Refused),
    ],
)
def test_a_definite_answer_to_a_create(settings, status, word, kind):
    with bad_server(error(status, word)) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        with pytest.raises(kind) as caught:
            CREATES["tune"]()
    assert (type(caught.value), caught.value.code, len(server.requests)) == (kind, word, 1)


@pytest.mark.parametrize("behaviour", [drop, truncate, hang, error(503, "UNAVAILABLE"), answer(200, b"<html>")])
def test_a_read_is_not_repeated_either(settings, behaviour):
    with bad_server(behaviour) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        with pytest.raises(Unavailable):
            Gateway().tuning.get("projects/p/locations/us-central1/tuningJobs/1")
    assert len(server.requests) == 1


def test_what_a_tuning_job_is_asked_with(settings):
    name = "projects/garden-local/locations/us-central1/tuningJobs/1"
    with bad_server(answer(200, {"name": name, "state": "JOB_STATE_PENDING"})) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        job = CREATES["tune"]()
    assert (job.name, job.state) == (name, "PENDING")
    assert server.posts() == ["/v1beta1/projects/garden-local/locations/us-central1/tuningJobs"]
    assert server.requests[0].headers["connection"] == "close"
    assert "authorization" not in server.requests[0].headers
    assert server.requests[0].json() == {
        "baseModel": "google/gemma3@gemma-3-270m",
        "tunedModelDisplayName": "My model",
        "outputUri": "gs://garden-local/out",
        "labels": {"app-key": "k"},
        "supervisedTuningSpec": {
            "trainingDatasetUri": "gs://garden-local/train.jsonl",
            "hyperParameters": {"epochCount": "3", "learningRate": 2e-05, "adapterSize": 3},
            "tuningMode": 2,
            "exportLastCheckpointOnly": True,
        },
    }


def test_what_a_deployment_is_asked_with(settings):
    name = "projects/garden-local/locations/us-central1/operations/1"
    with bad_server(answer(200, {"name": name})) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        assert CREATES["deploy"]() == name
    assert server.posts() == ["/v1beta1/projects/garden-local/locations/us-central1:deploy"]
    assert server.requests[0].json() == {
        "publisherModelName": "publishers/google/models/gemma3@gemma-3-270m",
        "modelConfig": {"acceptEula": True, "modelDisplayName": "My model", "modelUserId": "model-1"},
        "endpointConfig": {"endpointDisplayName": "My endpoint", "endpointUserId": "endpoint-1"},
        "deployConfig": {
            "dedicatedResources": {
                "machineSpec": {"machineType": "g2-standard-12", "acceleratorType": 11, "acceleratorCount": 1},
                "minReplicaCount": 1,
                "maxReplicaCount": 1,
            },
            "systemLabels": {"app-key": "k"},
        },
    }


def test_what_a_deployment_with_options_is_asked_with(settings):
    chosen = replace(DEPLOY, min_replicas=2, max_replicas=3, spot=True, shared_address=True)
    with bad_server(answer(200, {"name": "projects/p/locations/us-central1/operations/1"})) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        Gateway().deployment.deploy(chosen)
    body = server.requests[0].json()
    resources = body["deployConfig"]["dedicatedResources"]
    assert {name: resources[name] for name in ("minReplicaCount", "maxReplicaCount", "spot")} == {
        "minReplicaCount": 2, "maxReplicaCount": 3, "spot": True,
    }  # fmt: skip
    assert body["endpointConfig"]["dedicatedEndpointDisabled"] is True


def test_a_wrong_adapter_size_is_refused_before_anything_is_sent(settings):
    with bad_server(drop) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        with pytest.raises(Refused):
            Gateway().tuning.create(replace(TUNE, adapter_size=3))
    assert server.requests == []

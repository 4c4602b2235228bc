import json
from collections import Counter

import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound
from google.cloud import aiplatform_v1beta1 as vertex
from google.protobuf import field_mask_pb2

from tests.jobs.localvertex.resources.endpoints.test_endpoints import create
from tests.jobs.localvertex.servers import PARENT, wait_for
from tests.jobs.localvertex.serving.test_chat import seen

LOCAL = {"machine_spec": {"machine_type": "local-cpu"}, "min_replica_count": 1}


@pytest.fixture(scope="module")
def model(shared_server) -> str:
    """A model of the registry, left there by a deployment."""
    shared_server.deployed("origin")
    return f"{PARENT}/models/m-origin"


def deploy(server, endpoint, model, split=None, **fields):
    deployed = vertex.DeployedModel(**{"model": model, "dedicated_resources": LOCAL, **fields})
    operation = server.endpoints.deploy_model(
        endpoint=f"{PARENT}/endpoints/{endpoint}", deployed_model=deployed, traffic_split=split or {}
    )
    return operation.result(timeout=30).deployed_model


def test_second_model_shares_the_traffic(server, model):
    create(server, "two")
    first = deploy(server, "two", model, {"0": 100}, id="11")
    second = deploy(server, "two", model, {"0": 30, "11": 70}, display_name="Second")
    endpoint = server.endpoints.get_endpoint(name=f"{PARENT}/endpoints/two")
    assert [one.id for one in endpoint.deployed_models] == [first.id, second.id] == ["11", second.id]
    assert dict(endpoint.traffic_split) == {"11": 70, second.id: 30}
    assert [one.status.available_replica_count for one in endpoint.deployed_models] == [1, 1]
    assert server.chat("two").status_code == 200
    references = server.models.get_model(name=model).deployed_models
    assert {one.deployed_model_id for one in references if one.endpoint == endpoint.name} == {"11", second.id}


def test_chats_are_shared_as_the_split_says(server, model):
    create(server, "split")
    deploy(server, "split", model, {"0": 100}, id="21")
    deploy(server, "split", model, {"0": 30, "21": 70}, id="22")
    deploy(server, "split", model, {"0": 0, "21": 70, "22": 30}, id="23")
    shares = answered_by(server, "split", 100)
    assert set(shares) == {"21", "22"}
    assert 45 <= shares["21"] <= 92  # 70 but for chance: outside less than once in 100,000 times
    mask = field_mask_pb2.FieldMask(paths=["traffic_split"])
    endpoint = vertex.Endpoint(name=f"{PARENT}/endpoints/split", traffic_split={"23": 100})
    server.endpoints.update_endpoint(endpoint=endpoint, update_mask=mask)
    assert answered_by(server, "split", 10) == {"23": 10}


def answered_by(server, endpoint, chats) -> Counter:
    before = len(seen(server))
    assert [server.chat(endpoint).status_code for _ in range(chats)] == [200] * chats
    return Counter(line["deployed_model"] for line in seen(server)[before:])


def test_undeploy_gives_the_traffic_to_others(server, model):
    create(server, "shrinks")
    deploy(server, "shrinks", model, {"0": 100}, id="1")
    deploy(server, "shrinks", model, {"0": 50, "1": 50}, id="2")
    undeploy = {"endpoint": f"{PARENT}/endpoints/shrinks", "deployed_model_id": "1"}
    with pytest.raises(BadRequest, match="has 50% of the traffic"):
        server.endpoints.undeploy_model(**undeploy)
    with pytest.raises(BadRequest, match="must add up to 100, not to 90"):
        server.endpoints.undeploy_model(**undeploy, traffic_split={"2": 90})
    server.endpoints.undeploy_model(**undeploy, traffic_split={"2": 100}).result(timeout=10)
    left = server.endpoints.get_endpoint(name=undeploy["endpoint"])
    assert ([one.id for one in left.deployed_models], dict(left.traffic_split)) == (["2"], {"2": 100})
    assert server.chat("shrinks").status_code == 200


def test_without_traffic_nothing_answers(server, model):
    create(server, "silent")
    deploy(server, "silent", model)
    assert "sends no traffic" in server.chat("silent").json()["error"]["message"]


def test_traffic_is_patched(server, model):
    create(server, "patched-traffic")
    deploy(server, "patched-traffic", model, id="5")
    mask = field_mask_pb2.FieldMask(paths=["traffic_split"])
    endpoint = vertex.Endpoint(name=f"{PARENT}/endpoints/patched-traffic", traffic_split={"5": 100})
    assert dict(server.endpoints.update_endpoint(endpoint=endpoint, update_mask=mask).traffic_split) == {"5": 100}
    endpoint.traffic_split = {"6": 100}
    with pytest.raises(BadRequest, match="'6', which is not there"):
        server.endpoints.update_endpoint(endpoint=endpoint, update_mask=mask)


@pytest.mark.parametrize(
    ("split", "fields", "message"),
    [
        ({"0": 60}, {}, "must add up to 100"),
        ({"0": 50, "9": 50}, {}, "'9', which is not there"),
        ({}, {"id": "seven"}, "must be 1 to 10 digits"),
        ({}, {"dedicated_resources": {"machine_spec": {"machine_type": "g2-standrad-12"}}}, "is not supported"),
        ({}, {"dedicated_resources": {**LOCAL, "max_replica_count": -1}}, "min_replica_count"),
        (
            {},
            {"dedicated_resources": {"machine_spec": {"machine_type": "local-cpu", "accelerator_count": 1}}},
            "no accelerators",
        ),
    ],
)
def test_refused_at_once(server, model, split, fields, message):
    server.endpoints.get_endpoint(name=f"{PARENT}/endpoints/origin")
    with pytest.raises(BadRequest, match=message):
        deploy(server, "origin", model, split, **fields)


def test_needs_resources(server, model):
    endpoint = f"{PARENT}/endpoints/origin"
    with pytest.raises(BadRequest, match="model field is required"):
        deploy(server, "origin", "")
    with pytest.raises(BadRequest, match="dedicated_resources is required"):
        server.endpoints.deploy_model(endpoint=endpoint, deployed_model=vertex.DeployedModel(model=model))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("m-origin", "'m-origin' is not the name of a model"),
        ("projects/p1/locations/europe-west4/models/m-origin", "is not in the location of"),
    ],
)
def test_names_of_models(server, model, name, message):
    with pytest.raises(BadRequest, match=message):
        deploy(server, "origin", name)


@pytest.fixture(scope="module")
def tuned(shared_server) -> str:
    """A model with checkpoints 1 and 2 that are whole models."""
    job = shared_server.job()
    job.supervised_tuning_spec.tuning_mode = vertex.SupervisedTuningSpec.TuningMode.TUNING_MODE_FULL
    job.supervised_tuning_spec.hyper_parameters.adapter_size = 0
    done = shared_server.until(shared_server.create(job).name, "SUCCEEDED")
    return done.tuned_model.model.partition("@")[0]


@pytest.mark.parametrize(("checkpoint", "folder"), [("1", "checkpoint-4"), ("2", "final"), ("", "final")])
def test_the_checkpoint_that_was_asked_for_is_served(server, tuned, checkpoint, folder):
    name = f"checkpoint-{checkpoint or 'none'}"
    create(server, name)
    uri = server.models.get_model(name=tuned).artifact_uri.replace("/final", f"/{folder}")
    server.upload(f"{uri.removeprefix('gs://garden-local/')}/config.json", json.dumps({"of": folder}))
    deployed = deploy(server, name, tuned, {"0": 100}, checkpoint_id=checkpoint)
    assert deployed.checkpoint_id == checkpoint
    (gguf,) = (server.data / "endpoints" / name).glob("*/model.gguf")
    assert gguf.read_bytes() == f"converted from {folder}".encode()


def test_no_such_checkpoint(server, tuned, model):
    with pytest.raises(BadRequest, match=r"has no checkpoint '3'\. It has: 1, 2\."):
        deploy(server, "origin", tuned, checkpoint_id="3")
    with pytest.raises(BadRequest, match=r"has no checkpoint '1'\. It has: none\."):
        deploy(server, "origin", model, checkpoint_id="1")


def test_ids_are_taken_once(server, model):
    create(server, "taken")
    deploy(server, "taken", model, id="3")
    with pytest.raises(Conflict, match="DeployedModel 3"):
        deploy(server, "taken", model, id="3")


def test_what_is_not_there(server, model):
    with pytest.raises(NotFound):
        deploy(server, "nowhere", model)
    with pytest.raises(NotFound):
        deploy(server, "origin", f"{PARENT}/models/none")


def test_mutate_replicas(server, model):
    create(server, "mutable")
    deploy(server, "mutable", model, id="8")
    wanted = vertex.DeployedModel(id="8", dedicated_resources={"min_replica_count": 2, "max_replica_count": 4})
    mask = field_mask_pb2.FieldMask(paths=["dedicated_resources.max_replica_count"])
    request = {"endpoint": f"{PARENT}/endpoints/mutable", "deployed_model": wanted}
    done = server.endpoints.mutate_deployed_model(**request, update_mask=mask).result(timeout=10)
    resources = done.deployed_model.dedicated_resources
    assert (resources.min_replica_count, resources.max_replica_count) == (1, 4)
    with pytest.raises(BadRequest, match="deployed_model.id field is required"):
        server.endpoints.mutate_deployed_model(endpoint=request["endpoint"], deployed_model={}, update_mask=mask)
    mask.paths[:] = ["display_name"]
    with pytest.raises(BadRequest, match="cannot be updated"):
        server.endpoints.mutate_deployed_model(**request, update_mask=mask)


def test_mutate_keeps_what_cannot_change(server, model):
    create(server, "immutable")
    deploy(server, "immutable", model, id="9")
    request = vertex.MutateDeployedModelRequest(endpoint=f"{PARENT}/endpoints/immutable")
    request.deployed_model = vertex.DeployedModel(id="9", enable_container_logging=True, dedicated_resources=LOCAL)
    request.deployed_model.dedicated_resources.required_replica_count = 1
    request.update_mask = {"paths": ["dedicated_resources", "enable_container_logging"]}
    changed = server.endpoints.mutate_deployed_model(request).result(timeout=10).deployed_model
    assert (changed.enable_container_logging, changed.dedicated_resources.required_replica_count) == (True, 1)
    request.deployed_model.dedicated_resources.machine_spec.machine_type = "g2-standard-12"
    with pytest.raises(BadRequest, match=r"dedicated_resources\.machine_spec cannot be updated"):
        server.endpoints.mutate_deployed_model(request)


def test_options_are_kept_and_what_cannot_be_done_is_refused(server, model):
    create(server, "options")
    scaling = {"scale_to_zero_spec": {"min_scaleup_period": {"seconds": 300}}}
    deploy(server, "options", model, service_account="a@b", dedicated_resources=LOCAL | scaling)
    (deployed,) = server.endpoints.get_endpoint(name=f"{PARENT}/endpoints/options").deployed_models
    kept = deployed.dedicated_resources.scale_to_zero_spec.min_scaleup_period
    assert (deployed.service_account, kept.total_seconds()) == ("a@b", 300)
    with pytest.raises(BadRequest, match="undeploy that one when the new one answers"):
        deploy(server, "options", model, rollout_options={"previous_deployed_model": deployed.id})


def test_served_again_after_a_restart(own_server):
    server = own_server.start()
    server.deployed("origin")
    create(server, "again")
    deploy(server, "again", f"{PARENT}/models/m-origin", {"0": 100}, id="4")
    server.stop()
    server.start()
    wait_for(lambda: server.chat("again").status_code == 200, server.log)


def test_failed_deployment_leaves_the_endpoint(own_server):
    server = own_server.start()
    server.deployed("origin")
    create(server, "survives")
    server.stop()
    server.options = (*server.options[:2], "--serving-command", "false")
    server.start()
    with pytest.raises(Exception, match="Model server exited unexpectedly"):
        deploy(server, "survives", f"{PARENT}/models/m-origin")
    endpoint = server.endpoints.get_endpoint(name=f"{PARENT}/endpoints/survives")
    assert list(endpoint.deployed_models) == []
    (line,) = [line for line in server.ledger() if line["method"] == "deploy_model"]
    assert line["name"] == endpoint.name

"""Several models on one endpoint, by the fake and by the local server: both refuse and allow the same."""

from uuid import uuid4

import pytest

from jobs.vertex.errors import AlreadyExists, NotFound, Refused
from jobs.vertex.values import ChatRequest, DeployToExistingSpec, MachineSpec
from tests.fakes import PARENT, TINY


@pytest.fixture(scope="module")
def endpoint(world):
    """With a base model that has all the traffic."""
    spec = world.deploy_spec()
    assert world.finished(world.gateway.deployment.deploy(spec)).error is None
    return world.gateway.deployment.endpoint_name(spec.endpoint_user_id)


def onto(endpoint, **values):
    key = uuid4()
    defaults = {
        "endpoint": endpoint,
        "deployed_model_id": str(10**9 + key.int % (9 * 10**9)),
        "model_user_id": f"garden-{key.hex}",
        "display_name": "Second",
        "publisher_model": TINY,
        "artifact_uri": "",
        "machine": None,
        "labels": {"app-key": key.hex},
    }
    return DeployToExistingSpec(**defaults | values)


def put_on(world, spec, split):
    deployment = world.gateway.deployment
    assert world.finished(deployment.upload_model(spec)).error is None
    assert world.finished(deployment.deploy_to_existing(spec, split)).error is None


def own_id(world, endpoint):
    return world.gateway.deployment.get_endpoint(endpoint).deployed_models[0].id


def test_a_further_model_is_deployed_shares_are_changed_and_it_goes(world, endpoint):
    deployment, first, spec = world.gateway.deployment, own_id(world, endpoint), onto(endpoint)
    put_on(world, spec, {"0": 20, first: 80})
    found = deployment.get_endpoint(endpoint)
    assert found.traffic_split == {first: 80, spec.deployed_model_id: 20}
    second = next(model for model in found.deployed_models if model.id == spec.deployed_model_id)
    assert (second.display_name, second.available_replicas, second.model) == (
        "Second", 1, deployment.model_name(spec.model_user_id),
    )  # fmt: skip
    for _twice in range(2):
        deployment.share_traffic(endpoint, {first: 5, second.id: 95})
    assert deployment.get_endpoint(endpoint).traffic_split == {first: 5, second.id: 95}
    with pytest.raises(Refused):
        deployment.undeploy(endpoint, second.id, {})
    world.finished(deployment.undeploy(endpoint, second.id, {first: 100}))
    found = deployment.get_endpoint(endpoint)
    assert ([model.id for model in found.deployed_models], found.traffic_split) == ([first], {first: 100})
    world.finished(deployment.delete_model(second.model))


def test_without_traffic_it_needs_no_split(world, endpoint):
    deployment, first, spec = world.gateway.deployment, own_id(world, endpoint), onto(endpoint)
    put_on(world, spec, {"0": 0, first: 100})
    world.finished(deployment.undeploy(endpoint, spec.deployed_model_id, {}))
    assert deployment.get_endpoint(endpoint).traffic_split == {first: 100}


def test_the_machine_is_taken_that_is_asked_for(world, endpoint):
    first, spec = own_id(world, endpoint), onto(endpoint, machine=MachineSpec("local-cpu"), max_replicas=2)
    put_on(world, spec, {"0": 0, first: 100})
    found = world.gateway.deployment.get_endpoint(endpoint).deployed_models
    second = next(model for model in found if model.id == spec.deployed_model_id)
    assert (second.machine.machine_type, second.min_replicas, second.max_replicas) == ("local-cpu", 1, 2)
    world.finished(world.gateway.deployment.undeploy(endpoint, second.id, {}))


def test_a_tuned_model_is_put_beside_its_base(world, endpoint, tuned):
    first = own_id(world, endpoint)
    folder = f"{tuned[0].output_uri}/postprocess/node-0/checkpoints/final"
    spec = onto(endpoint, publisher_model="", artifact_uri=folder, display_name="Tuned")
    put_on(world, spec, {"0": 50, first: 50})
    assert world.gateway.deployment.get_endpoint(endpoint).traffic_split == {first: 50, spec.deployed_model_id: 50}
    world.finished(world.gateway.deployment.undeploy(endpoint, spec.deployed_model_id, {first: 100}))


def test_ids_are_taken_once(world, endpoint):
    deployment, first, spec = world.gateway.deployment, own_id(world, endpoint), onto(endpoint)
    put_on(world, spec, {"0": 0, first: 100})
    with pytest.raises(AlreadyExists):
        deployment.upload_model(spec)
    with pytest.raises(AlreadyExists):
        deployment.deploy_to_existing(spec, {"0": 0, first: 100})
    world.finished(deployment.undeploy(endpoint, spec.deployed_model_id, {}))


@pytest.mark.parametrize("split", [{"x": 100}, {"0": 50}, {"0": 101}])
def test_a_split_that_does_not_fit_is_refused(world, endpoint, split):
    deployment, spec = world.gateway.deployment, onto(endpoint)
    world.finished(deployment.upload_model(spec))
    with pytest.raises(Refused):
        deployment.deploy_to_existing(spec, split)
    with pytest.raises(Refused):
        deployment.share_traffic(endpoint, split)


def test_what_is_not_there(world, endpoint):
    nothing, deployment = f"{PARENT}/endpoints/nothing", world.gateway.deployment
    with pytest.raises(NotFound):
        deployment.share_traffic(nothing, {"1": 100})
    with pytest.raises(NotFound):
        deployment.deploy_to_existing(onto(endpoint), {"0": 0, own_id(world, endpoint): 100})
    with pytest.raises(Refused):
        deployment.upload_model(onto(endpoint, publisher_model="", artifact_uri="gs://garden-local/nothing-here"))


def test_the_server_tells_which_model_answers(world, endpoint):
    if world.name == "fake":
        pytest.skip("The fake tells what a test scripts.")
    deployment, first, spec = world.gateway.deployment, own_id(world, endpoint), onto(endpoint)
    put_on(world, spec, {"0": 0, first: 100})

    def answered_by():
        dns = deployment.get_endpoint(endpoint).dedicated_dns
        request = ChatRequest(endpoint, dns, [{"role": "user", "content": "Ahoy?"}], {"max_tokens": 4})
        with world.gateway.chat.stream(request) as chunks:
            told = [chunk.deployed_model_id for chunk in chunks]
        return [one for one in told if one]

    assert answered_by() == [first]
    deployment.share_traffic(endpoint, {first: 0, spec.deployed_model_id: 100})
    assert answered_by() == [spec.deployed_model_id]
    world.finished(deployment.undeploy(endpoint, spec.deployed_model_id, {first: 100}))

import pytest

from jobs.vertex.errors import AlreadyExists, NotFound, Refused
from jobs.vertex.values import MachineSpec
from tests.fakes import PARENT, STAGES


@pytest.fixture
def endpoint(world, served):
    return world.gateway.deployment.get_endpoint(world.gateway.deployment.endpoint_name(served.endpoint_user_id))


def test_a_base_model_is_deployed_and_removed_again(world):
    deployment, spec = world.gateway.deployment, world.deploy_spec()
    name, model = deployment.endpoint_name(spec.endpoint_user_id), deployment.model_name(spec.model_user_id)
    operation = world.finished(deployment.deploy(spec))
    assert (operation.error, operation.response["endpoint"], operation.response["model"]) == (None, name, f"{model}@1")
    with pytest.raises(Refused):
        deployment.delete_endpoint(name)
    world.finished(deployment.undeploy(name, deployment.get_endpoint(name).deployed_models[0].id, {}))
    assert deployment.get_endpoint(name).deployed_models == ()
    world.finished(deployment.delete_endpoint(name))
    world.finished(deployment.delete_model(model))
    with pytest.raises(NotFound):
        deployment.get_endpoint(name)
    with pytest.raises(NotFound):
        deployment.delete_model(model)


def test_the_endpoint_of_a_tuned_model(world, served, endpoint):
    assert endpoint.name == f"{PARENT}/endpoints/{served.endpoint_user_id}"
    assert endpoint.display_name == "Tiny endpoint"
    assert endpoint.labels == {**endpoint.labels, **served.labels}
    assert endpoint.dedicated_dns
    deployed = endpoint.deployed_models[0]
    assert (deployed.model, deployed.available_replicas) == (
        world.gateway.deployment.model_name(served.model_user_id),
        1,
    )


def test_a_deployment_is_found_by_its_endpoint(world, endpoint):
    operation = world.gateway.deployment.find_deployment(endpoint.name)
    assert (operation.done, operation.error, operation.stage) == (True, None, STAGES[-1])


def test_an_endpoint_id_is_taken_once(world, served):
    with pytest.raises(AlreadyExists):
        world.gateway.deployment.deploy(world.deploy_spec(endpoint_user_id=served.endpoint_user_id))


def test_a_folder_without_a_model_ends_in_an_error(world):
    """Found at once or by the operation: both say so."""
    spec = world.deploy_spec(publisher_model="", artifact_uri="gs://garden-local/nothing-here")
    try:
        error = world.finished(world.gateway.deployment.deploy(spec)).error
    except Refused as refused:
        error = refused
    assert error is not None
    assert error.code in {"INVALID_ARGUMENT", "FAILED_PRECONDITION", "NOT_FOUND"}


def test_what_is_not_there(world):
    deployment, nothing = world.gateway.deployment, f"{PARENT}/endpoints/nothing"
    for call in (deployment.get_endpoint, deployment.delete_endpoint):
        with pytest.raises(NotFound):
            call(nothing)
    with pytest.raises(NotFound):
        deployment.get_operation(f"{PARENT}/operations/999999")
    with pytest.raises(NotFound):
        deployment.undeploy(nothing, "1", {})
    assert deployment.find_deployment(nothing) is None


def test_a_deployed_model_that_is_not_there(world, endpoint):
    with pytest.raises(NotFound):
        world.gateway.deployment.undeploy(endpoint.name, "999999", {})


def test_replicas_are_chosen_and_changed(world):
    deployment = world.gateway.deployment
    spec = world.deploy_spec(machine=MachineSpec("local-cpu"), min_replicas=1, max_replicas=2)
    name = deployment.endpoint_name(spec.endpoint_user_id)
    world.finished(deployment.deploy(spec))
    model = deployment.get_endpoint(name).deployed_models[0]
    assert (model.min_replicas, model.max_replicas) == (1, 2)
    for _twice in range(2):
        assert world.finished(deployment.scale(name, model.id, 2, 4)).error is None
    model = deployment.get_endpoint(name).deployed_models[0]
    assert (model.min_replicas, model.max_replicas) == (2, 4)
    with pytest.raises(Refused):
        deployment.scale(name, model.id, 3, 2)
    with pytest.raises(NotFound):
        deployment.scale(name, "999999", 1, 1)

"""What a deployment is asked for beside its machine, and in which region: read back as it was sent."""

from dataclasses import replace
from uuid import uuid4

import pytest

from jobs.services.endpoints.serving.spec import METRICS
from jobs.vertex.errors import NotFound, Refused
from jobs.vertex.values import DeployToExistingSpec, MachineSpec, ServingOptions
from tests.fakes import TINY

MACHINE = MachineSpec("g2-standard-12", "NVIDIA_L4", 1)
RESERVATIONS = ("projects/p/zones/europe-west4-a/reservations/one", "projects/p/zones/europe-west4-b/reservations/two")
# name → what is asked for; the first are together on the deployments of two regions, the others on one of their own.
NEW = {
    "us-west1": ServingOptions(
        idle_seconds=900, autoscaling={METRICS["gpu"]: 70, METRICS["requests"]: 120}, labels={"team": "support"}
    ),
    "europe-west4": ServingOptions(reservation="SPECIFIC_RESERVATION", reservations=RESERVATIONS),
}


OURS = ("app-key", "localvertex-runs-on")


def without_ours(options):
    return replace(options, labels={name: value for name, value in options.labels.items() if name not in OURS})


def only_model(world, endpoint):
    (found,) = world.gateway.deployment.get_endpoint(endpoint).deployed_models
    return found


@pytest.mark.parametrize("region", NEW)
def test_an_endpoint_of_a_region_has_what_was_asked_for(world, region):
    deployment, asked = world.gateway.deployment, NEW[region]
    low = 0 if asked.idle_seconds else 1
    spec = world.deploy_spec(machine=MACHINE, location=region, min_replicas=low, max_replicas=2, options=asked)
    name = deployment.endpoint_name(spec.endpoint_user_id, region)
    operation = deployment.deploy(spec)
    assert f"/locations/{region}/" in operation
    assert world.finished(operation).response["endpoint"] == name
    found = only_model(world, name)
    assert (without_ours(found.options), found.min_replicas, found.max_replicas) == (asked, low, 2)
    assert found.model == deployment.model_name(spec.model_user_id, region)
    with pytest.raises(NotFound):
        deployment.get_endpoint(deployment.endpoint_name(spec.endpoint_user_id))
    assert deployment.find_deployment(name).done
    assert world.finished(deployment.undeploy(name, found.id, {})).error is None
    assert world.finished(deployment.delete_endpoint(name)).error is None
    assert world.finished(deployment.delete_model(found.model)).error is None


def test_flex_start_is_kept(world):
    asked = ServingOptions(flex_start_seconds=7200)
    spec = world.deploy_spec(machine=MACHINE, options=asked)
    assert world.finished(world.gateway.deployment.deploy(spec)).error is None
    found = only_model(world, world.gateway.deployment.endpoint_name(spec.endpoint_user_id))
    assert without_ours(found.options) == asked


def test_a_model_beside_others_in_their_region(world):
    deployment, region = world.gateway.deployment, "asia-southeast1"
    first = world.deploy_spec(location=region)
    assert world.finished(deployment.deploy(first)).error is None
    endpoint, key = deployment.endpoint_name(first.endpoint_user_id, region), uuid4()
    there = only_model(world, endpoint)
    asked = ServingOptions(
        service_account="serving@garden-local.iam.gserviceaccount.com", reservation="ANY_RESERVATION",
        autoscaling={METRICS["cpu"]: 40}, labels={"team": "support"},
    )  # fmt: skip
    spec = DeployToExistingSpec(
        endpoint, str(10**9 + key.int % 10**9), f"garden-{key.hex}", "Second", TINY, "", MACHINE,
        {"app-key": key.hex}, options=asked,
    )  # fmt: skip
    assert world.finished(deployment.upload_model(spec)).error is None
    assert world.finished(deployment.deploy_to_existing(spec, {"0": 20, there.id: 80})).error is None
    second = next(one for one in deployment.get_endpoint(endpoint).deployed_models if one.id == spec.deployed_model_id)
    assert without_ours(second.options) == asked
    assert second.model == deployment.model_name(spec.model_user_id, region)


def test_one_that_scales_to_zero_is_scaled_to_none_again(world):
    deployment = world.gateway.deployment
    spec = world.deploy_spec(machine=MACHINE, min_replicas=0, options=ServingOptions(idle_seconds=600))
    assert world.finished(deployment.deploy(spec)).error is None
    name = deployment.endpoint_name(spec.endpoint_user_id)
    for low in (1, 0):
        model = only_model(world, name)
        assert world.finished(deployment.scale(name, model.id, low, 2)).error is None
        model = only_model(world, name)
        assert (model.min_replicas, model.max_replicas) == (low, 2)


def test_nothing_is_deployed_in_a_location_that_is_no_region(world):
    with pytest.raises(Refused, match="name a region"):
        world.gateway.deployment.deploy(world.deploy_spec(location="global"))

"""What a caller is told, and what is there then, when a call goes wrong on the way."""

import pytest

from jobs.vertex.errors import AlreadyExists, NotFound, OutcomeUnknown, OverQuota, Unavailable

UNCLEAR = [("drop_before", 0), ("drop_after", 1), ("half_answer", 1)]


def made(world, spec):
    jobs = world.gateway.tuning.find("app-key", spec.labels["app-key"])
    for job in jobs:
        world.gateway.tuning.cancel(job.name)
    return len(jobs)


@pytest.mark.parametrize(("mode", "jobs"), UNCLEAR)
def test_a_lost_tuning_job_is_found_if_it_was_made(world, mode, jobs):
    spec = world.spec()
    world.fault("tuning.create", mode)
    with pytest.raises(OutcomeUnknown):
        world.gateway.tuning.create(spec)
    assert made(world, spec) == jobs


def test_a_quota_makes_nothing(world):
    spec = world.spec()
    world.fault("tuning.create", "over_quota")
    with pytest.raises(OverQuota):
        world.gateway.tuning.create(spec)
    assert made(world, spec) == 0


@pytest.mark.parametrize("mode", ["drop_after", "half_answer"])
def test_a_lost_deployment_is_found_by_its_endpoint(world, mode):
    deployment, spec = world.gateway.deployment, world.deploy_spec()
    name = deployment.endpoint_name(spec.endpoint_user_id)
    world.fault("deployment.deploy", mode)
    with pytest.raises(OutcomeUnknown):
        deployment.deploy(spec)
    assert deployment.get_endpoint(name).name == name
    assert deployment.find_deployment(name) is not None
    with pytest.raises(AlreadyExists):
        deployment.deploy(spec)


def test_a_deployment_that_never_arrived_is_not_there(world):
    deployment, spec = world.gateway.deployment, world.deploy_spec()
    world.fault("deployment.deploy", "drop_before")
    with pytest.raises(OutcomeUnknown):
        deployment.deploy(spec)
    with pytest.raises(NotFound):
        deployment.get_endpoint(deployment.endpoint_name(spec.endpoint_user_id))


@pytest.mark.parametrize("mode", ["drop_before", "unavailable"])
def test_a_failing_list_is_no_answer(world, mode):
    world.fault("tuning.find", mode)
    with pytest.raises(Unavailable):
        world.gateway.tuning.find("app-key", "k")


@pytest.mark.parametrize("mode", ["drop_after", "half_answer"])
def test_a_failing_read_may_be_tried_again(world, tuned, mode):
    name = tuned[1][-1].name
    world.fault("tuning.get", mode)
    with pytest.raises(Unavailable):
        world.gateway.tuning.get(name)
    assert world.gateway.tuning.get(name).state == "SUCCEEDED"

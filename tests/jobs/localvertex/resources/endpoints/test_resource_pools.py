import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound
from google.cloud import aiplatform_v1beta1 as vertex

from tests.jobs.localvertex.servers import PARENT, PROJECT, wait_for

L4 = {"machine_type": "g2-standard-12", "accelerator_type": "NVIDIA_L4", "accelerator_count": 1}


@pytest.fixture(scope="module")
def pools(shared_server):
    return shared_server.client(vertex.DeploymentResourcePoolServiceClient)


def create(pools, name, parent=PARENT, **resources):
    request = vertex.CreateDeploymentResourcePoolRequest(parent=parent, deployment_resource_pool_id=name)
    request.deployment_resource_pool.dedicated_resources = vertex.DedicatedResources({"machine_spec": L4, **resources})
    return pools.create_deployment_resource_pool(request).result(timeout=10)


def test_made_read_changed_and_deleted(pools):
    made = create(pools, "pool-a", max_replica_count=3)
    assert made.name == f"{PARENT}/deploymentResourcePools/pool-a"
    counts = made.dedicated_resources.min_replica_count, made.dedicated_resources.max_replica_count
    assert (made.dedicated_resources.machine_spec.machine_type, counts) == ("g2-standard-12", (1, 3))
    assert pools.get_deployment_resource_pool(name=made.name) == made
    assert made.name in [one.name for one in pools.list_deployment_resource_pools(parent=PARENT)]
    made.dedicated_resources.max_replica_count = 5
    mask = {"paths": ["dedicated_resources.max_replica_count"]}
    changed = pools.update_deployment_resource_pool(deployment_resource_pool=made, update_mask=mask).result(timeout=10)
    assert changed == made == pools.get_deployment_resource_pool(name=made.name)
    pools.delete_deployment_resource_pool(name=made.name).result(timeout=10)
    with pytest.raises(NotFound):
        pools.get_deployment_resource_pool(name=made.name)


def test_models_share_it(pools, server):
    pool = create(pools, "pool-shared").name
    model = server.until(server.create(server.job()).name, "SUCCEEDED").tuned_model.model
    endpoint = server.endpoints.create_endpoint(parent=PARENT, endpoint={"display_name": "E"}).result(timeout=10).name
    deployed = {"model": model, "display_name": "Shared", "shared_resources": pool}
    server.endpoints.deploy_model(endpoint=endpoint, deployed_model=deployed, traffic_split={"0": 100}).result(
        timeout=60
    )
    (shown,) = server.endpoints.get_endpoint(name=endpoint).deployed_models
    assert (shown.shared_resources, "dedicated_resources" in shown) == (pool, False)
    assert server.chat(endpoint.rpartition("/")[2]).status_code == 200
    pages = list(pools.query_deployed_models(deployment_resource_pool=pool).pages)
    assert [(one.endpoint, one.deployed_model_id) for one in pages[0].deployed_model_refs] == [(endpoint, shown.id)]
    assert (pages[0].total_deployed_model_count, pages[0].total_endpoint_count) == (1, 1)
    with pytest.raises(BadRequest, match="has deployed models. Undeploy them first"):
        pools.delete_deployment_resource_pool(name=pool)
    change = {"deployed_model": {"id": shown.id}, "update_mask": {"paths": ["min_replica_count"]}}
    with pytest.raises(BadRequest, match="Change that instead"):
        server.endpoints.mutate_deployed_model({"endpoint": endpoint, **change})
    server.endpoints.undeploy_model(endpoint=endpoint, deployed_model_id=shown.id).result(timeout=10)
    wait_for(lambda: pools.delete_deployment_resource_pool(name=pool).done, server.log)


def test_a_pool_that_is_not_there_is_not_deployed_on(pools, server):
    model = server.until(server.create(server.job()).name, "SUCCEEDED").tuned_model.model
    endpoint = server.endpoints.create_endpoint(parent=PARENT, endpoint={"display_name": "E"}).result(timeout=10).name
    for pool, error in (
        (f"{PARENT}/deploymentResourcePools/none", NotFound),
        (f"{PROJECT}/locations/x/none", BadRequest),
    ):
        with pytest.raises(error):
            server.endpoints.deploy_model(endpoint=endpoint, deployed_model={"model": model, "shared_resources": pool})


@pytest.mark.parametrize(
    ("name", "parent", "resources", "message"),
    [
        ("Pool", PARENT, {}, "must start with a letter"),
        ("", PARENT, {}, "The deployment_resource_pool_id field is required"),
        ("pool", f"{PROJECT}/locations/global", {}, "not deployed in the location global"),
        ("pool", PARENT, {"machine_spec": {}}, "machine_spec.machine_type field is required"),
        ("pool", PARENT, {"machine_spec": {"machine_type": "x1"}}, "is not supported"),
        ("pool", PARENT, {"min_replica_count": 3, "max_replica_count": 2}, "at most max_replica_count"),
    ],
)
def test_refused(pools, name, parent, resources, message):
    with pytest.raises(BadRequest, match=message):
        create(pools, name, parent, **resources)


def test_one_of_a_name(pools):
    create(pools, "pool-twice")
    with pytest.raises(Conflict):
        create(pools, "pool-twice")

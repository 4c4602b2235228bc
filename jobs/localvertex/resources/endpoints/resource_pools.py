"""Deployment resource pools: machines that deployed models share. Here all of them share this machine anyway."""

import re

from google.cloud.aiplatform_v1beta1.types import (
    CreateDeploymentResourcePoolOperationMetadata,
    CreateDeploymentResourcePoolRequest,
    DedicatedResources,
    DeleteDeploymentResourcePoolRequest,
    DeleteOperationMetadata,
    DeployedModel,
    DeployedModelRef,
    DeploymentResourcePool,
    Endpoint,
    GetDeploymentResourcePoolRequest,
    ListDeploymentResourcePoolsRequest,
    ListDeploymentResourcePoolsResponse,
    QueryDeployedModelsRequest,
    QueryDeployedModelsResponse,
    UpdateDeploymentResourcePoolOperationMetadata,
)
from google.protobuf import empty_pb2

from jobs.localvertex.api.errors import exists, invalid, precondition
from jobs.localvertex.api.filtering.filters import page
from jobs.localvertex.api.hosts import refuse_global
from jobs.localvertex.api.wire import Operation
from jobs.localvertex.resources import dedicated
from jobs.localvertex.resources.call import Call, Route, generic, list_page, location_of, now
from jobs.localvertex.resources.edits import given_fields, has_mask, mask, refuse_encryption
from jobs.localvertex.tuning.queue import new_id

_ID = re.compile(r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")
MUTABLE = (
    "dedicated_resources", "dedicated_resources.min_replica_count", "dedicated_resources.max_replica_count",
    "dedicated_resources.autoscaling_metric_specs",
)  # fmt: skip


def create_deployment_resource_pool(call: Call) -> Operation:
    request = call.parse_post(CreateDeploymentResourcePoolRequest)
    wanted, store = request.deployment_resource_pool, call.parts.store
    refuse_global(request.parent)
    _check_id(request.deployment_resource_pool_id)
    refuse_encryption(wanted, "deployment_resource_pool.encryption_spec")
    _check_resources(wanted.dedicated_resources)
    pool = DeploymentResourcePool(
        name=f"{request.parent}/deploymentResourcePools/{request.deployment_resource_pool_id}",
        dedicated_resources=_fill_in(wanted.dedicated_resources),
        service_account=wanted.service_account,
        disable_container_logging=wanted.disable_container_logging,
        create_time=now(),
    )
    with store.transaction():
        if store.find(DeploymentResourcePool, pool.name):
            raise exists(f"The DeploymentResourcePool {pool.name}")
        store.insert(pool)
        call.parts.ledger.record("create_deployment_resource_pool", pool.name)
        metadata = CreateDeploymentResourcePoolOperationMetadata(generic_metadata=generic())
        return call.operation(f"{pool.name}/operations/{new_id()}", metadata, pool)


def get_deployment_resource_pool(call: Call) -> DeploymentResourcePool:
    return call.parts.store.get(DeploymentResourcePool, call.request(GetDeploymentResourcePoolRequest).name)


def list_deployment_resource_pools(call: Call) -> ListDeploymentResourcePoolsResponse:
    request = call.request(ListDeploymentResourcePoolsRequest)
    stored = call.parts.store.all(DeploymentResourcePool, f"{request.parent}/deploymentResourcePools")
    found, following = list_page(request, DeploymentResourcePool, stored)
    return ListDeploymentResourcePoolsResponse(deployment_resource_pools=found, next_page_token=following)


def update_deployment_resource_pool(call: Call) -> Operation:
    given = call.resource(DeploymentResourcePool, query=("update_mask",))
    paths = mask(call, MUTABLE) if has_mask(call) else given_fields(given, ("dedicated_resources",))
    name, wanted, store = call.path["deployment_resource_pool.name"], given.dedicated_resources, call.parts.store
    with store.transaction():
        with store.edit(DeploymentResourcePool, name) as pool:
            resources = pool.dedicated_resources
            if "dedicated_resources" in paths:
                _check_resources(wanted)
                pool.dedicated_resources = _fill_in(wanted)
            for path in paths:
                _, _, field = path.partition(".")
                if field:
                    setattr(resources, field, getattr(wanted, field))
            dedicated.check_replicas(pool.dedicated_resources, "deployment_resource_pool.dedicated_resources")
        metadata = UpdateDeploymentResourcePoolOperationMetadata(generic_metadata=generic())
        return call.operation(f"{name}/operations/{new_id()}", metadata, pool)


def delete_deployment_resource_pool(call: Call) -> Operation:
    name, store = call.request(DeleteDeploymentResourcePoolRequest).name, call.parts.store
    with store.transaction():
        store.get(DeploymentResourcePool, name)
        if _find_users(call, name) or call.parts.deployments.uses_pool(name):
            raise precondition(f"The DeploymentResourcePool {name} has deployed models. Undeploy them first.")
        store.delete(name)
        metadata = DeleteOperationMetadata(generic_metadata=generic())
        return call.operation(f"{location_of(name)}/operations/{new_id()}", metadata, empty_pb2.Empty())


def query_deployed_models(call: Call) -> QueryDeployedModelsResponse:
    request = call.request(QueryDeployedModelsRequest)
    call.parts.store.get(DeploymentResourcePool, request.deployment_resource_pool)
    users = _find_users(call, request.deployment_resource_pool)
    chosen, following = page(users, request.page_size, request.page_token)
    return QueryDeployedModelsResponse(
        deployed_models=[deployed for _, deployed in chosen],
        deployed_model_refs=[DeployedModelRef(endpoint=name, deployed_model_id=one.id) for name, one in chosen],
        total_deployed_model_count=len(users),
        total_endpoint_count=len({name for name, _ in users}),
        next_page_token=following,
    )


def _find_users(call: Call, name: str) -> list[tuple[str, DeployedModel]]:
    """Endpoints and their deployed models on this pool."""
    endpoints = call.parts.store.all(Endpoint, f"{location_of(name)}/endpoints")
    found = ((endpoint.name, deployed) for endpoint in endpoints for deployed in endpoint.deployed_models)
    return [(endpoint, deployed) for endpoint, deployed in found if deployed.shared_resources == name]


def _check_id(text: str) -> None:
    if not _ID.match(text):
        message = (
            "deployment_resource_pool_id must start with a letter, have at most 63 characters of [a-z0-9-] and not end"
            " with -."
        )
        raise invalid(message, "deployment_resource_pool_id")


def _check_resources(wanted: DedicatedResources) -> None:
    field = "deployment_resource_pool.dedicated_resources"
    if not wanted.machine_spec.machine_type:
        raise invalid("The machine_spec.machine_type field is required.", f"{field}.machine_spec.machine_type")
    dedicated.check_resources(wanted, field)


def _fill_in(wanted: DedicatedResources) -> DedicatedResources:
    """Google's defaults: at least one replica, and no more than the least."""
    filled = DedicatedResources(wanted)
    dedicated.fill_replicas(filled)
    return filled


_POOL = "projects/*/locations/*/deploymentResourcePools/*"
_PARENT = "{parent=projects/*/locations/*}/deploymentResourcePools"

ROUTES = [
    Route("create_deployment_resource_pool", "POST", _PARENT, create_deployment_resource_pool),
    Route("list_deployment_resource_pools", "GET", _PARENT, list_deployment_resource_pools),
    Route("get_deployment_resource_pool", "GET", f"{{name={_POOL}}}", get_deployment_resource_pool),
    Route(
        "update_deployment_resource_pool",
        "PATCH",
        f"{{deployment_resource_pool.name={_POOL}}}",
        update_deployment_resource_pool,
    ),
    Route("delete_deployment_resource_pool", "DELETE", f"{{name={_POOL}}}", delete_deployment_resource_pool),
    Route(
        "query_deployed_models",
        "GET",
        f"{{deployment_resource_pool={_POOL}}}:queryDeployedModels",
        query_deployed_models,
    ),
]

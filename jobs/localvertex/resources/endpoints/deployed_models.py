"""Models on an endpoint that exists: deploy another, change one, take one away, and how traffic is shared."""

import re

from google.cloud.aiplatform_v1beta1.types import (
    DeployedModel,
    DeploymentResourcePool,
    DeploymentStage,
    DeployModelOperationMetadata,
    DeployModelRequest,
    Endpoint,
    Model,
    MutateDeployedModelOperationMetadata,
    MutateDeployedModelRequest,
    MutateDeployedModelResponse,
    UndeployModelOperationMetadata,
    UndeployModelRequest,
    UndeployModelResponse,
)

from jobs.localvertex.api.errors import exists, invalid, not_found, precondition
from jobs.localvertex.api.hosts import refuse_global
from jobs.localvertex.api.wire import Operation, render
from jobs.localvertex.models import containers, registry
from jobs.localvertex.resources import artifacts, dedicated
from jobs.localvertex.resources.artifacts import Artifact
from jobs.localvertex.resources.call import Call, Parts, Route, generic, location_of, now
from jobs.localvertex.resources.edits import check_mask, check_split
from jobs.localvertex.resources.keeping import keep_asked, refuse_changes
from jobs.localvertex.serving.pool import name_of
from jobs.localvertex.store import Store
from jobs.localvertex.tuning.queue import new_id

_MODEL = re.compile(r"^projects/[^/]+/locations/[^/]+/models/[^/@]+(@[^/@]+)?$")
_DEPLOYED_ID = re.compile(r"^[0-9]{1,10}$")
REPLICAS = ("min_replica_count", "max_replica_count", "required_replica_count", "autoscaling_metric_specs")
LOGGING = ("enable_container_logging", "disable_container_logging")
MUTABLE = ("dedicated_resources", *REPLICAS, *LOGGING)
NEW = "0"
ARGUMENTS = "model.container_spec.args"


def deploy_model(call: Call) -> Operation:
    request = call.parse_post(DeployModelRequest)
    parts, wanted = call.parts, request.deployed_model
    refuse_global(location_of(request.endpoint))
    model = _model(parts, request.endpoint, wanted)
    parts.store.get(Endpoint, request.endpoint)
    artifact = _artifact(parts, request, model)
    kind = artifacts.choose_quantization(parts, artifact, wanted.system_labels, "deployed_model.system_labels")
    context = containers.find_context(model.container_spec, ARGUMENTS)
    parts.deployments.require_room(artifact.base_id, kind, context)
    deployed = _build_deployed_model(parts, wanted, model, artifact)
    name = f"{request.endpoint}/operations/{new_id()}"
    with parts.store.transaction():
        endpoint = parts.store.get(Endpoint, request.endpoint)
        ids = [one.id for one in endpoint.deployed_models]
        _refuse_taken(parts, request.endpoint, deployed.id, ids)
        check_split(request.traffic_split, [NEW, *ids])
        staging = DeploymentStage.STARTING_DEPLOYMENT
        metadata = DeployModelOperationMetadata(generic_metadata=generic(), deployment_stage=staging)
        operation = call.operation(name, metadata)
        parts.store.write_note(
            name,
            endpoint=request.endpoint,
            model=deployed.model,
            stages=name,
            base=artifact.base_id,
            form=artifact.form,
            gcs_uri=str(artifact.source or ""),
            adapter=artifact.adapter,
            context=context,
            deployed_model=render(deployed),
            traffic_split=dict(request.traffic_split),
            **call.failure,
            idle_seconds=dedicated.idle_seconds(deployed.dedicated_resources),
            quantization=kind,
        )
        facts = {"model": deployed.model, "operation": name, "deployed_model": deployed.id}
        parts.ledger.record("deploy_model", request.endpoint, **facts)
    parts.deployments.begin(name)
    return operation


def undeploy_model(call: Call) -> Operation:
    """Done when it answers: the model server ends within a second."""
    request = call.parse_post(UndeployModelRequest)
    _require(request.deployed_model_id, "deployed_model_id")
    store = call.parts.store
    with store.edit(Endpoint, request.endpoint) as endpoint:
        gone = _find(endpoint, request.deployed_model_id)
        kept = [one for one in endpoint.deployed_models if one.id != gone.id]
        endpoint.traffic_split = _remaining_split(
            endpoint, gone.id, dict(request.traffic_split), [one.id for one in kept]
        )
        endpoint.deployed_models = kept
        endpoint.update_time = now()
        _forget(store, gone)
        store.delete(name_of(endpoint.name, gone.id))
        metadata = UndeployModelOperationMetadata(generic_metadata=generic())
        operation = call.operation(f"{request.endpoint}/operations/{new_id()}", metadata, UndeployModelResponse())
    call.parts.serving.stop(name_of(request.endpoint, request.deployed_model_id))
    return operation


def mutate_deployed_model(call: Call) -> Operation:
    request = call.parse_post(MutateDeployedModelRequest)
    paths = [path.removeprefix("dedicated_resources.") for path in request.update_mask.paths]
    check_mask(paths, MUTABLE)
    _require(request.deployed_model.id, "deployed_model.id")
    given = request.deployed_model.dedicated_resources
    dedicated.check_replicas(given, "deployed_model.dedicated_resources")
    store = call.parts.store
    with store.edit(Endpoint, request.endpoint) as endpoint:
        deployed = _find(endpoint, request.deployed_model.id)
        _mutate(deployed, request.deployed_model, paths)
        endpoint.update_time = now()
        metadata = MutateDeployedModelOperationMetadata(generic_metadata=generic())
        response = MutateDeployedModelResponse(deployed_model=deployed)
        return call.operation(f"{request.endpoint}/operations/{new_id()}", metadata, response)


def _require(value: str, field: str) -> None:
    if not value:
        raise invalid(f"The {field} field is required.", field)


def _model(parts: Parts, endpoint: str, wanted: DeployedModel) -> Model:
    field = "deployed_model.model"
    _require(wanted.model, field)
    if not _MODEL.match(wanted.model):
        message = f"{wanted.model!r} is not the name of a model: projects/PROJECT/locations/LOCATION/models/MODEL."
        raise invalid(message, field)
    if location_of(wanted.model).split("/")[3] != endpoint.split("/")[3]:
        raise invalid(f"{wanted.model} is not in the location of {endpoint}. Copy it there first.", field)
    return registry.find(parts.store, wanted.model)


def _artifact(parts: Parts, request: DeployModelRequest, model: Model) -> Artifact:
    pool = request.deployed_model.shared_resources
    if pool:
        _check_pool(parts, pool, request.endpoint)
    elif "dedicated_resources" not in request.deployed_model:
        message = (
            "deployed_model.dedicated_resources is required, or shared_resources: others are not offered for these"
            " models."
        )
        raise invalid(message, "deployed_model.dedicated_resources")
    artifact = artifacts.of_model(parts, model, request.deployed_model.checkpoint_id)
    artifacts.require(parts, artifact, request.endpoint.split("/")[1])
    resources = request.deployed_model.dedicated_resources
    dedicated.check_resources(resources, "deployed_model.dedicated_resources")
    return artifact


def _check_pool(parts: Parts, pool: str, endpoint: str) -> None:
    if location_of(pool) != location_of(endpoint):
        raise invalid(f"{pool} is not in the location of {endpoint}.", "deployed_model.shared_resources")
    parts.store.get(DeploymentResourcePool, pool)


def _build_deployed_model(parts: Parts, wanted: DeployedModel, model: Model, artifact: Artifact) -> DeployedModel:
    if wanted.id and not _DEPLOYED_ID.match(wanted.id):
        raise invalid("deployed_model.id must be 1 to 10 digits.", "deployed_model.id")
    if wanted.rollout_options.previous_deployed_model:
        field = "deployed_model.rollout_options.previous_deployed_model"
        raise invalid(f"{field} is not supported by this server: undeploy that one when the new one answers.", field)
    deployed = keep_asked(
        wanted,
        id=wanted.id or new_id(),
        model=model.name.partition("@")[0],
        model_version_id=model.version_id,
        display_name=wanted.display_name or model.display_name,
        system_labels=dict(wanted.system_labels) | dedicated.labels_of(parts, wanted.dedicated_resources),
    )
    if not wanted.shared_resources:
        deployed.dedicated_resources = dedicated.resources_of(parts, artifact, wanted.dedicated_resources)
    return deployed


def _refuse_taken(parts: Parts, endpoint: str, wanted: str, here: list[str]) -> None:
    coming = [note["deployed_model"]["id"] for note in parts.deployments.pending(endpoint)]
    if wanted in (NEW, *here, *coming):
        raise exists(f"The DeployedModel {wanted} of {endpoint}")


def _find(endpoint: Endpoint, deployed_id: str) -> DeployedModel:
    for deployed in endpoint.deployed_models:
        if deployed.id == deployed_id:
            return deployed
    raise not_found(f"The DeployedModel {deployed_id!r} of {endpoint.name}")


def _remaining_split(endpoint: Endpoint, gone: str, asked: dict[str, int], kept: list[str]) -> dict[str, int]:
    """Google takes a model away only when it has no traffic, or when the request gives its traffic to others."""
    if not kept:
        return {}
    if asked:
        check_split(asked, kept)
        return asked
    if endpoint.traffic_split.get(gone, 0):
        raise precondition(
            f"The DeployedModel {gone} has {endpoint.traffic_split[gone]}% of the traffic. Send a traffic_split that"
            " gives it to the models that stay."
        )
    return {key: share for key, share in endpoint.traffic_split.items() if key != gone}


def _mutate(deployed: DeployedModel, given: DeployedModel, paths: list[str]) -> None:
    if deployed.shared_resources and {"dedicated_resources", *REPLICAS} & {*paths}:
        message = f"The DeployedModel {deployed.id} shares {deployed.shared_resources}. Change that instead."
        raise precondition(message)
    resources, asked = deployed.dedicated_resources, given.dedicated_resources
    if "dedicated_resources" in paths:
        refuse_changes(asked, resources, REPLICAS, "deployed_model.dedicated_resources.")
        paths = [*REPLICAS, *paths]
    for path in {*REPLICAS} & {*paths}:
        setattr(resources, path, getattr(asked, path))
    for path in {*LOGGING} & {*paths}:
        setattr(deployed, path, getattr(given, path))
    dedicated.fill_replicas(resources)


def _forget(store: Store, gone: DeployedModel) -> None:
    name = gone.model.partition("@")[0]
    if store.find(Model, name) is None:
        return
    for version in registry.versions(store, name):
        if any(reference.deployed_model_id == gone.id for reference in version.deployed_models):
            with store.edit(Model, version.name) as model:
                model.deployed_models = [ref for ref in model.deployed_models if ref.deployed_model_id != gone.id]


_ENDPOINT = "{endpoint=projects/*/locations/*/endpoints/*}"

ROUTES = [
    Route("deploy_model", "POST", f"{_ENDPOINT}:deployModel", deploy_model),
    Route("undeploy_model", "POST", f"{_ENDPOINT}:undeployModel", undeploy_model),
    Route("mutate_deployed_model", "POST", f"{_ENDPOINT}:mutateDeployedModel", mutate_deployed_model),
]

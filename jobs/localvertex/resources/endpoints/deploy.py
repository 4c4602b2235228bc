"""Model Garden's one-click `:deploy`: checks, reserves the names, and hands over to the deployment."""

import re
from dataclasses import dataclass

from google.cloud.aiplatform_v1beta1.types import (
    DeployedModel,
    DeploymentStage,
    DeployModelOperationMetadata,
    DeployOperationMetadata,
    DeployRequest,
    Endpoint,
    Model,
    ModelGardenSource,
    ModelSourceInfo,
)

from jobs.localvertex.api.errors import exists
from jobs.localvertex.api.hosts import project_number, refuse_global
from jobs.localvertex.api.wire import Operation, render
from jobs.localvertex.models import containers, licences
from jobs.localvertex.models.registry import RESOURCES
from jobs.localvertex.resources import artifacts, dedicated
from jobs.localvertex.resources.artifacts import Artifact
from jobs.localvertex.resources.call import Call, Route, generic, now
from jobs.localvertex.resources.edits import check_endpoint_id, check_labels, check_model_id, refuse_private
from jobs.localvertex.tuning.queue import new_id

LABELS = "deploy_config.system_labels"
ARGUMENTS = "model_config.container_spec.args"
GARDEN_LABEL = "mg-deploy"  # by which gcloud knows an endpoint of Model Garden


@dataclass(frozen=True)
class Names:
    destination: str
    endpoint: str
    model: str
    operation: str
    stages: str


def deploy(call: Call) -> Operation:
    request = call.parse_post(DeployRequest)
    refuse_global(request.destination)
    parts = call.parts
    artifact = artifacts.of_request(parts, request)
    project = request.destination.split("/")[1]
    if request.model_config.accept_eula and artifact.base:
        licences.accept(parts.store, project, artifact.base)
    artifacts.require(parts, artifact, project)
    dedicated.check_resources(request.deploy_config.dedicated_resources, "deploy_config.dedicated_resources")
    check_labels(dict(request.deploy_config.system_labels), LABELS)
    kind = artifacts.choose_quantization(parts, artifact, request.deploy_config.system_labels, LABELS)
    context = containers.find_context(request.model_config.container_spec, ARGUMENTS)
    parts.deployments.require_room(artifact.base_id, kind, context)
    refuse_private(request.endpoint_config, "endpoint_config.")
    names = _names(request, artifact)
    with parts.store.transaction():
        if parts.store.find(Endpoint, names.endpoint):
            raise exists(f"The Endpoint {names.endpoint}")
        if parts.store.find(Model, names.model):
            raise exists(f"The Model {names.model}")
        operation = _reserve(call, request, artifact, names, kind, context)
        facts = {"model": names.model, "operation": names.operation, "base_model": artifact.base_id}
        parts.ledger.record("deploy", names.endpoint, **facts)
    parts.deployments.begin(names.operation)
    return operation


def _names(request: DeployRequest, artifact: Artifact) -> Names:
    endpoint_id = request.endpoint_config.endpoint_user_id or f"mg-endpoint-{new_id()}"
    model_id = request.model_config.model_user_id or _model_id(artifact)
    check_endpoint_id(endpoint_id, "endpoint_config.endpoint_user_id")
    check_model_id(model_id, "model_config.model_user_id")
    endpoint = f"{request.destination}/endpoints/{endpoint_id}"
    return Names(
        destination=request.destination,
        endpoint=endpoint,
        model=f"{request.destination}/models/{model_id}",
        operation=f"{request.destination}/operations/{new_id()}",
        stages=f"{endpoint}/operations/{new_id()}",
    )


def _reserve(
    call: Call, request: DeployRequest, artifact: Artifact, names: Names, kind: str, context: int
) -> Operation:
    version = artifact.base.version if artifact.base else "custom"
    display = request.model_config.model_display_name or f"{version}-mg-one-click-deploy"
    metadata = DeployOperationMetadata(
        generic_metadata=generic(),
        publisher_model=artifact.publisher_model,
        destination=names.destination,
        project_number=project_number(names.destination.split("/")[1]),
        model_id=names.model.rpartition("/")[2],
    )
    staging = DeploymentStage.STARTING_DEPLOYMENT
    resources = dedicated.resources_of(call.parts, artifact, request.deploy_config.dedicated_resources)
    store = call.parts.store
    store.insert(_endpoint(request, names, artifact))
    store.insert(_model(request, artifact, names, display))
    operation = call.operation(names.operation, metadata)
    call.operation(names.stages, DeployModelOperationMetadata(generic_metadata=generic(), deployment_stage=staging))
    deployed = DeployedModel(
        id=new_id(),
        model=names.model,
        model_version_id="1",
        display_name=display,
        dedicated_resources=resources,
        system_labels=dict(request.deploy_config.system_labels) | dedicated.labels_of(call.parts, resources),
    )
    store.write_note(
        names.operation,
        endpoint=names.endpoint,
        model=names.model,
        stages=names.stages,
        base=artifact.base_id,
        form=artifact.form,
        gcs_uri=str(artifact.source or ""),
        adapter=artifact.adapter,
        context=context,
        publisher_model=artifact.publisher_model,
        deployed_model=render(deployed),
        traffic_split={"0": 100},
        **call.failure,
        idle_seconds=dedicated.idle_seconds(resources),
        quantization=kind,
    )
    store.write_note(names.stages, parent=names.operation)
    return operation


def _endpoint(request: DeployRequest, names: Names, artifact: Artifact) -> Endpoint:
    config = request.endpoint_config
    return Endpoint(
        name=names.endpoint,
        display_name=config.endpoint_display_name or f"{names.model.rpartition('/')[2]}-mg-one-click-deploy",
        labels={GARDEN_LABEL: re.sub(r"[^a-z0-9_-]", "-", artifact.publisher_model.lower() or "custom")[:63]},
        dedicated_endpoint_enabled=not config.dedicated_endpoint_disabled,
        create_time=now(),
        update_time=now(),
    )


def _model(request: DeployRequest, artifact: Artifact, names: Names, display: str) -> Model:
    model = Model(
        name=names.model,
        display_name=display,
        version_id="1",
        version_aliases=["default"],
        artifact_uri=str(artifact.source or ""),
        supported_deployment_resources_types=RESOURCES,
        model_source_info=ModelSourceInfo(source_type=ModelSourceInfo.ModelSourceType.MODEL_GARDEN),
        create_time=now(),
        update_time=now(),
        version_create_time=now(),
        version_update_time=now(),
    )
    if "container_spec" in request.model_config:
        model.container_spec = request.model_config.container_spec
    if artifact.base:
        name = artifact.base.resource_name.partition("@")[0]
        garden = ModelGardenSource(public_model_name=name, version_id=artifact.base.version)
        model.base_model_source = Model.BaseModelSource(model_garden_source=garden)
    return model


def _model_id(artifact: Artifact) -> str:
    version = artifact.base.version if artifact.base else "custom"
    return f"mg-{re.sub('[^a-z0-9-]', '-', version.lower())[:40]}-{new_id()}"


ROUTES = [Route("deploy", "POST", "{destination=projects/*/locations/*}:deploy", deploy)]

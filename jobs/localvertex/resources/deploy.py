"""Model Garden's one-click `:deploy`: checks, reserves the names, and hands over to the deployment."""

import json
import re
from dataclasses import dataclass

from google.cloud.aiplatform_v1beta1.types import (
    DeploymentStage,
    DeployModelOperationMetadata,
    DeployOperationMetadata,
    DeployRequest,
    Endpoint,
    GenericOperationMetadata,
    Model,
    ModelGardenSource,
    ModelSourceInfo,
)

from jobs.localvertex.buckets import Location, location
from jobs.localvertex.catalogue import CatalogueModel
from jobs.localvertex.errors import exists, invalid
from jobs.localvertex.resources import licences
from jobs.localvertex.resources.call import Call, Parts, Route, new_operation, now
from jobs.localvertex.resources.publisher_models import project_number
from jobs.localvertex.results import BASE_MODEL_FILE
from jobs.localvertex.runner import new_id
from jobs.localvertex.wire import Operation, render

_ENDPOINT_ID = re.compile(r"^(?:[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?|[0-9]{1,9})$")
_MODEL_ID = re.compile(r"^[a-z_][a-z0-9_-]{0,62}$")
ADAPTER_FILE = "adapter/adapter.gguf"


@dataclass(frozen=True)
class Names:
    destination: str
    endpoint: str
    model: str
    operation: str
    stages: str


def deploy(call: Call) -> Operation:
    request = call.posted(DeployRequest)
    parts = call.parts
    base, source = _artifact(parts, request)
    project = request.destination.split("/")[1]
    if request.model_config.accept_eula:
        licences.accept(parts.store, project, base)
    licences.require(parts.store, project, base)
    parts.weights.get(base.id)
    _check_machine(request, base)
    names = _names(request, base)
    with parts.store.transaction():
        if parts.store.find(Endpoint, names.endpoint):
            raise exists(f"The Endpoint {names.endpoint}")
        if parts.store.find(Model, names.model):
            raise exists(f"The Model {names.model}")
        operation = _reserve(parts, request, base, source, names)
        parts.ledger.record("deploy", names.endpoint, model=names.model, operation=names.operation, base_model=base.id)
    parts.deployments.begin(names.operation)
    return operation


def _artifact(parts: Parts, request: DeployRequest) -> tuple[CatalogueModel, Location | None]:
    if request.publisher_model_name:
        return parts.catalogue.get(request.publisher_model_name), None
    if request.hugging_face_model_id:
        raise invalid("Hugging Face models cannot be deployed on this server.", "hugging_face_model_id")
    if not request.custom_model.gcs_uri:
        raise invalid("One of publisher_model_name and custom_model.gcs_uri is required.", "artifacts")
    source = location(request.custom_model.gcs_uri, "custom_model.gcs_uri")
    return parts.catalogue.get(_base_of(parts, source)), source


def _base_of(parts: Parts, source: Location) -> str:
    """A tuning job of this server leaves the base model's id beside the adapter."""
    files = parts.buckets.children(source)
    if not files:
        raise invalid(
            f"{source} is empty or not there. It must be the folder of a tuned model.", "custom_model.gcs_uri"
        )
    missing = {"config.json", ADAPTER_FILE, BASE_MODEL_FILE} - set(files)
    if missing:
        message = f"{source} is not a model that this server can serve: it lacks {', '.join(sorted(missing))}."
        raise invalid(message, "custom_model.gcs_uri")
    try:
        return str(json.loads(parts.buckets.read(source / BASE_MODEL_FILE))["base_model"])
    except (ValueError, KeyError):
        raise invalid(f"{source / BASE_MODEL_FILE} cannot be read.", "custom_model.gcs_uri") from None


def _check_machine(request: DeployRequest, base: CatalogueModel) -> None:
    wanted = request.deploy_config.dedicated_resources.machine_spec.machine_type
    offered = [machine.machine_type for machine in base.machines]
    if wanted and wanted not in offered:
        message = f"The machine type {wanted} is not offered for {base.id}. Offered: {', '.join(offered)}."
        raise invalid(message, "deploy_config.dedicated_resources.machine_spec.machine_type")


def _names(request: DeployRequest, base: CatalogueModel) -> Names:
    endpoint_id = request.endpoint_config.endpoint_user_id or f"mg-endpoint-{new_id()}"
    model_id = request.model_config.model_user_id or f"mg-{base.version.replace('.', '-')}-{new_id()}"[:63]
    if not _ENDPOINT_ID.match(endpoint_id):
        message = (
            "endpoint_user_id must start with a letter, have at most 63 characters of [a-z0-9-], and not end with -."
        )
        raise invalid(message, "endpoint_config.endpoint_user_id")
    if not _MODEL_ID.match(model_id):
        message = "model_user_id must have at most 63 characters of [a-z0-9_-] and not start with a digit or -."
        raise invalid(message, "model_config.model_user_id")
    endpoint = f"{request.destination}/endpoints/{endpoint_id}"
    return Names(
        destination=request.destination,
        endpoint=endpoint,
        model=f"{request.destination}/models/{model_id}",
        operation=f"{request.destination}/operations/{new_id()}",
        stages=f"{endpoint}/operations/{new_id()}",
    )


def _reserve(
    parts: Parts, request: DeployRequest, base: CatalogueModel, source: Location | None, names: Names
) -> Operation:
    display = request.model_config.model_display_name or f"{base.version}-mg-one-click-deploy"
    generic = GenericOperationMetadata(create_time=now(), update_time=now())
    metadata = DeployOperationMetadata(
        generic_metadata=generic,
        publisher_model=base.resource_name,
        destination=names.destination,
        project_number=project_number(names.destination.split("/")[1]),
        model_id=names.model.rpartition("/")[2],
    )
    operation = new_operation(names.operation, metadata)
    staging = DeploymentStage.STARTING_DEPLOYMENT
    stages = DeployModelOperationMetadata(generic_metadata=generic, deployment_stage=staging)
    parts.store.insert(_endpoint(request, names))
    parts.store.insert(_model(base, source, names, display))
    parts.store.insert(operation)
    parts.store.insert(new_operation(names.stages, stages))
    parts.store.write_note(
        names.operation,
        endpoint=names.endpoint,
        model=names.model,
        stages=names.stages,
        base=base.id,
        gcs_uri=str(source or ""),
        publisher_model=base.resource_name,
        display_name=display,
        deployed_model_id=new_id(),
        resources=_resources(request, base),
        system_labels=dict(request.deploy_config.system_labels),
    )
    parts.store.write_note(names.stages, parent=names.operation)
    return operation


def _resources(request: DeployRequest, base: CatalogueModel) -> dict[str, object]:
    resources = render(request.deploy_config.dedicated_resources)
    machine = {"machine_type": base.machines[0].machine_type} if base.machines else {}
    return {
        "machine_spec": {**machine, **_snake(resources.get("machineSpec", {}))},
        "min_replica_count": resources.get("minReplicaCount", 1),
        "max_replica_count": resources.get("maxReplicaCount", 1),
    }


def _snake(spec: dict[str, object]) -> dict[str, object]:
    return {"machine_type": spec["machineType"]} if "machineType" in spec else {}


def _endpoint(request: DeployRequest, names: Names) -> Endpoint:
    config = request.endpoint_config
    return Endpoint(
        name=names.endpoint,
        display_name=config.endpoint_display_name or f"{names.model.rpartition('/')[2]}-mg-one-click-deploy",
        dedicated_endpoint_enabled=not config.dedicated_endpoint_disabled,
        create_time=now(),
        update_time=now(),
    )


def _model(base: CatalogueModel, source: Location | None, names: Names, display: str) -> Model:
    garden = ModelGardenSource(public_model_name=base.resource_name.partition("@")[0], version_id=base.version)
    return Model(
        name=names.model,
        display_name=display,
        version_id="1",
        version_aliases=["default"],
        artifact_uri=str(source or ""),
        model_source_info=ModelSourceInfo(source_type=ModelSourceInfo.ModelSourceType.MODEL_GARDEN),
        base_model_source=Model.BaseModelSource(model_garden_source=garden),
        create_time=now(),
        update_time=now(),
        version_create_time=now(),
        version_update_time=now(),
    )


ROUTES = [Route("deploy", "POST", "{destination=projects/*/locations/*}:deploy", deploy)]

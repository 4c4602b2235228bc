from collections.abc import Mapping
from functools import partial
from typing import Any

from google.cloud.aiplatform_v1beta1 import types
from google.longrunning import operations_pb2
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import MessageToDict

from jobs.text.deferred import gettext as _
from jobs.vertex.errors import OutcomeUnknown
from jobs.vertex.sdk import clients
from jobs.vertex.sdk.catalogue import long_name
from jobs.vertex.sdk.messages import enum_name, raw, remote_error
from jobs.vertex.sdk.outside_text import clean
from jobs.vertex.values import (
    DeploySpec,
    DeployToExistingSpec,
    MachineSpec,
    RemoteDeployedModel,
    RemoteEndpoint,
    RemoteError,
    RemoteOperation,
)

from . import deploy_to_existing
from .serving_options import container_for, parse_options

GARDEN, ENDPOINTS, MODELS = "model_garden_service", "endpoint_service", "model_service"
RUNS_ON = "localvertex-runs-on"  # as the local Vertex AI labels what asked for a machine of Google's
MOST_REPLICAS = 32_767
REPLICA_FIELDS = ["dedicated_resources.min_replica_count", "dedicated_resources.max_replica_count"]


class Deployment:
    def deploy(self, spec: DeploySpec) -> str:
        bucket = spec.artifact_uri.removeprefix("gs://").partition("/")[0]
        operation = clients.create(
            GARDEN, "deploy", partial(_request, spec), bucket=bucket, location=spec.location
        ).operation
        if not operation.name:
            raise OutcomeUnknown(_("Vertex AI returned no operation name."), "UNKNOWN")
        return str(operation.name)

    def get_operation(self, name: str) -> RemoteOperation:
        client = clients.client(GARDEN, clients.location_of(name))
        request = operations_pb2.GetOperationRequest(name=name)
        return _operation(clients.ask(client.get_operation, request))

    def find_deployment(self, endpoint: str) -> RemoteOperation | None:
        """Model Garden's own operation says nothing of stages; the one of the endpoint does."""
        client = clients.client(ENDPOINTS, clients.location_of(endpoint))
        request = operations_pb2.ListOperationsRequest(name=endpoint, page_size=100)
        found = clients.ask(client.list_operations, request).operations
        deployments = [operation for operation in found if _deploy_metadata(operation)]
        return _operation(max(deployments, key=_start_time)) if deployments else None

    def endpoint_name(self, endpoint_user_id: str, location: str = "") -> str:
        return f"{clients.parent(location)}/endpoints/{endpoint_user_id}"

    def model_name(self, model_user_id: str, location: str = "") -> str:
        return f"{clients.parent(location)}/models/{model_user_id}"

    def get_endpoint(self, name: str) -> RemoteEndpoint:
        client = clients.client(ENDPOINTS, clients.location_of(name))
        return _endpoint(clients.ask(client.get_endpoint, types.GetEndpointRequest(name=name)))

    def scale(self, endpoint: str, deployed_model_id: str, min_replicas: int, max_replicas: int) -> str:
        client = clients.client(ENDPOINTS, clients.location_of(endpoint))
        resources = types.DedicatedResources(min_replica_count=min_replicas, max_replica_count=max_replicas)
        request = types.MutateDeployedModelRequest(
            endpoint=endpoint,
            deployed_model=types.DeployedModel(id=deployed_model_id, dedicated_resources=resources),
            update_mask=FieldMask(paths=REPLICA_FIELDS),
        )
        return _operation_name(clients.ask(client.mutate_deployed_model, request))

    def upload_model(self, spec: DeployToExistingSpec) -> str:
        client = clients.client(MODELS, clients.location_of(spec.endpoint))
        return _operation_name(clients.ask(client.upload_model, deploy_to_existing.upload_request(spec)))

    def deploy_to_existing(self, spec: DeployToExistingSpec, traffic_split: Mapping[str, int]) -> str:
        location = clients.location_of(spec.endpoint)
        make = partial(deploy_to_existing.deploy_request, spec, traffic_split)
        operation = clients.create(ENDPOINTS, "deploy_model", make, location=location).operation
        if not operation.name:
            raise OutcomeUnknown(_("Vertex AI returned no operation name."), "UNKNOWN")
        return str(operation.name)

    def share_traffic(self, endpoint: str, traffic_split: Mapping[str, int]) -> None:
        client = clients.client(ENDPOINTS, clients.location_of(endpoint))
        request = types.UpdateEndpointRequest(
            endpoint=types.Endpoint(name=endpoint, traffic_split=dict(traffic_split)),
            update_mask=FieldMask(paths=["traffic_split"]),
        )
        clients.ask(client.update_endpoint, request)

    def undeploy(self, endpoint: str, deployed_model_id: str, traffic_split: Mapping[str, int]) -> str:
        client = clients.client(ENDPOINTS, clients.location_of(endpoint))
        request = types.UndeployModelRequest(
            endpoint=endpoint, deployed_model_id=deployed_model_id, traffic_split=dict(traffic_split)
        )
        return _operation_name(clients.ask(client.undeploy_model, request))

    def delete_endpoint(self, name: str) -> str:
        client = clients.client(ENDPOINTS, clients.location_of(name))
        return _operation_name(clients.ask(client.delete_endpoint, types.DeleteEndpointRequest(name=name)))

    def delete_model(self, name: str) -> str:
        client = clients.client(MODELS, clients.location_of(name))
        return _operation_name(clients.ask(client.delete_model, types.DeleteModelRequest(name=name)))


def _request(spec: DeploySpec) -> Any:
    request = types.DeployRequest(
        destination=clients.parent(spec.location),
        model_config=types.DeployRequest.ModelConfig(
            accept_eula=spec.accept_eula,
            model_display_name=spec.model_display_name,
            model_user_id=spec.model_user_id,
        ),
        endpoint_config=types.DeployRequest.EndpointConfig(
            endpoint_display_name=spec.endpoint_display_name,
            endpoint_user_id=spec.endpoint_user_id,
            dedicated_endpoint_disabled=spec.shared_address,
        ),
        deploy_config=types.DeployRequest.DeployConfig(
            dedicated_resources=deploy_to_existing.resources(spec, deploy_to_existing.machine_of(spec.machine))
            if spec.machine
            else None,
            system_labels={**spec.options.labels, **spec.labels},
        ),
    )
    if container := container_for(spec.options):
        request.model_config.container_spec = container
    if spec.machine and spec.spot:
        request.deploy_config.dedicated_resources.spot = True
    if spec.publisher_model:
        request.publisher_model_name = long_name(spec.publisher_model)
    else:
        request.custom_model = types.DeployRequest.CustomModel(gcs_uri=spec.artifact_uri)
    return request


def _operation(operation: Any) -> RemoteOperation:
    response = MessageToDict(operation.response) if operation.HasField("response") else {}
    response.pop("@type", None)
    return RemoteOperation(
        name=operation.name,
        done=operation.done,
        error=remote_error(operation.error) or _partial_failure(operation, response),
        stage=_stage(operation),
        response=response,
    )


def _partial_failure(operation: Any, response: dict[str, Any]) -> RemoteError | None:
    """A deployment that failed half-way may end without an error of its own, and tell it here only."""
    metadata = types.DeployOperationMetadata.pb()()
    if not operation.done or response or not operation.metadata.Unpack(metadata):
        return None
    failures = metadata.generic_metadata.partial_failures
    return remote_error(failures[0]) if failures else None


def _deploy_metadata(operation: Any) -> Any:
    metadata = types.DeployModelOperationMetadata.pb()()
    return metadata if operation.metadata.Unpack(metadata) else None


def _stage(operation: Any) -> str:
    metadata = _deploy_metadata(operation)
    if metadata is None or not metadata.deployment_stage:
        return ""
    return enum_name(types.DeploymentStage, metadata.deployment_stage)


def _start_time(operation: Any) -> float:
    return float(_deploy_metadata(operation).generic_metadata.create_time.ToNanoseconds())


def _operation_name(future: Any) -> str:
    return str(future.operation.name)


def _endpoint(endpoint: Any) -> RemoteEndpoint:
    """A deployment's labels are kept on what it deployed: DeployRequest has no labels for the endpoint."""
    deployed = list(endpoint.deployed_models)
    labels = {key: value for model in deployed for key, value in model.system_labels.items()}
    return RemoteEndpoint(
        name=endpoint.name,
        display_name=endpoint.display_name,
        labels=labels | dict(endpoint.labels),
        dedicated_dns=endpoint.dedicated_endpoint_dns,
        deployed_models=tuple(_parse_deployed_model(model) for model in deployed),
        traffic_split=dict(endpoint.traffic_split),
    )


def _parse_deployed_model(model: Any) -> RemoteDeployedModel:
    low, high = _replica_range(model)
    return RemoteDeployedModel(
        id=model.id,
        model=model.model,
        display_name=model.display_name,
        available_replicas=_count(model.status.available_replica_count) if "status" in model else None,
        min_replicas=low,
        max_replicas=high,
        is_asleep=_is_asleep(model),
        message=clean(model.status.message),
        machine=_machine(model),
        options=parse_options(model),
    )


def _machine(model: Any) -> MachineSpec | None:
    """What works, and so what costs: the local Vertex AI keeps what was asked for, and runs on its own machine."""
    if "dedicated_resources" not in model:
        return None
    if here := model.system_labels.get(RUNS_ON, ""):
        return MachineSpec(here)
    spec = model.dedicated_resources.machine_spec
    kind = raw(spec).accelerator_type
    return MachineSpec(
        spec.machine_type, enum_name(types.AcceleratorType, kind) if kind else "", spec.accelerator_count
    )


def _is_asleep(model: Any) -> bool:
    """Without replicas by rule, and not because one is starting or broken: then there is a message."""
    scales = "dedicated_resources" in model and "scale_to_zero_spec" in model.dedicated_resources
    return scales and "status" in model and not (model.status.available_replica_count or model.status.message)


def _replica_range(model: Any) -> tuple[int | None, int | None]:
    """Google sends no maximum that equals the minimum."""
    if "dedicated_resources" not in model:
        return None, None
    low, high = (_count(getattr(model.dedicated_resources, f"{end}_replica_count")) for end in ("min", "max"))
    return low, max(low, high)


def _count(told: int) -> int:
    """As far as a column goes, and never less than nothing: what is counted is paid for."""
    return min(max(told, 0), MOST_REPLICAS)

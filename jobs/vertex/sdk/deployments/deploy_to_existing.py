"""Requests that put a model on an endpoint that exists: first into the registry, then onto the endpoint.

Model Garden's own `:deploy` always makes an endpoint; so what it would choose, server and machine, is asked for.
"""

from collections.abc import Mapping
from typing import Any

from google.cloud.aiplatform_v1beta1 import types

from jobs.text.deferred import gettext as _
from jobs.vertex.errors import Refused
from jobs.vertex.sdk import clients
from jobs.vertex.sdk.catalogue import SERVICE, deploy_options, long_name
from jobs.vertex.values import DeploySpec, DeployToExistingSpec, MachineSpec

from . import serving_options

MODELS = "model_service"


def upload_request(spec: DeployToExistingSpec) -> Any:
    container, _machine = _find_option(spec)
    model = types.Model(
        display_name=spec.display_name, container_spec=serving_options.container_for(spec.options, container)
    )
    if spec.artifact_uri:
        model.artifact_uri = spec.artifact_uri
    else:
        name, _at, version = long_name(spec.publisher_model).partition("@")
        garden = types.ModelGardenSource(public_model_name=name, version_id=version)
        model.base_model_source = types.Model.BaseModelSource(model_garden_source=garden)
    parent = spec.endpoint.rpartition("/endpoints/")[0]
    return types.UploadModelRequest(parent=parent, model_id=spec.model_user_id, model=model)


def deploy_request(spec: DeployToExistingSpec, traffic_split: Mapping[str, int]) -> Any:
    machine = machine_of(spec.machine) if spec.machine else _find_option(spec)[1]
    parent = spec.endpoint.rpartition("/endpoints/")[0]
    deployed = types.DeployedModel(
        id=spec.deployed_model_id,
        model=f"{parent}/models/{spec.model_user_id}",
        display_name=spec.display_name,
        dedicated_resources=resources(spec, machine),
        system_labels={**spec.options.labels, **spec.labels},
        service_account=spec.options.service_account,
    )
    return types.DeployModelRequest(endpoint=spec.endpoint, deployed_model=deployed, traffic_split=dict(traffic_split))


def resources(wanted: DeploySpec | DeployToExistingSpec, machine: Any) -> Any:
    found = types.DedicatedResources(
        machine_spec=machine, min_replica_count=wanted.min_replicas, max_replica_count=wanted.max_replicas
    )
    serving_options.fill_in(found, wanted.options)
    return found


def machine_of(machine: MachineSpec) -> Any:
    spec = types.MachineSpec(machine_type=machine.machine_type)
    if machine.accelerator_type:
        if machine.accelerator_type not in types.AcceleratorType.__members__:
            raise Refused(_("%s isn't a Vertex AI accelerator.") % machine.accelerator_type, "INVALID_ARGUMENT")
        spec.accelerator_type = types.AcceleratorType.__members__[machine.accelerator_type]
        spec.accelerator_count = machine.accelerator_count
    return spec


def _find_option(spec: DeployToExistingSpec) -> tuple[Any, Any]:
    """The container and the machine: of the catalogue's first option that has the machine wanted, or for a folder."""
    options = _of_catalogue(spec.publisher_model) if spec.publisher_model else _of_folder(spec)
    wanted = spec.machine.machine_type if spec.machine else ""
    fitting = [option for option in options if wanted in ("", option[1].machine_type)] or options
    if not fitting:
        raise Refused(_("Vertex AI lists no machine for this model, so it can't be deployed."), "FAILED_PRECONDITION")
    return fitting[0]


def _of_catalogue(model: str) -> list[tuple[Any, Any]]:
    request = types.GetPublisherModelRequest(name=long_name(model))
    found = clients.ask(clients.client(SERVICE).get_publisher_model, request)
    return [(option.container_spec, option.dedicated_resources.machine_spec) for option in deploy_options(found)]


def _of_folder(spec: DeployToExistingSpec) -> list[tuple[Any, Any]]:
    location = clients.location_of(spec.endpoint)
    request = types.RecommendSpecRequest(parent=clients.parent(location), gcs_uri=spec.artifact_uri)
    found = clients.ask(clients.client(MODELS, location).recommend_spec, request)
    specs = [*found.specs, *(recommendation.spec for recommendation in found.recommendations)]
    return [(one.container_spec, one.machine_spec) for one in specs]

"""The two paid requests that deploy a model: with an endpoint of its own, or onto one that exists."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from jobs.models import DeployedModel
from jobs.services.remote.create_once import Binding, Creation, Foreign, is_ours, labels
from jobs.states import UNSURE, Phase
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway
from jobs.vertex.errors import NotFound
from jobs.vertex.local_settings import QUANTIZATION
from jobs.vertex.values import (
    DeploySpec,
    DeployToExistingSpec,
    MachineSpec,
    RemoteDeployedModel,
    RemoteEndpoint,
    ServingOptions,
)

from . import traffic, traffic_split
from .serving import spec as serving

WINDOW = timedelta(minutes=2)


def creation_of(row: DeployedModel) -> Creation:
    return DeployWithEndpoint(row) if row.comes_with_endpoint else DeployToExisting(row)


class Deployment:
    """Its ids are chosen by us, so deploying it again after a window cannot make a second one."""

    window, after_window = WINDOW, Phase.RETRY_OK

    def __init__(self, row: DeployedModel) -> None:
        self.row = row
        self.model = row.base_model

    def accept_licence(self) -> None:
        get_gateway().catalogue.acknowledge_licence(self.model)


class DeployWithEndpoint(Deployment):
    @property
    def name(self) -> str:
        return get_gateway().deployment.endpoint_name(self.row.endpoint.endpoint_user_id, self.row.location)

    def look(self) -> Binding | None:
        try:
            found = get_gateway().deployment.get_endpoint(self.name)
        except NotFound:
            return None
        if not is_ours(self.row, found.labels):
            raise Foreign(_("The endpoint ID %s is already in use. Deploy again.") % found.name)
        return {"resource_name": self.name}, []

    def prepare(self) -> Callable[[], Mapping[str, Any]]:
        deployment, name, spec = get_gateway().deployment, self.name, self._spec()
        return lambda: {"resource_name": name, "operation_name": deployment.deploy(spec)}

    def _spec(self) -> DeploySpec:
        row, endpoint = self.row, self.row.endpoint
        return DeploySpec(
            endpoint_user_id=endpoint.endpoint_user_id,
            model_user_id=row.model_user_id,
            endpoint_display_name=endpoint.display_name,
            model_display_name=row.display_name,
            publisher_model=row.publisher_model,
            artifact_uri=row.artifact_uri,
            accept_eula=row.accepts_licence,
            machine=_machine(row),
            labels=labels(row),
            min_replicas=row.min_replicas,
            max_replicas=row.max_replicas,
            spot=row.spot,
            shared_address=endpoint.shared_address,
            location=row.location,
            options=_options(row),
        )


class DeployToExisting(Deployment):
    def __init__(self, row: DeployedModel) -> None:
        super().__init__(row)
        self.traffic: Mapping[str, int] = {}

    def look(self) -> Binding | None:
        """While it is deployed it is not on the endpoint yet; the operation there is, and no other is begun by us."""
        deployment = get_gateway().deployment
        remote = deployment.get_endpoint(self.row.resource_name)
        self.traffic = traffic.read_split(remote)
        if found := on(remote, self.row):
            if not _serves(found, self.row):
                raise Foreign(_("The deployed model ID %s is already in use. Deploy again.") % found.id)
            return {}, []
        running = deployment.find_deployment(remote.name) if self.row.phase in UNSURE else None
        return ({"operation_name": running.name}, []) if running and not running.done else None

    def prepare(self) -> Callable[[], Mapping[str, Any]]:
        deployment, wanted = get_gateway().deployment, existing_spec(self.row)
        split = traffic_split.with_new(self.traffic, self.row.share)
        return lambda: {"operation_name": deployment.deploy_to_existing(wanted, split)}


def existing_spec(row: DeployedModel) -> DeployToExistingSpec:
    return DeployToExistingSpec(
        endpoint=row.resource_name,
        deployed_model_id=row.deployed_model_id,
        model_user_id=row.model_user_id,
        display_name=row.display_name,
        publisher_model=row.publisher_model,
        artifact_uri=row.artifact_uri,
        machine=_machine(row),
        labels=labels(row),
        min_replicas=row.min_replicas,
        max_replicas=row.max_replicas,
        options=_options(row),
    )


def _options(row: DeployedModel) -> ServingOptions:
    """In Google's units and names."""
    asked = serving.ServingOptions.from_json(row.serving_options)
    return ServingOptions(
        idle_seconds=None if asked.idle_minutes is None else asked.idle_minutes * 60,
        reservation=asked.reservation,
        reservations=asked.reservations,
        flex_start_seconds=None if asked.flex_start_hours is None else asked.flex_start_hours * 3600,
        autoscaling={serving.METRICS[name]: target for name, target in asked.autoscaling.items()},
        service_account=asked.service_account,
        labels=system_labels(asked),
        context_tokens=asked.context_tokens,
    )


def system_labels(asked: serving.ServingOptions) -> dict[str, str]:
    """System labels are the one place of a deployment for what Google's API has no field for."""
    return {**asked.endpoint_labels, **({QUANTIZATION: asked.precision} if asked.precision else {})}


def _machine(row: DeployedModel) -> MachineSpec | None:
    machine = MachineSpec(row.machine_type, row.accelerator_type, row.accelerator_count)
    return machine if row.machine_type else None


def on(remote: RemoteEndpoint, row: DeployedModel) -> RemoteDeployedModel | None:
    """Vertex AI chooses the id of one that comes with its endpoint, where it is alone at first."""
    if row.deployed_model_id:
        return next((model for model in remote.deployed_models if model.id == row.deployed_model_id), None)
    return next(iter(sorted(remote.deployed_models, key=lambda model: not _serves(model, row))), None)


def _serves(found: RemoteDeployedModel, row: DeployedModel) -> bool:
    """By the last part of the name: the project comes as an id or as a number."""
    return found.model.rpartition("/")[2].partition("@")[0] == row.model_user_id

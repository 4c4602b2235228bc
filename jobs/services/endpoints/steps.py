"""One step of an endpoint. The operation that runs is in the row; when it is lost, looking at the endpoint will do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings

from jobs.models import Endpoint, EventLevel
from jobs.services.remote.create_once import UNSENT, UNSURE, Binding, Foreign, Submission, is_ours, labels
from jobs.services.remote.row_lease import NOW, Claim, Outcome, pause, poll_seconds
from jobs.states import EndpointState, Phase
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway
from jobs.vertex.errors import NotFound, VertexError
from jobs.vertex.port import DeployedModel, DeploySpec, MachineSpec, RemoteEndpoint, RemoteError

from . import further_looks, scaling, traffic
from .removal import (
    BROKEN,
    DONE,
    PATIENCE,
    deleted,
    get,
    look_deleting,
    look_undeploying,
    undeployed,
    waiting,
)

WATCH = timedelta(seconds=60)
WINDOW = timedelta(minutes=2)
MISSES = 3


def step(claimed: Claim[Endpoint]) -> Outcome:
    return timed(claimed, _step(claimed))


def timed(claimed: Claim[Any], outcome: Outcome) -> Outcome:
    """Remembers when each stage of the deployment was seen first."""
    row = claimed.row
    stage = outcome.changes.get("stage", "")
    if not stage or stage == row.stage or row.state != EndpointState.DEPLOYING:
        return outcome
    times = [*row.stage_times, [stage, claimed.now.isoformat(timespec="seconds")]]
    return replace(outcome, changes={**outcome.changes, "stage_times": times})


def _step(claimed: Claim[Endpoint]) -> Outcome:
    endpoint = claimed.row
    ending = endpoint.state in (EndpointState.UNDEPLOYING, EndpointState.DELETING)
    if endpoint.phase in UNSENT or endpoint.phase == Phase.CLOSED:
        if ending:
            return deleted(claimed)
        return Outcome(None) if endpoint.phase == Phase.CLOSED else _submit(claimed)
    if endpoint.phase in UNSURE:
        return _submit(claimed)
    if endpoint.operation_name:
        return _follow(claimed)
    return _LOOKS[EndpointState(endpoint.state)](claimed)


def _submit(claimed: Claim[Endpoint]) -> Outcome:
    return Submission(claimed, EndpointCreation(claimed.row)).step()


class EndpointCreation:
    """Its ids are chosen by us, so creating it again after a window cannot make a second one."""

    window, after_window = WINDOW, Phase.RETRY_OK

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.model = endpoint.base_model

    @property
    def name(self) -> str:
        return get_gateway().deployment.endpoint_name(self.endpoint.endpoint_user_id)

    def look(self) -> Binding | None:
        try:
            found = get_gateway().deployment.get_endpoint(self.name)
        except NotFound:
            return None
        if not is_ours(self.endpoint, found.labels):
            raise Foreign(_("The endpoint id %s is taken by another endpoint. Deploy again.") % found.name)
        return {"resource_name": self.name}, []

    def prepare(self) -> Callable[[], Mapping[str, Any]]:
        deployment, name, spec = get_gateway().deployment, self.name, self._spec()
        return lambda: {"resource_name": name, "operation_name": deployment.deploy(spec)}

    def accept_licence(self) -> None:
        get_gateway().catalogue.acknowledge_licence(self.model)

    def _spec(self) -> DeploySpec:
        row = self.endpoint
        machine = MachineSpec(row.machine_type, row.accelerator_type, row.accelerator_count)
        return DeploySpec(
            endpoint_user_id=row.endpoint_user_id,
            model_user_id=row.model_user_id,
            endpoint_display_name=row.display_name,
            model_display_name=row.model_display_name or row.display_name,
            publisher_model=row.publisher_model,
            artifact_uri=row.artifact_uri,
            accept_eula=row.accepts_licence,
            machine=machine if row.machine_type else None,
            labels=labels(row),
            min_replicas=row.min_replicas,
            max_replicas=row.max_replicas,
            spot=row.spot,
            shared_address=row.shared_address,
        )


def _follow(claimed: Claim[Endpoint]) -> Outcome:
    """Whatever operation it is: wait for its end, then look at what there is. An expired one is as good as ended."""
    endpoint = claimed.row
    try:
        operation = get_gateway().deployment.get_operation(endpoint.operation_name)
    except NotFound:
        return Outcome(NOW, {"operation_name": ""})
    deploying = endpoint.state == EndpointState.DEPLOYING
    if not operation.done:
        return Outcome(poll_seconds(), {"stage": operation.stage or _stage(endpoint), "notice": waiting(endpoint)})
    if operation.error and deploying:
        return _not_deployed(claimed, operation.error)
    if endpoint.state == EndpointState.READY:
        return scaling.ended(claimed, operation.error)
    if operation.error:
        return Outcome(pause(), {"operation_name": "", "stage": BROKEN, "notice": operation.error.message})
    return Outcome(NOW, {"operation_name": "", "stage": DONE})


def _stage(endpoint: Endpoint) -> str:
    """How far the deployment is: the operation of the request itself does not tell, the one on the endpoint does."""
    if endpoint.state != EndpointState.DEPLOYING:
        return endpoint.stage
    try:
        deployment = get_gateway().deployment.find_deployment(endpoint.resource_name)
    except VertexError:
        return endpoint.stage
    return deployment.stage if deployment and deployment.stage else endpoint.stage


def _not_deployed(claimed: Claim[Endpoint], error: RemoteError) -> Outcome:
    """This machine is the only one that a local Vertex AI has."""
    local = _("%s. Put that right on the machine that serves it, then deploy again.")
    elsewhere = _("%s. Choose another machine or region, or deploy again.")
    sentence = (local if settings.VERTEX_API_ENDPOINT else elsewhere) % error.message.rstrip(".")
    return _failed(claimed, error.code, sentence)


def _failed(claimed: Claim[Endpoint], code: str, sentence: str) -> Outcome:
    """Stays bound: the empty endpoint that a failed deployment leaves behind can still be deleted from here."""
    changes = {
        "state": EndpointState.FAILED, "operation_name": "", "stage": BROKEN, "error_code": code,
        "error_message": sentence, "ended_at": claimed.now, "notice": "",
    }  # fmt: skip
    return Outcome(None, changes, [(EventLevel.ERROR, sentence)])


def _look_deploying(claimed: Claim[Endpoint]) -> Outcome:
    endpoint, remote = claimed.row, get(claimed.row)
    if remote is None:
        return _missing(claimed, _failed(claimed, "NOT_FOUND", _("It is gone from Vertex AI. Deploy it again.")))
    for model in remote.deployed_models:
        if model.available_replicas != 0 or model.is_asleep:
            return _ready(endpoint, claimed, remote, model)
    deployment = get_gateway().deployment.find_deployment(endpoint.resource_name)
    if deployment and deployment.error:
        return _not_deployed(claimed, deployment.error)
    if deployment and not deployment.done:
        return Outcome(poll_seconds(), {"operation_name": deployment.name, "stage": deployment.stage})
    if claimed.now - (endpoint.submit_started_at or endpoint.created_at) > PATIENCE:
        return _failed(claimed, "DEADLINE_EXCEEDED", _("No model was deployed within two hours. Delete it, try again."))
    return Outcome(poll_seconds(), {"empty_looks": 0, "notice": ""})


def _ready(endpoint: Endpoint, claimed: Claim[Endpoint], remote: RemoteEndpoint, model: DeployedModel) -> Outcome:
    changes = {
        "state": EndpointState.READY, "started_at": claimed.now, "stage": DONE, "notice": "", "empty_looks": 0,
        "dedicated_dns": remote.dedicated_dns, "deployed_model_id": model.id,
        "model_resource_name": get_gateway().deployment.model_name(endpoint.model_user_id),
        "available_replicas": model.available_replicas, "traffic": traffic.seen(remote),
    }  # fmt: skip
    sentence = _("The endpoint %s is ready.") % endpoint.display_name
    again = WATCH if remote.dedicated_dns or endpoint.shared_address else poll_seconds()
    if scaling.differs(endpoint, model):
        changes["replicas_asked_at"], again = claimed.now, NOW
    begin = partial(_begin_lease, endpoint.pk, claimed)
    return Outcome(again, changes, [(EventLevel.INFO, sentence)], also=begin)


def _begin_lease(endpoint_id: UUID, claimed: Claim[Endpoint]) -> None:
    """In the transaction that makes it ready, from the row as it is then: a person may have set the lease meanwhile."""
    row = Endpoint.objects.filter(pk=endpoint_id, lease_hours__isnull=False).first()
    if row and row.lease_hours:
        Endpoint.objects.filter(pk=endpoint_id).update(undeploy_at=claimed.now + timedelta(hours=row.lease_hours))


def _look_ready(claimed: Claim[Endpoint]) -> Outcome:
    """Others can change it behind our back: the row follows."""
    row, remote = claimed.row, get(claimed.row)
    if remote is None:
        return _missing(claimed, deleted(claimed, _("It was deleted outside this console.")))
    if not remote.deployed_models:
        if row.further.transient().exists():
            return Outcome(poll_seconds())
        return undeployed(claimed, _("Its model was undeployed outside this console."))
    model = _own(row, remote)
    if row.replicas_asked_at:
        return scaling.change(claimed, model)
    if row.traffic_asked_at:
        return traffic.change(claimed, remote)
    return _seen(claimed, remote, model)


def _own(row: Endpoint, remote: RemoteEndpoint) -> DeployedModel:
    return next(
        (model for model in remote.deployed_models if model.id == row.deployed_model_id), remote.deployed_models[0]
    )


def _seen(claimed: Claim[Endpoint], remote: RemoteEndpoint, model: DeployedModel) -> Outcome:
    idle = all(model.available_replicas == 0 for model in remote.deployed_models)
    asleep = idle and all(model.is_asleep for model in remote.deployed_models)
    notice = _without_replicas(remote.deployed_models) if idle and not asleep else ""
    dns = remote.dedicated_dns or claimed.row.dedicated_dns
    has_address = dns or claimed.row.shared_address
    again = poll_seconds() if idle or not has_address else WATCH
    changes = {
        "dedicated_dns": dns, "notice": notice, "empty_looks": 0, "is_asleep": asleep,
        "traffic": traffic.seen(remote),
    }  # fmt: skip
    also = partial(further_looks.follow, claimed.row.pk, remote, claimed.now)
    return Outcome(again, {**changes, **scaling.seen(model)}, also=also)


def _without_replicas(models: Sequence[DeployedModel]) -> str:
    told = next((model.message for model in models if model.message), "")
    if told:
        return _("No replica is running at the moment. Vertex AI says: %s") % told
    return _("No replica is running at the moment; Vertex AI may be starting one.")


def _missing(claimed: Claim[Endpoint], in_the_end: Outcome) -> Outcome:
    """Absence is believed at the third look."""
    looks = claimed.row.empty_looks + 1
    return in_the_end if looks >= MISSES else Outcome(pause(), {"empty_looks": looks})


_LOOKS: dict[EndpointState, Callable[[Claim[Endpoint]], Outcome]] = {
    EndpointState.DEPLOYING: _look_deploying,
    EndpointState.READY: _look_ready,
    EndpointState.UNDEPLOYING: look_undeploying,
    EndpointState.DELETING: look_deleting,
    EndpointState.UNDEPLOYED: lambda claimed: Outcome(None),
    EndpointState.FAILED: lambda claimed: Outcome(None),
    EndpointState.DELETED: lambda claimed: Outcome(None),
}

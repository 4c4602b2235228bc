"""One step of a model that is put on an endpoint beside others, or taken away from it."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from jobs.models import Endpoint, EventLevel, FurtherModel
from jobs.services.remote.create_once import UNSENT, UNSURE, Binding, Foreign, Submission, labels
from jobs.services.remote.row_lease import NOW, Claim, Outcome, pause, poll_seconds
from jobs.states import DEPLOYED_LIVE, DeployedState, EndpointState, Phase
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway
from jobs.vertex.errors import AlreadyExists, NotFound, Refused, VertexError
from jobs.vertex.port import DeployedModel, MachineSpec, OntoSpec, RemoteEndpoint, RemoteOperation

from . import traffic as endpoint_traffic, traffic_split
from .removal import BROKEN, DONE, PATIENCE, get, still_deploying, waiting
from .steps import WINDOW, timed

MACHINE = ("machine_type", "accelerator_type", "accelerator_count")


def step(claimed: Claim[FurtherModel]) -> Outcome:
    return timed(claimed, _step(claimed))


def _step(claimed: Claim[FurtherModel]) -> Outcome:
    row = claimed.row
    if row.state not in DEPLOYED_LIVE:
        return Outcome(None)
    if row.phase == Phase.CLOSED:
        # It failed while somebody asked to take it away.
        return gone(claimed, None)
    if row.phase in UNSENT:
        return _begin(claimed)
    if row.phase in UNSURE:
        return _submit(claimed)
    if row.operation_name:
        return _follow(claimed)
    return _LOOKS[DeployedState(row.state)](claimed)


def _begin(claimed: Claim[FurtherModel]) -> Outcome:
    """First the model has to be in the registry, which costs nothing."""
    row = claimed.row
    if row.endpoint.state != EndpointState.READY:
        return _failed(claimed, "FAILED_PRECONDITION", _("The endpoint is not ready any more."))
    if row.operation_name:
        return _follow_upload(claimed)
    return _submit(claimed) if row.model_resource_name else _upload(claimed)


def _upload(claimed: Claim[FurtherModel]) -> Outcome:
    """The id is ours, so one that exists was uploaded before."""
    try:
        return Outcome(NOW, {"operation_name": get_gateway().deployment.upload_model(spec(claimed.row))})
    except AlreadyExists:
        return _uploaded(claimed)
    except Refused as error:
        return _failed(claimed, error.code, str(error))


def _uploaded(claimed: Claim[FurtherModel]) -> Outcome:
    name = get_gateway().deployment.model_name(claimed.row.model_user_id)
    return Outcome(NOW, {"operation_name": "", "model_resource_name": name, "notice": ""})


def _follow_upload(claimed: Claim[FurtherModel]) -> Outcome:
    operation = _operation(claimed.row)
    if operation is None:
        return _uploaded(claimed)
    if not operation.done:
        return Outcome(poll_seconds())
    if operation.error:
        return _failed(claimed, operation.error.code, operation.error.message)
    return _uploaded(claimed)


def _submit(claimed: Claim[FurtherModel]) -> Outcome:
    return Submission(claimed, FurtherCreation(claimed.row)).step()


class FurtherCreation:
    """Its deployed model id is chosen by us, so deploying it again after a window cannot make a second one."""

    window, after_window = WINDOW, Phase.RETRY_OK

    def __init__(self, row: FurtherModel) -> None:
        self.row = row
        self.model = row.base_model
        self.traffic: Mapping[str, int] = {}

    def look(self) -> Binding | None:
        """While it is deployed it is not on the endpoint yet; the operation there is, and no other is begun by us."""
        deployment = get_gateway().deployment
        remote = deployment.get_endpoint(self.row.resource_name)
        self.traffic = endpoint_traffic.seen(remote)
        if found := on(remote, self.row):
            if not _is_ours(found, self.row):
                raise Foreign(_("The deployed model id %s is taken by another model. Deploy again.") % found.id)
            return {}, []
        running = deployment.find_deployment(remote.name) if self.row.phase in UNSURE else None
        return ({"operation_name": running.name}, []) if running and not running.done else None

    def prepare(self) -> Callable[[], Mapping[str, Any]]:
        deployment, wanted = get_gateway().deployment, spec(self.row)
        split = traffic_split.with_new(self.traffic, self.row.share)
        return lambda: {"operation_name": deployment.deploy_onto(wanted, split)}

    def accept_licence(self) -> None:
        get_gateway().catalogue.acknowledge_licence(self.model)


def spec(row: FurtherModel) -> OntoSpec:
    machine = MachineSpec(row.machine_type, row.accelerator_type, row.accelerator_count)
    return OntoSpec(
        endpoint=row.resource_name,
        deployed_model_id=row.deployed_model_id,
        model_user_id=row.model_user_id,
        display_name=row.display_name,
        publisher_model=row.publisher_model,
        artifact_uri=row.artifact_uri,
        machine=machine if row.machine_type else None,
        labels=labels(row),
        min_replicas=row.min_replicas,
        max_replicas=row.max_replicas,
    )


def on(remote: RemoteEndpoint, row: FurtherModel) -> DeployedModel | None:
    return next((model for model in remote.deployed_models if model.id == row.deployed_model_id), None)


def _is_ours(found: DeployedModel, row: FurtherModel) -> bool:
    """By the last part of the name: the project comes as an id or as a number."""
    return found.model.rpartition("/")[2].partition("@")[0] == row.model_user_id


def _follow(claimed: Claim[FurtherModel]) -> Outcome:
    row = claimed.row
    operation = _operation(row)
    if operation is None:
        return Outcome(NOW, {"operation_name": ""})
    if not operation.done:
        return Outcome(poll_seconds(), {"stage": operation.stage or row.stage, "notice": waiting(row)})
    if operation.error and row.state == DeployedState.DEPLOYING:
        return _failed(claimed, operation.error.code, operation.error.message)
    if operation.error:
        changes = {"operation_name": "", "stage": BROKEN, "notice": operation.error.message}
        return Outcome(pause(), changes)
    return Outcome(NOW, {"operation_name": "", "stage": DONE})


def _operation(row: FurtherModel) -> RemoteOperation | None:
    """None for one that has expired, which is as good as ended."""
    try:
        return get_gateway().deployment.get_operation(row.operation_name)
    except NotFound:
        return None


def _look_deploying(claimed: Claim[FurtherModel]) -> Outcome:
    row, remote = claimed.row, get(claimed.row)
    if remote is None:
        return _failed(claimed, "NOT_FOUND", _("The endpoint is gone from Vertex AI."))
    found = on(remote, row)
    if found and (found.available_replicas != 0 or found.is_asleep):
        return _ready(claimed, remote, found)
    deployment = get_gateway().deployment.find_deployment(row.resource_name)
    if deployment and deployment.error and not found:
        return _failed(claimed, deployment.error.code, deployment.error.message)
    if deployment and not deployment.done:
        return Outcome(poll_seconds(), {"operation_name": deployment.name, "stage": deployment.stage})
    if claimed.now - (row.submit_started_at or row.created_at) > PATIENCE:
        return _failed(claimed, "DEADLINE_EXCEEDED", _("The model was not deployed within two hours."))
    return Outcome(poll_seconds(), {"notice": ""})


def _ready(claimed: Claim[FurtherModel], remote: RemoteEndpoint, found: DeployedModel) -> Outcome:
    row, traffic = claimed.row, endpoint_traffic.seen(remote)
    changes = {
        "state": DeployedState.READY, "started_at": claimed.now, "stage": DONE, "notice": "",
        "available_replicas": found.available_replicas,
    }  # fmt: skip
    if found.machine and not row.machine_type:
        changes |= {name: getattr(found.machine, name) for name in MACHINE}
    words = {"model": row.display_name, "share": traffic[row.deployed_model_id]}
    sentence = _("%(model)s is deployed and gets %(share)d %% of the traffic.") % words
    return Outcome(None, changes, [(EventLevel.INFO, sentence)], also=partial(_saw, row.endpoint_id, traffic))


def _look_undeploying(claimed: Claim[FurtherModel]) -> Outcome:
    row, remote = claimed.row, get(claimed.row)
    if remote and on(remote, row):
        return _undeploy(claimed, remote)
    if remote and (outcome := still_deploying(claimed)):
        return outcome
    return gone(claimed, remote)


def _undeploy(claimed: Claim[FurtherModel], remote: RemoteEndpoint) -> Outcome:
    row = claimed.row
    split = traffic_split.without(endpoint_traffic.seen(remote), row.deployed_model_id, row.split_after)
    try:
        operation = get_gateway().deployment.undeploy(row.resource_name, row.deployed_model_id, split)
    except NotFound:
        return Outcome(poll_seconds())
    return Outcome(NOW, {"operation_name": operation, "notice": "", "stage": DONE})


def gone(claimed: Claim[FurtherModel], remote: RemoteEndpoint | None) -> Outcome:
    row = claimed.row
    _forget_model(row)
    changes = {
        "state": DeployedState.UNDEPLOYED, "phase": Phase.CLOSED, "operation_name": "", "ended_at": claimed.now,
        "available_replicas": None, "notice": "",
    }  # fmt: skip
    also = partial(_saw, row.endpoint_id, endpoint_traffic.seen(remote)) if remote else None
    return Outcome(None, changes, [(EventLevel.INFO, _("%s was undeployed.") % row.display_name)], also=also)


def _failed(claimed: Claim[FurtherModel], code: str, reason: str) -> Outcome:
    row = claimed.row
    _forget_model(row)
    sentence = _("%(model)s was not deployed: %(reason)s") % {"model": row.display_name, "reason": reason}
    changes = {
        "state": DeployedState.FAILED, "phase": Phase.CLOSED, "operation_name": "", "stage": BROKEN,
        "error_code": code, "error_message": reason, "ended_at": claimed.now, "notice": "",
    }  # fmt: skip
    return Outcome(None, changes, [(EventLevel.ERROR, sentence)])


def _forget_model(row: FurtherModel) -> None:
    """One that cannot be deleted costs nothing to keep."""
    deployment = get_gateway().deployment
    with suppress(VertexError):
        deployment.delete_model(deployment.model_name(row.model_user_id))


def _saw(endpoint_id: UUID, traffic: dict[str, int]) -> None:
    """After the commit: the endpoint's row is locked before those of its models, never the other way round. When this
    is lost, the next look at the endpoint tells the same."""
    endpoint = Endpoint.objects.filter(pk=endpoint_id, state=EndpointState.READY)
    transaction.on_commit(lambda: endpoint.update(traffic=traffic))


_LOOKS: dict[DeployedState, Callable[[Claim[FurtherModel]], Outcome]] = {
    DeployedState.DEPLOYING: _look_deploying,
    DeployedState.READY: lambda claimed: Outcome(None),
    DeployedState.UNDEPLOYING: _look_undeploying,
}

"""One step of an endpoint. The operation that runs is in the row; when it is lost, looking at the endpoint will do."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _

from jobs.models import Endpoint, EventLevel
from jobs.states import EndpointState, Phase
from jobs.vertex import get_gateway
from jobs.vertex.errors import NotFound, Refused
from jobs.vertex.port import DeployedModel, DeploySpec, MachineSpec, RemoteEndpoint, RemoteError

from .leases import NOW, Claim, Outcome, pause, poll_seconds
from .submission import UNSENT, UNSURE, Binding, Foreign, Submission, is_ours, labels

WATCH = timedelta(seconds=60)
WINDOW = timedelta(minutes=2)
PATIENCE = timedelta(hours=2)
MISSES = 3
DONE, BROKEN = "SUCCESSFULLY_DEPLOYED", "FAILED_TO_DEPLOY"


def step(claimed: Claim[Endpoint]) -> Outcome:
    endpoint = claimed.row
    ending = endpoint.state in (EndpointState.UNDEPLOYING, EndpointState.DELETING)
    if endpoint.phase in UNSENT or endpoint.phase == Phase.CLOSED:
        if ending:
            return _deleted(claimed)
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

    def create(self) -> Mapping[str, Any]:
        operation = get_gateway().deployment.deploy(self._spec())
        return {"resource_name": self.name, "operation_name": operation}

    def accept_licence(self) -> None:
        get_gateway().catalogue.acknowledge_licence(self.model)

    def _spec(self) -> DeploySpec:
        row = self.endpoint
        machine = MachineSpec(row.machine_type, row.accelerator_type, row.accelerator_count)
        return DeploySpec(
            endpoint_user_id=row.endpoint_user_id,
            model_user_id=row.model_user_id,
            endpoint_display_name=row.display_name,
            model_display_name=row.display_name,
            publisher_model=row.publisher_model,
            artifact_uri=row.artifact_uri,
            accept_eula=row.accepts_licence,
            machine=machine if row.machine_type else None,
            labels=labels(row),
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
        return Outcome(poll_seconds(), {"stage": operation.stage or endpoint.stage, "notice": _waiting(endpoint)})
    if operation.error and deploying:
        return _not_deployed(claimed, operation.error)
    if operation.error:
        return Outcome(pause(), {"operation_name": "", "stage": BROKEN, "notice": operation.error.message})
    changes = {"operation_name": "", "stage": DONE}
    if model := operation.response.get("model"):
        changes["model_resource_name"] = str(model)
    return Outcome(NOW, changes)


def _waiting(endpoint: Endpoint) -> str:
    if endpoint.state != EndpointState.DEPLOYING and endpoint.stage not in (DONE, BROKEN):
        return _("Waiting for Vertex AI to finish the deployment first.")
    return ""


def _not_deployed(claimed: Claim[Endpoint], error: RemoteError) -> Outcome:
    sentence = _("%s. Choose another machine or region, or deploy again.") % error.message.rstrip(".")
    return _failed(claimed, error.code, sentence)


def _failed(claimed: Claim[Endpoint], code: str, sentence: str) -> Outcome:
    """Stays bound: the empty endpoint that a failed deployment leaves behind can still be deleted from here."""
    changes = {
        "state": EndpointState.FAILED, "operation_name": "", "stage": BROKEN, "error_code": code,
        "error_message": sentence, "ended_at": claimed.now, "notice": "",
    }  # fmt: skip
    return Outcome(None, changes, [(EventLevel.ERROR, sentence)])


def _deleted(claimed: Claim[Endpoint], notice: str = "") -> Outcome:
    changes = {
        "state": EndpointState.DELETED, "phase": Phase.CLOSED, "operation_name": "", "ended_at": claimed.now,
        "notice": notice,
    }  # fmt: skip
    return Outcome(None, changes, [(EventLevel.INFO, _("The endpoint %s was deleted.") % claimed.row.display_name)])


def _get(endpoint: Endpoint) -> RemoteEndpoint | None:
    try:
        return get_gateway().deployment.get_endpoint(endpoint.resource_name)
    except NotFound:
        return None


def _look_deploying(claimed: Claim[Endpoint]) -> Outcome:
    endpoint, remote = claimed.row, _get(claimed.row)
    if remote is None:
        return _missing(claimed, _failed(claimed, "NOT_FOUND", _("It is gone from Vertex AI. Deploy it again.")))
    for model in remote.deployed_models:
        if model.available_replicas != 0:
            return _ready(endpoint, claimed, remote, model)
    if claimed.now - (endpoint.submit_started_at or endpoint.created_at) > PATIENCE:
        return _failed(claimed, "DEADLINE_EXCEEDED", _("No model was deployed within two hours. Delete it, try again."))
    return Outcome(poll_seconds(), {"empty_looks": 0, "notice": ""})


def _ready(endpoint: Endpoint, claimed: Claim[Endpoint], remote: RemoteEndpoint, model: DeployedModel) -> Outcome:
    changes = {
        "state": EndpointState.READY, "started_at": claimed.now, "stage": DONE, "notice": "", "empty_looks": 0,
        "dedicated_dns": remote.dedicated_dns, "deployed_model_id": model.id,
        "model_resource_name": model.model or endpoint.model_resource_name,
    }  # fmt: skip
    sentence = _("The endpoint %s is ready.") % endpoint.display_name
    return Outcome(WATCH if remote.dedicated_dns else poll_seconds(), changes, [(EventLevel.INFO, sentence)])


def _look_ready(claimed: Claim[Endpoint]) -> Outcome:
    """Others can change it behind our back: the row follows."""
    remote = _get(claimed.row)
    if remote is None:
        return _missing(claimed, _deleted(claimed, _("It was deleted outside this console.")))
    if not remote.deployed_models:
        return _undeployed(claimed, _("Its model was undeployed outside this console."))
    idle = all(model.available_replicas == 0 for model in remote.deployed_models)
    notice = _("No replica is running at the moment; Vertex AI may be starting one.") if idle else ""
    dns = remote.dedicated_dns or claimed.row.dedicated_dns
    again = poll_seconds() if idle or not dns else WATCH
    return Outcome(again, {"dedicated_dns": dns, "notice": notice, "empty_looks": 0})


def _missing(claimed: Claim[Endpoint], in_the_end: Outcome) -> Outcome:
    """Absence is believed at the third look."""
    looks = claimed.row.empty_looks + 1
    return in_the_end if looks >= MISSES else Outcome(pause(), {"empty_looks": looks})


def _undeployed(claimed: Claim[Endpoint], notice: str = "") -> Outcome:
    changes = {
        "state": EndpointState.UNDEPLOYED, "deployed_model_id": "", "ended_at": claimed.now, "notice": notice,
    }  # fmt: skip
    sentence = _("The endpoint %s was undeployed.") % claimed.row.display_name
    return Outcome(None, changes, [(EventLevel.INFO, sentence)])


def _look_undeploying(claimed: Claim[Endpoint]) -> Outcome:
    remote = _get(claimed.row)
    if remote is None:
        return _deleted(claimed)
    if remote.deployed_models:
        return _undeploy(claimed, remote.deployed_models[0])
    return _still_deploying(claimed) or _undeployed(claimed)


def _look_deleting(claimed: Claim[Endpoint]) -> Outcome:
    remote = _get(claimed.row)
    if remote is None:
        return _delete_model(claimed)
    if remote.deployed_models:
        return _undeploy(claimed, remote.deployed_models[0])
    if waiting := _still_deploying(claimed):
        return waiting
    return _begin(claimed, get_gateway().deployment.delete_endpoint(remote.name))


def _still_deploying(claimed: Claim[Endpoint]) -> Outcome | None:
    """The deployment's operation was lost and its model has not appeared: ending now would leave it running, unseen."""
    endpoint = claimed.row
    if endpoint.started_at or endpoint.stage in (DONE, BROKEN):
        return None
    if claimed.now - (endpoint.submit_started_at or endpoint.created_at) > PATIENCE:
        return None
    return Outcome(pause(), {"notice": _waiting(endpoint)})


def _undeploy(claimed: Claim[Endpoint], model: DeployedModel) -> Outcome:
    try:
        return _begin(claimed, get_gateway().deployment.undeploy(claimed.row.resource_name, model.id))
    except NotFound:
        return Outcome(poll_seconds())


def _begin(claimed: Claim[Endpoint], operation: str) -> Outcome:
    return Outcome(NOW, {"operation_name": operation, "notice": "", "stage": DONE})


def _delete_model(claimed: Claim[Endpoint]) -> Outcome:
    """A model that cannot be deleted costs nothing to keep; it does not keep the endpoint from being deleted."""
    deployment, endpoint = get_gateway().deployment, claimed.row
    name = endpoint.model_resource_name or deployment.model_name(endpoint.model_user_id)
    try:
        return _begin(claimed, deployment.delete_model(name.partition("@")[0]))
    except NotFound:
        return _deleted(claimed)
    except Refused as error:
        return _deleted(claimed, _("Its model stays in Vertex AI: %s") % error)


_LOOKS: dict[EndpointState, Callable[[Claim[Endpoint]], Outcome]] = {
    EndpointState.DEPLOYING: _look_deploying,
    EndpointState.READY: _look_ready,
    EndpointState.UNDEPLOYING: _look_undeploying,
    EndpointState.DELETING: _look_deleting,
    EndpointState.UNDEPLOYED: lambda claimed: Outcome(None),
    EndpointState.FAILED: lambda claimed: Outcome(None),
    EndpointState.DELETED: lambda claimed: Outcome(None),
}

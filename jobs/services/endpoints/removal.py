"""Takes an endpoint down: undeploy, delete it, delete its model. What is gone already counts as done."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from jobs.models import Endpoint, EventLevel, FurtherModel, ServedModel
from jobs.services.remote.row_lease import NOW, Claim, Outcome, pause, poll_seconds
from jobs.states import EndpointState, Phase
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway
from jobs.vertex.errors import NotFound, Refused
from jobs.vertex.port import RemoteEndpoint

from . import further_looks, traffic_split

PATIENCE = timedelta(hours=2)
DONE, BROKEN = "SUCCESSFULLY_DEPLOYED", "FAILED_TO_DEPLOY"


def look_undeploying(claimed: Claim[Endpoint]) -> Outcome:
    remote = get(claimed.row)
    if remote is None:
        return deleted(claimed)
    if remote.deployed_models:
        return _undeploy(claimed, remote)
    return still_deploying(claimed) or _others_deploying(claimed) or undeployed(claimed)


def look_deleting(claimed: Claim[Endpoint]) -> Outcome:
    remote = get(claimed.row)
    if remote is None:
        return _delete_model(claimed)
    if remote.deployed_models:
        return _undeploy(claimed, remote)
    if outcome := still_deploying(claimed) or _others_deploying(claimed):
        return outcome
    return _begin(claimed, get_gateway().deployment.delete_endpoint(remote.name))


def _others_deploying(claimed: Claim[Endpoint]) -> Outcome | None:
    """A further model whose deployment still runs appears when nobody looks any more; its own row waits for that."""
    if not claimed.row.further.live().exists():
        return None
    return Outcome(poll_seconds(), {"notice": _("Waiting for the deployment of another model to end first.")})


def still_deploying(claimed: Claim[Any]) -> Outcome | None:
    """The deployment's operation was lost and its model has not appeared: ending now would leave it running, unseen."""
    endpoint = claimed.row
    if endpoint.started_at or endpoint.stage in (DONE, BROKEN):
        return None
    if claimed.now - (endpoint.submit_started_at or endpoint.created_at) > PATIENCE:
        return None
    deployment = get_gateway().deployment.find_deployment(endpoint.resource_name)
    if deployment and deployment.done:
        return Outcome(NOW, {"stage": BROKEN if deployment.error else DONE})
    if deployment:
        return Outcome(poll_seconds(), {"operation_name": deployment.name, "notice": waiting(endpoint)})
    return Outcome(pause(), {"notice": waiting(endpoint)})


def _undeploy(claimed: Claim[Endpoint], remote: RemoteEndpoint) -> Outcome:
    """The one with the least traffic first: what it has goes to those that are still there."""
    traffic = {model.id: remote.traffic_split.get(model.id, 0) for model in remote.deployed_models}
    chosen = min(traffic, key=lambda key: traffic[key])
    split = traffic_split.without(traffic, chosen)
    try:
        return _begin(claimed, get_gateway().deployment.undeploy(claimed.row.resource_name, chosen, split))
    except NotFound:
        return Outcome(poll_seconds())


def _begin(claimed: Claim[Endpoint], operation: str) -> Outcome:
    return Outcome(NOW, {"operation_name": operation, "notice": "", "stage": DONE})


def _delete_model(claimed: Claim[Endpoint]) -> Outcome:
    """A model that cannot be deleted costs nothing to keep; it does not keep the endpoint from being deleted."""
    deployment = get_gateway().deployment
    try:
        return _begin(claimed, deployment.delete_model(deployment.model_name(claimed.row.model_user_id)))
    except NotFound:
        return deleted(claimed)
    except Refused as error:
        return deleted(claimed, _("Its model stays in Vertex AI: %s") % error)


def deleted(claimed: Claim[Endpoint], notice: str = "") -> Outcome:
    changes = {
        "state": EndpointState.DELETED, "phase": Phase.CLOSED, "operation_name": "", "ended_at": claimed.now,
        "notice": notice,
    }  # fmt: skip
    sentence = _("The endpoint %s was deleted.") % claimed.row.display_name
    return Outcome(None, changes, [(EventLevel.INFO, sentence)], also=_closing(claimed))


def undeployed(claimed: Claim[Endpoint], notice: str = "") -> Outcome:
    changes = {
        "state": EndpointState.UNDEPLOYED, "deployed_model_id": "", "ended_at": claimed.now, "notice": notice,
        "undeploy_at": None, "replicas_asked_at": None, "available_replicas": None, "is_asleep": False, "traffic": {},
        "traffic_asked_at": None,
    }  # fmt: skip
    sentence = _("The endpoint %s was undeployed.") % claimed.row.display_name
    return Outcome(None, changes, [(EventLevel.INFO, sentence)], also=_closing(claimed))


def _closing(claimed: Claim[Endpoint]) -> Callable[[], None]:
    return partial(further_looks.close_all, claimed.row.pk, claimed.now)


def get(endpoint: ServedModel) -> RemoteEndpoint | None:
    try:
        return get_gateway().deployment.get_endpoint(endpoint.resource_name)
    except NotFound:
        return None


def waiting(endpoint: Endpoint | FurtherModel) -> str:
    if endpoint.state != EndpointState.DEPLOYING and endpoint.stage not in (DONE, BROKEN):
        return _("Waiting for Vertex AI to finish the deployment first.")
    return ""

"""Takes an endpoint down once its own models have left: what others deployed, the endpoint, what is in the registry.
What is gone already counts as done."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from jobs.models import DeployedModel, Endpoint, EventLevel
from jobs.services.remote.row_claim import NOW, Claim, Outcome, pause, poll_seconds
from jobs.states import EndpointState, Phase
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway
from jobs.vertex.errors import NotFound, Refused
from jobs.vertex.values import RemoteEndpoint

from . import endpoint_state, traffic, traffic_split

PATIENCE = timedelta(hours=2)
MISSES = 3
DONE, BROKEN = "SUCCESSFULLY_DEPLOYED", "FAILED_TO_DEPLOY"


def look_undeploying(claimed: Claim[Endpoint]) -> Outcome:
    if outcome := _wait_for_models(claimed):
        return outcome
    remote = get(claimed.row)
    if remote is None:
        return settle_deleted(claimed)
    return _undeploy(claimed, remote) if remote.deployed_models else settle_undeployed(claimed)


def look_deleting(claimed: Claim[Endpoint]) -> Outcome:
    if outcome := _wait_for_models(claimed):
        return outcome
    remote = get(claimed.row)
    if remote is None:
        return _delete_models(claimed)
    if remote.deployed_models:
        return _undeploy(claimed, remote)
    return _begin(claimed, get_gateway().deployment.delete_endpoint(remote.name))


def _wait_for_models(claimed: Claim[Endpoint]) -> Outcome | None:
    """They undeploy themselves; one whose deployment still runs appears when nobody looks any more."""
    live = list(claimed.row.deployed_models.live())
    notice = next((model.notice for model in live if model.notice), "")
    return Outcome(poll_seconds(), {"notice": notice}) if live else None


def still_deploying(claimed: Claim[DeployedModel]) -> Outcome | None:
    """The deployment's operation was lost and its model has not appeared: ending now would leave it running, unseen."""
    row = claimed.row
    if row.started_at or row.stage in (DONE, BROKEN):
        return None
    if claimed.now - (row.submit_started_at or row.created_at) > PATIENCE:
        return None
    deployment = get_gateway().deployment.find_deployment(row.resource_name)
    if deployment and deployment.done:
        return Outcome(NOW, {"stage": BROKEN if deployment.error else DONE})
    if deployment:
        return Outcome(poll_seconds(), {"operation_name": deployment.name, "notice": waiting(row)})
    return Outcome(pause(), {"notice": waiting(row)})


def _undeploy(claimed: Claim[Endpoint], remote: RemoteEndpoint) -> Outcome:
    """The one with the least traffic first: what it has goes to those that are still there."""
    split = traffic.read_split(remote)
    chosen = min(split, key=lambda key: split[key])
    rest = traffic_split.without(split, chosen)
    try:
        return _begin(claimed, get_gateway().deployment.undeploy(claimed.row.resource_name, chosen, rest))
    except NotFound:
        return Outcome(poll_seconds())


def _begin(claimed: Claim[Endpoint], operation: str) -> Outcome:
    return Outcome(NOW, {"operation_name": operation, "notice": ""})


def _delete_models(claimed: Claim[Endpoint]) -> Outcome:
    """Those of ours that are still in the registry. One that cannot be deleted costs nothing to keep; it does not keep
    the endpoint from being deleted."""
    left = claimed.row.deployed_models.filter(made_here=True).exclude(model_resource_name="").first()
    if left is None:
        return settle_deleted(claimed, claimed.row.notice)
    deployment, also = get_gateway().deployment, partial(_forget, left)
    try:
        operation = deployment.delete_model(deployment.model_name(left.model_user_id, left.location))
    except NotFound:
        return Outcome(NOW, also=also)
    except Refused as error:
        return Outcome(NOW, {"notice": _("Its model remains in Vertex AI: %s") % error}, also=also)
    return Outcome(NOW, {"operation_name": operation, "notice": ""}, also=also)


def _forget(row: DeployedModel) -> None:
    DeployedModel.objects.filter(pk=row.pk).update(model_resource_name="")


def settle_deleted(claimed: Claim[Endpoint], notice: str = "") -> Outcome:
    changes = {
        "state": EndpointState.DELETED, "phase": Phase.CLOSED, "operation_name": "", "ended_at": claimed.now,
        "notice": notice,
    }  # fmt: skip
    sentence = _("The endpoint %s was deleted.") % claimed.row.display_name
    return Outcome(None, changes, [(EventLevel.INFO, sentence)], also=_closing(claimed))


def settle_undeployed(claimed: Claim[Endpoint], notice: str = "") -> Outcome:
    changes = {
        "state": EndpointState.UNDEPLOYED, "ended_at": claimed.now, "notice": notice, "undeploy_at": None,
        "is_asleep": False, "traffic": {}, "traffic_asked_at": None,
    }  # fmt: skip
    sentence = _("The endpoint %s was undeployed.") % claimed.row.display_name
    return Outcome(None, changes, [(EventLevel.INFO, sentence)], also=_closing(claimed))


def _closing(claimed: Claim[Endpoint]) -> Callable[[], None]:
    return partial(endpoint_state.close_all, claimed.row.pk, claimed.now)


def get(row: Endpoint | DeployedModel) -> RemoteEndpoint | None:
    try:
        return get_gateway().deployment.get_endpoint(row.resource_name)
    except NotFound:
        return None


def missing(claimed: Claim[Any], in_the_end: Outcome) -> Outcome:
    """Absence is believed at the third look."""
    looks = claimed.row.empty_looks + 1
    return in_the_end if looks >= MISSES else Outcome(pause(), {"empty_looks": looks})


def waiting(row: DeployedModel) -> str:
    if row.state != EndpointState.DEPLOYING and row.stage not in (DONE, BROKEN):
        return _("Waiting for Vertex AI to finish the deployment first.")
    return ""

"""One step of a deployed model: it is put on its endpoint, changed, and taken away again.

The first one brings its endpoint along, in one request; the others are put into the registry and then on the endpoint
that exists. Everything else is the same for all. The operation that runs is in the row; when it is lost, looking at the
endpoint will do.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from django.conf import settings

from jobs.models import DeployedModel, EventLevel
from jobs.services.remote.create_once import Submission
from jobs.services.remote.row_claim import NOW, Claim, Event, Outcome, pause, poll_seconds
from jobs.services.tuned_models.deployable import why_not_deploy_folder
from jobs.states import DEPLOYED_LIVE, UNSENT, UNSURE, DeployedState, EndpointState, Phase
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway
from jobs.vertex.errors import AlreadyExists, NotFound, Refused, VertexError
from jobs.vertex.values import RemoteDeployedModel, RemoteEndpoint, RemoteError, RemoteOperation

from . import endpoint_state, policies, scaling, traffic, traffic_split
from .creations import creation_of, existing_spec, on
from .removal import BROKEN, DONE, PATIENCE, get, missing, still_deploying, waiting

MACHINE = ("machine_type", "accelerator_type", "accelerator_count")


def step(claimed: Claim[DeployedModel]) -> Outcome:
    outcome = _record_stage_time(claimed, _step(claimed))
    if outcome.also or not {"state", "phase", "resource_name"} & set(outcome.changes):
        return outcome
    return replace(outcome, also=partial(endpoint_state.follow_model, claimed.row.pk, claimed.now))


def _record_stage_time(claimed: Claim[DeployedModel], outcome: Outcome) -> Outcome:
    """Remembers when each stage of the deployment was seen first."""
    row = claimed.row
    stage = outcome.changes.get("stage", "")
    if not stage or stage == row.stage or row.state != DeployedState.DEPLOYING:
        return outcome
    times = [*row.stage_times, [stage, claimed.now.isoformat(timespec="seconds")]]
    return replace(outcome, changes={**outcome.changes, "stage_times": times})


def _step(claimed: Claim[DeployedModel]) -> Outcome:
    row = claimed.row
    if row.state not in DEPLOYED_LIVE:
        return Outcome(None)
    if row.phase == Phase.CLOSED:
        # It failed while somebody asked to take it away.
        return settle_undeployed(claimed, None)
    if row.phase in UNSENT:
        return _begin(claimed)
    if row.phase in UNSURE:
        return _submit(claimed)
    if row.operation_name:
        return _follow(claimed)
    return _LOOKS[DeployedState(row.state)](claimed)


def _begin(claimed: Claim[DeployedModel]) -> Outcome:
    """On an endpoint that exists, the model has to be in the registry first, which costs nothing."""
    row = claimed.row
    if row.state == DeployedState.UNDEPLOYING:
        return settle_undeployed(claimed, None)
    if row.artifact_uri and (reason := why_not_deploy_folder(row.artifact_uri)):
        return _fail(claimed, "FAILED_PRECONDITION", reason)
    if row.comes_with_endpoint:
        return _submit(claimed)
    if row.endpoint.state != EndpointState.READY:
        return _fail(claimed, "FAILED_PRECONDITION", _("The endpoint is no longer ready."))
    if row.operation_name:
        return _follow_upload(claimed)
    return _submit(claimed) if row.model_resource_name else _upload(claimed)


def _upload(claimed: Claim[DeployedModel]) -> Outcome:
    """The id is ours, so one that exists was uploaded before."""
    try:
        return Outcome(NOW, {"operation_name": get_gateway().deployment.upload_model(existing_spec(claimed.row))})
    except AlreadyExists:
        return _settle_upload(claimed)
    except Refused as error:
        return _fail(claimed, error.code, str(error))


def _settle_upload(claimed: Claim[DeployedModel]) -> Outcome:
    return Outcome(NOW, {"operation_name": "", "model_resource_name": _model_name(claimed.row), "notice": ""})


def _follow_upload(claimed: Claim[DeployedModel]) -> Outcome:
    operation = _operation(claimed.row)
    if operation is None:
        return _settle_upload(claimed)
    if not operation.done:
        return Outcome(poll_seconds())
    if operation.error:
        return _fail(claimed, operation.error.code, operation.error.message)
    return _settle_upload(claimed)


def _submit(claimed: Claim[DeployedModel]) -> Outcome:
    return Submission(claimed, creation_of(claimed.row)).step()


def _follow(claimed: Claim[DeployedModel]) -> Outcome:
    """Whatever operation it is: wait for its end, then look at what there is. An expired one is as good as ended."""
    row = claimed.row
    operation = _operation(row)
    if operation is None:
        return Outcome(NOW, {"operation_name": ""})
    if not operation.done:
        return Outcome(poll_seconds(), {"stage": operation.stage or _stage(row), "notice": waiting(row)})
    if operation.error and row.state == DeployedState.DEPLOYING:
        return _not_deployed(claimed, operation.error)
    if row.state == DeployedState.READY:
        return scaling.settle(claimed, operation.error)
    if operation.error:
        return Outcome(pause(), {"operation_name": "", "stage": BROKEN, "notice": operation.error.message})
    return Outcome(NOW, {"operation_name": "", "stage": DONE})


def _operation(row: DeployedModel) -> RemoteOperation | None:
    try:
        return get_gateway().deployment.get_operation(row.operation_name)
    except NotFound:
        return None


def _stage(row: DeployedModel) -> str:
    """The operation of a request that makes an endpoint, too, does not tell it; the one on the endpoint does."""
    if row.state != DeployedState.DEPLOYING or not row.comes_with_endpoint:
        return row.stage
    try:
        deployment = get_gateway().deployment.find_deployment(row.resource_name)
    except VertexError:
        return row.stage
    return deployment.stage if deployment and deployment.stage else row.stage


def _look_deploying(claimed: Claim[DeployedModel]) -> Outcome:
    row, remote = claimed.row, get(claimed.row)
    if remote is None:
        return missing(claimed, _fail(claimed, "NOT_FOUND", _("It no longer exists in Vertex AI. Deploy it again.")))
    found = on(remote, row)
    if found and (found.available_replicas != 0 or found.is_asleep):
        return _ready(claimed, remote, found)
    deployment = get_gateway().deployment.find_deployment(row.resource_name)
    if deployment and deployment.error and (row.comes_with_endpoint or not found):
        return _not_deployed(claimed, deployment.error)
    if deployment and not deployment.done:
        return Outcome(poll_seconds(), {"operation_name": deployment.name, "stage": deployment.stage})
    if claimed.now - (row.submit_started_at or row.created_at) > PATIENCE:
        return _fail(
            claimed, "DEADLINE_EXCEEDED", _("The model wasn't deployed within two hours. Delete it and try again.")
        )
    return Outcome(poll_seconds(), {"empty_looks": 0, "notice": ""})


def _ready(claimed: Claim[DeployedModel], remote: RemoteEndpoint, found: RemoteDeployedModel) -> Outcome:
    row = claimed.row
    changes: dict[str, Any] = {
        "state": DeployedState.READY, "started_at": claimed.now, "stage": DONE, "notice": "", "empty_looks": 0,
        "deployed_model_id": found.id, "model_resource_name": _model_name(row),
        "available_replicas": found.available_replicas,
    }  # fmt: skip
    if found.machine and not row.machine_type and not row.comes_with_endpoint:
        changes |= {name: getattr(found.machine, name) for name in MACHINE}
    if row.comes_with_endpoint and scaling.differs(row, found):
        changes["replicas_asked_at"] = claimed.now
    again = NOW if changes.get("replicas_asked_at", row.replicas_asked_at) else None
    also = partial(endpoint_state.follow_model, row.pk, claimed.now, remote)
    return Outcome(again, changes, [(EventLevel.INFO, _ready_words(row, remote, found))], also=also)


def _ready_words(row: DeployedModel, remote: RemoteEndpoint, found: RemoteDeployedModel) -> str:
    if row.comes_with_endpoint:
        return _("The endpoint %s is ready.") % row.endpoint.display_name
    words = {"model": row.display_name, "share": traffic.read_split(remote)[found.id]}
    return _("%(model)s is deployed and gets %(share)d%% of the traffic.") % words


def _look_ready(claimed: Claim[DeployedModel]) -> Outcome:
    """Nothing to do but what a person asked for; how it is, the looks at its endpoint tell."""
    row = claimed.row
    if not row.replicas_asked_at:
        return Outcome(None)
    remote = get(row)
    found = on(remote, row) if remote else None
    return scaling.change(claimed, found) if found else Outcome(poll_seconds())


def _look_undeploying(claimed: Claim[DeployedModel]) -> Outcome:
    row, remote = claimed.row, get(claimed.row)
    if remote and (found := on(remote, row)):
        return _undeploy(claimed, remote, found)
    if remote and (outcome := still_deploying(claimed)):
        return outcome
    return settle_undeployed(claimed, remote)


def _undeploy(claimed: Claim[DeployedModel], remote: RemoteEndpoint, found: RemoteDeployedModel) -> Outcome:
    """One after the other, since each says who gets its traffic."""
    row = claimed.row
    others = DeployedModel.objects.filter(endpoint=row.endpoint_id, state=DeployedState.UNDEPLOYING).exclude(pk=row.pk)
    if others.exclude(operation_name="").exists():
        return Outcome(poll_seconds())
    split = traffic_split.without(traffic.read_split(remote), found.id, row.split_after)
    try:
        operation = get_gateway().deployment.undeploy(row.resource_name, found.id, split)
    except NotFound:
        return Outcome(poll_seconds())
    return Outcome(NOW, {"operation_name": operation, "notice": "", "stage": DONE})


def settle_undeployed(claimed: Claim[DeployedModel], remote: RemoteEndpoint | None) -> Outcome:
    """While its endpoint stays, it leaves the registry, too; else it goes from there together with the endpoint."""
    row = claimed.row
    stays = row.endpoint.state in policies.SERVING
    events = [(EventLevel.INFO, _("%s was undeployed.") % row.display_name), *_forget_model(row)] if stays else []
    changes = {
        "state": DeployedState.UNDEPLOYED, "phase": Phase.CLOSED, "operation_name": "", "ended_at": claimed.now,
        "available_replicas": None, "notice": "",
        "model_resource_name": "" if stays or not row.made_here else _model_name(row),
    }  # fmt: skip
    also = partial(endpoint_state.follow_model, row.pk, claimed.now, remote)
    return Outcome(None, changes, events, also=also)


def _not_deployed(claimed: Claim[DeployedModel], error: RemoteError) -> Outcome:
    """This machine is the only one that a local Vertex AI has."""
    local = _("%s. Fix this on the machine that serves the model, then deploy again.")
    elsewhere = _("%s. Choose another machine or region, or deploy again.")
    sentence = (local if settings.VERTEX_API_ENDPOINT else elsewhere) % error.message.rstrip(".")
    return _fail(claimed, error.code, sentence)


def _fail(claimed: Claim[DeployedModel], code: str, reason: str) -> Outcome:
    """Of an endpoint that never served, what is left is deleted together with it."""
    row = claimed.row
    sentence = _("%(model)s was not deployed: %(reason)s") % {"model": row.display_name, "reason": reason}
    events = [(EventLevel.ERROR, reason)] if row.comes_with_endpoint else [(EventLevel.ERROR, sentence)]
    changes = {
        "state": DeployedState.FAILED, "phase": Phase.CLOSED, "operation_name": "", "stage": BROKEN,
        "error_code": code, "error_message": reason, "ended_at": claimed.now, "notice": "",
        "model_resource_name": _model_name(row) if row.comes_with_endpoint else "",
    }  # fmt: skip
    if not row.comes_with_endpoint:
        events += _forget_model(row)
    return Outcome(None, changes, events)


def _forget_model(row: DeployedModel) -> list[Event]:
    """Takes it out of the registry, if it was put there by us. One that cannot be deleted costs nothing to keep."""
    if not row.made_here:
        return []
    try:
        get_gateway().deployment.delete_model(_model_name(row))
    except NotFound:
        return []
    except Refused as error:
        return [(EventLevel.WARNING, _("Its model remains in Vertex AI: %s") % error)]
    except VertexError:
        return []
    return []


def _model_name(row: DeployedModel) -> str:
    return get_gateway().deployment.model_name(row.model_user_id, row.location)


_LOOKS: dict[DeployedState, Callable[[Claim[DeployedModel]], Outcome]] = {
    DeployedState.DEPLOYING: _look_deploying,
    DeployedState.READY: _look_ready,
    DeployedState.UNDEPLOYING: _look_undeploying,
}

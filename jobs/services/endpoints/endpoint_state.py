"""How an endpoint and its deployed models follow one another: the only place where the state of one changes because
the other's did.

Whoever calls this has locked the endpoint's row, and locked it before those of its models.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from jobs.models import DeployedModel, Endpoint, EventLevel
from jobs.services.costs import ledger
from jobs.services.notifications import notifications
from jobs.services.remote import row_claim
from jobs.states import DEPLOYED_TRANSITIONS, ENDPOINT_TRANSITIONS, DeployedState, EndpointState, Phase, check
from jobs.text.deferred import gettext as _
from jobs.vertex.values import RemoteEndpoint

from . import policies, scaling, traffic

WATCH = timedelta(seconds=60)
ENDING = frozenset({EndpointState.UNDEPLOYING, EndpointState.DELETING})


def follow_model(model_id: UUID, now: datetime, remote: RemoteEndpoint | None = None) -> None:
    """After a step changed the model, in its transaction. `remote`: the endpoint as that step saw it."""
    model = DeployedModel.objects.select_related("endpoint").get(pk=model_id)
    endpoint = model.endpoint
    changes = _read_remote(endpoint, remote, now) if remote else {}
    if model.comes_with_endpoint:
        changes |= _existence(endpoint, model) | _state(endpoint, model, now)
    if endpoint.state in ENDING and model.state in (DeployedState.UNDEPLOYED, DeployedState.FAILED):
        changes["next_check_at"] = now
    _write(endpoint, changes, now)
    hand_over(endpoint)


def _read_remote(endpoint: Endpoint, remote: RemoteEndpoint, now: datetime) -> dict[str, Any]:
    if endpoint.state not in policies.SERVING:
        return {}
    dns = remote.dedicated_dns or endpoint.dedicated_dns
    again = WATCH if dns or endpoint.shared_address else row_claim.poll_seconds()
    return {"traffic": traffic.read_split(remote), "dedicated_dns": dns, "next_check_at": now + again}


def _existence(endpoint: Endpoint, model: DeployedModel) -> dict[str, Any]:
    if endpoint.phase != Phase.INTENT or not model.resource_name:
        return {}
    return {"phase": Phase.BOUND, "resource_name": model.resource_name}


def _state(endpoint: Endpoint, model: DeployedModel, now: datetime) -> dict[str, Any]:
    """Of one that is being deployed. Its failed deployment leaves an empty endpoint, which can still be deleted."""
    if endpoint.state != EndpointState.DEPLOYING:
        return {}
    if model.state == DeployedState.FAILED:
        told = {"error_code": model.error_code, "error_message": model.error_message}
        nothing_left = {} if model.resource_name else {"phase": Phase.CLOSED}
        return {"state": EndpointState.FAILED, "ended_at": now, **told, **nothing_left}
    if model.state != DeployedState.READY:
        return {}
    hours = endpoint.lease_hours
    return {
        "state": EndpointState.READY, "started_at": now, "undeploy_at": now + timedelta(hours=hours) if hours else None,
    }  # fmt: skip


def _write(endpoint: Endpoint, changes: dict[str, Any], now: datetime) -> None:
    changed = {name: value for name, value in changes.items() if getattr(endpoint, name) != value}
    if not changed:
        return
    check(ENDPOINT_TRANSITIONS, endpoint.state, changed.get("state", endpoint.state))
    for name, value in changed.items():
        setattr(endpoint, name, value)
    endpoint.save(update_fields=[*changed, "updated_at"])
    notifications.note(endpoint, changed, was=endpoint)


def follow_endpoint(endpoint_id: UUID, remote: RemoteEndpoint, now: datetime) -> None:
    """What a look at the endpoint says of its models. Others may have undeployed what we deployed."""
    there = {model.id: model for model in remote.deployed_models}
    for row in DeployedModel.objects.select_for_update().filter(endpoint=endpoint_id, state=DeployedState.READY):
        if found := there.get(row.deployed_model_id):
            scaling.keep(row, found)
            ledger.follow(row, now)
        else:
            close(row, now, _("%s was undeployed outside this console.") % row.display_name)
    hand_over(Endpoint.objects.get(pk=endpoint_id))


def close_all(endpoint_id: UUID, now: datetime) -> None:
    """The endpoint has nothing deployed any more, or is gone."""
    for row in DeployedModel.objects.select_for_update().filter(endpoint=endpoint_id).live():
        close(row, now, "" if row.comes_with_endpoint else _("%s was undeployed.") % row.display_name)


def close(row: DeployedModel, now: datetime, sentence: str = "") -> None:
    """Nothing of this console follows the model any more. `sentence`: for its events."""
    check(DEPLOYED_TRANSITIONS, row.state, DeployedState.UNDEPLOYED)
    row.state, row.phase, row.ended_at = DeployedState.UNDEPLOYED, Phase.CLOSED, now
    row.lease_token = row.lease_until = row.next_check_at = row.available_replicas = row.replicas_asked_at = None
    row.operation_name = row.notice = ""
    row.save()
    ledger.follow(row, now)
    if sentence:
        row_claim.record(row, EventLevel.INFO, sentence)


def hand_over(endpoint: Endpoint) -> None:
    """When the model that stood for the endpoint has left and others stay, the one with the most traffic does."""
    if endpoint.state != EndpointState.READY or endpoint.model.state in (DeployedState.READY, DeployedState.DEPLOYING):
        return
    ready = DeployedModel.objects.filter(endpoint=endpoint, state=DeployedState.READY)
    heir = max(ready, key=lambda model: endpoint.traffic.get(model.deployed_model_id, 0), default=None)
    if heir is not None:
        endpoint.main_model = heir
        endpoint.save(update_fields=["main_model"])

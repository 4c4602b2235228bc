"""One step of an endpoint: it is watched while it serves, its traffic is shared out, and it is taken down.

Its models have steps of their own. The operation that runs is in the row; when it is lost, looking at the endpoint will
do.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

from jobs.models import Endpoint
from jobs.services.remote.row_claim import NOW, Claim, Outcome, pause, poll_seconds
from jobs.states import EndpointState, Phase
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway
from jobs.vertex.errors import NotFound
from jobs.vertex.values import RemoteDeployedModel, RemoteEndpoint

from . import endpoint_state, traffic
from .endpoint_state import WATCH
from .removal import get, look_deleting, look_undeploying, missing, settle_deleted, settle_undeployed
from .serving.spec import ServingOptions


def step(claimed: Claim[Endpoint]) -> Outcome:
    endpoint = claimed.row
    if endpoint.phase == Phase.CLOSED:
        return Outcome(None)
    if endpoint.operation_name:
        return _follow(claimed)
    return _LOOKS[EndpointState(endpoint.state)](claimed)


def _follow(claimed: Claim[Endpoint]) -> Outcome:
    """Whatever operation it is: wait for its end, then look at what there is. An expired one is as good as ended."""
    try:
        operation = get_gateway().deployment.get_operation(claimed.row.operation_name)
    except NotFound:
        return Outcome(NOW, {"operation_name": ""})
    if not operation.done:
        return Outcome(poll_seconds())
    if operation.error:
        return Outcome(pause(), {"operation_name": "", "notice": operation.error.message})
    return Outcome(NOW, {"operation_name": ""})


def _look_ready(claimed: Claim[Endpoint]) -> Outcome:
    """Others can change it behind our back: the row follows."""
    row, remote = claimed.row, get(claimed.row)
    if remote is None:
        return missing(claimed, settle_deleted(claimed, _("It was deleted outside this console.")))
    if not remote.deployed_models:
        if row.deployed_models.transient().exists():
            return Outcome(poll_seconds())
        return settle_undeployed(claimed, _why_undeployed(claimed))
    if row.traffic_asked_at:
        return traffic.change(claimed, remote)
    return _follow_remote(claimed, remote)


def _why_undeployed(claimed: Claim[Endpoint]) -> str:
    """Vertex AI itself undeploys what runs on Flex-start machines, so many hours after the request."""
    model = claimed.row.model
    hours = ServingOptions.from_json(model.serving_options).flex_start_hours
    asked = model.submit_started_at
    if hours is not None and asked and claimed.now - asked >= timedelta(hours=hours):
        return _("The time of its Flex-start machine, %d h, is over. Vertex AI undeployed the model.") % hours
    return _("Its model was undeployed outside this console.")


def _follow_remote(claimed: Claim[Endpoint], remote: RemoteEndpoint) -> Outcome:
    idle = all(model.available_replicas == 0 for model in remote.deployed_models)
    asleep = idle and all(model.is_asleep for model in remote.deployed_models)
    notice = _without_replicas(remote.deployed_models) if idle and not asleep else ""
    dns = remote.dedicated_dns or claimed.row.dedicated_dns
    has_address = dns or claimed.row.shared_address
    again = poll_seconds() if idle or not has_address else WATCH
    changes = {
        "dedicated_dns": dns, "notice": notice, "empty_looks": 0, "is_asleep": asleep,
        "traffic": traffic.read_split(remote),
    }  # fmt: skip
    return Outcome(again, changes, also=partial(endpoint_state.follow_endpoint, claimed.row.pk, remote, claimed.now))


def _without_replicas(models: Sequence[RemoteDeployedModel]) -> str:
    told = next((model.message for model in models if model.message), "")
    if told:
        return _("No replica is running right now. Vertex AI reports: %s") % told
    return _("No replica is running right now. Vertex AI might be starting one.")


def _rest(claimed: Claim[Endpoint]) -> Outcome:
    """Its first model moves it on, or nothing does."""
    return Outcome(None)


_LOOKS: dict[EndpointState, Callable[[Claim[Endpoint]], Outcome]] = {
    EndpointState.DEPLOYING: _rest,
    EndpointState.READY: _look_ready,
    EndpointState.UNDEPLOYING: look_undeploying,
    EndpointState.DELETING: look_deleting,
    EndpointState.UNDEPLOYED: _rest,
    EndpointState.FAILED: _rest,
    EndpointState.DELETED: _rest,
}

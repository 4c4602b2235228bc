"""What a look at an endpoint says of its further models; and how rows change places when the endpoint's own goes."""

from datetime import datetime
from uuid import UUID

from django.utils import timezone

from jobs.models import Endpoint, EventLevel, FurtherModel
from jobs.services.remote import row_lease
from jobs.states import DEPLOYED_TRANSITIONS, DeployedState, Phase, check
from jobs.text.deferred import gettext as _
from jobs.vertex.port import DeployedModel, RemoteEndpoint

from . import scaling

# What a row says of its model; the rest is the endpoint's.
SERVED = (
    "job_id", "publisher_model", "artifact_uri", "base_model", "accepts_licence", "spot", "machine_type",
    "accelerator_type", "accelerator_count", "min_replicas", "max_replicas", "available_replicas", "model_user_id",
    "stage", "stage_times", "model_resource_name", "deployed_model_id", "started_at",
)  # fmt: skip


def follow(endpoint_id: UUID, remote: RemoteEndpoint, now: datetime) -> None:
    """In the transaction of the look, which has the endpoint's row locked. Others may have undeployed what we did."""
    there = {model.id: model for model in remote.deployed_models}
    for row in FurtherModel.objects.select_for_update().filter(endpoint=endpoint_id, state=DeployedState.READY):
        if row.deployed_model_id in there:
            _keep(row, there[row.deployed_model_id])
        else:
            _close(row, now, _("%s was undeployed outside this console.") % row.display_name)
    endpoint = Endpoint.objects.get(pk=endpoint_id)
    if endpoint.deployed_model_id not in there and (heir := heir_of(endpoint, set(there))):
        exchange(endpoint, heir)
        _close(heir, now, _("%s was undeployed outside this console.") % heir.display_name)


def _keep(row: FurtherModel, model: DeployedModel) -> None:
    found = {name: value for name, value in scaling.seen(model).items() if getattr(row, name) != value}
    if found:
        FurtherModel.objects.filter(pk=row.pk).update(**found)


def close_all(endpoint_id: UUID, now: datetime) -> None:
    """The endpoint has nothing deployed any more, or is gone."""
    for row in FurtherModel.objects.select_for_update().filter(endpoint=endpoint_id).live():
        _close(row, now, _("%s was undeployed.") % row.display_name)


def _close(row: FurtherModel, now: datetime, sentence: str) -> None:
    check(DEPLOYED_TRANSITIONS, row.state, DeployedState.UNDEPLOYED)
    row.state, row.phase, row.ended_at = DeployedState.UNDEPLOYED, Phase.CLOSED, now
    row.lease_token = row.lease_until = row.next_check_at = row.available_replicas = None
    row.operation_name = row.notice = ""
    row.save()
    row_lease.record(row, EventLevel.INFO, sentence)


def heir_of(endpoint: Endpoint, ids: set[str]) -> FurtherModel | None:
    """Of the ready ones that are there, the one with the most traffic."""
    ready = FurtherModel.objects.select_for_update().filter(endpoint=endpoint, state=DeployedState.READY)
    found = [model for model in ready if model.deployed_model_id in ids]
    return max(found, key=lambda model: endpoint.traffic.get(model.deployed_model_id, 0), default=None)


def exchange(endpoint: Endpoint, heir: FurtherModel) -> None:
    """Both locked by the caller. A job has at most one automatic endpoint, so this one is nobody's any more."""
    own = {name: getattr(endpoint, name) for name in SERVED}
    for name in SERVED:
        setattr(endpoint, name, getattr(heir, name))
        setattr(heir, name, own[name])
    endpoint.model_display_name, heir.display_name = heir.display_name, endpoint.model_name
    endpoint.automatic, endpoint.replicas_asked_at, endpoint.next_check_at = False, None, timezone.now()
    heir.save()
    endpoint.save()

"""What people and the clock do with endpoints. An endpoint serves one model and is paid for while it does."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from jobs import live
from jobs.errors import KeyReused, NotAllowedNow
from jobs.models import Endpoint, EventLevel, PublisherModel, TuningJob
from jobs.states import ENDPOINT_TRANSITIONS, EndpointState, Phase, TuningState, check

from . import checkpoints, endpoint_steps, leases
from .submission import UNSENT, fingerprint

ENDED = frozenset({EndpointState.DELETING, EndpointState.DELETED})
DEPLOYED = frozenset({TuningState.SUCCEEDED, TuningState.PARTIALLY_SUCCEEDED})


@dataclass(frozen=True)
class Machine:
    machine_type: str = ""
    accelerator_type: str = ""
    accelerator_count: int = 0


@dataclass(frozen=True)
class DeploymentSpec:
    """Either `publisher_model` or a `job` that succeeded, with one of its checkpoints; "" takes the job's default.

    `machine` None: Vertex AI chooses.
    """

    display_name: str
    publisher_model: str = ""
    job: TuningJob | None = None
    accepts_licence: bool = False
    machine: Machine | None = None
    checkpoint: str = ""


def deploy_model(owner: User, *, key: UUID, spec: DeploymentSpec) -> Endpoint:
    """The intent, on disk. The same key again is the same endpoint; nothing is sent from here."""
    if bool(spec.publisher_model) == bool(spec.job):
        raise NotAllowedNow(_("Choose one model to deploy."))
    if spec.job and spec.job.state not in DEPLOYED:
        raise NotAllowedNow(_("Only a tuning job that succeeded can be deployed. Wait until it has ended."))
    if spec.job and spec.checkpoint and (reason := checkpoints.why_not_deployed(spec.job, spec.checkpoint)):
        raise NotAllowedNow(reason)
    return _insert(key, owner, spec, automatic=False)


def deploy_for_job(job: TuningJob) -> Endpoint:
    """The endpoint that the job asked for; at most one, however often this is called."""
    found: Endpoint | None = Endpoint.objects.filter(job=job, automatic=True).first()
    if found:
        return found
    spec = DeploymentSpec(
        display_name=job.endpoint_display_name or job.display_name,
        job=job,
        accepts_licence=job.accepts_licence,
        machine=offered_machine(job.base_model, job.machine_type),
    )
    return _insert(uuid4(), job.owner, spec, automatic=True)


def offered_machine(model: str, machine_type: str) -> Machine | None:
    """The machine with the accelerators that the catalogue offers it with."""
    if not machine_type:
        return None
    known = PublisherModel.objects.filter(name=model).first()
    for offered in known.data.get("machine_specs", []) if known else []:
        if offered["machine_type"] == machine_type:
            return Machine(machine_type, offered["accelerator_type"], offered["accelerator_count"])
    return Machine(machine_type)


def _insert(key: UUID, owner: User, spec: DeploymentSpec, *, automatic: bool) -> Endpoint:
    columns = _columns(spec)
    request_hash = fingerprint(columns | {"owner": owner.pk})
    if found := Endpoint.objects.filter(pk=key).first():
        return _same(found, request_hash)
    chosen = f"garden-{key.hex}"
    endpoint = Endpoint(
        pk=key, owner=owner, request_hash=request_hash, location=settings.VERTEX_LOCATION, automatic=automatic,
        endpoint_user_id=chosen, model_user_id=chosen, **columns,
    )  # fmt: skip
    try:
        with transaction.atomic():
            endpoint.save(force_insert=True)
            message = _("The endpoint %s was created to serve the model.") % endpoint.display_name
            leases.record(endpoint, EventLevel.INFO, message)
            ring(endpoint)
    except IntegrityError:
        twin = {"job": spec.job, "automatic": True} if automatic else {"pk": key}
        return _same(Endpoint.objects.get(**twin), request_hash)
    return endpoint


def _columns(spec: DeploymentSpec) -> dict[str, Any]:
    machine = spec.machine or Machine()
    return {
        "display_name": spec.display_name,
        "job_id": spec.job.pk if spec.job else None,
        "publisher_model": spec.publisher_model,
        "artifact_uri": artifact_uri(spec.job, spec.checkpoint) if spec.job else "",
        "base_model": spec.job.base_model if spec.job else spec.publisher_model,
        "accepts_licence": spec.accepts_licence,
        "machine_type": machine.machine_type,
        "accelerator_type": machine.accelerator_type,
        "accelerator_count": machine.accelerator_count,
    }


def artifact_uri(job: TuningJob, checkpoint: str = "") -> str:
    return checkpoints.folder(job, checkpoint) if checkpoint else checkpoints.default_folder(job)


def _same(endpoint: Endpoint, request_hash: str) -> Endpoint:
    if endpoint.request_hash != request_hash:
        raise KeyReused(_("This form was sent before with other settings. Open the endpoint, or deploy again."))
    return endpoint


def request_undeploy(endpoint: Endpoint) -> None:
    """Frees the machine and keeps the endpoint's row. Before anything was sent there is nothing to keep."""
    with transaction.atomic():
        row = Endpoint.objects.select_for_update().get(pk=endpoint.pk)
        if row.state not in (EndpointState.UNDEPLOYING, EndpointState.UNDEPLOYED):
            if row.state not in (EndpointState.DEPLOYING, EndpointState.READY):
                raise NotAllowedNow(_("Nothing is deployed on this endpoint. Delete it if you do not need it."))
            _ask(row, EndpointState.UNDEPLOYED, EndpointState.UNDEPLOYING)
    endpoint.refresh_from_db()


def request_delete(endpoint: Endpoint) -> None:
    with transaction.atomic():
        row = Endpoint.objects.select_for_update().get(pk=endpoint.pk)
        if row.state not in ENDED:
            _ask(row, EndpointState.DELETED, EndpointState.DELETING)
    endpoint.refresh_from_db()


def _ask(row: Endpoint, wanted: EndpointState, state: EndpointState) -> None:
    """A step in flight gives way to this: it finds its lease gone, or the state changed, when it settles."""
    now = timezone.now()
    row.wanted, row.notice = wanted, ""
    if row.phase in UNSENT or row.phase == Phase.CLOSED:
        check(ENDPOINT_TRANSITIONS, row.state, EndpointState.DELETED)
        row.state, row.phase, row.ended_at = EndpointState.DELETED, Phase.CLOSED, now
        row.lease_token = row.lease_until = row.next_check_at = None
    else:
        check(ENDPOINT_TRANSITIONS, row.state, state)
        row.state, row.next_check_at = state, now
    row.save()
    ring(row)


def due(now: datetime) -> list[UUID]:
    return leases.due(Endpoint, now)


def advance(endpoint_id: UUID, now: datetime) -> bool:
    """Claims the endpoint and does the next step of it. True when the step after that could be done at once."""
    claimed = leases.claim(Endpoint, endpoint_id, now)
    return claimed is not None and leases.run(claimed, endpoint_steps.step, ring)


def ring(endpoint: Endpoint) -> None:
    topics = [f"endpoint-{endpoint.pk}", "endpoints"]
    live.ring(endpoint.owner_id, *topics, *([f"job-{endpoint.job_id}"] if endpoint.job_id else []))

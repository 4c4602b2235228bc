"""What people and the clock do with endpoints. An endpoint serves one model and is paid for while it does."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID, uuid4, uuid5

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from jobs import live
from jobs.errors import KeyReused, NotAllowedNow
from jobs.models import Endpoint, EventLevel, LeaseKind, PublisherModel, TuningJob
from jobs.models.endpoint import LONGEST_LEASE
from jobs.services import audit
from jobs.services.costs import spending
from jobs.services.notifications import notifications
from jobs.services.remote import row_lease
from jobs.services.remote.create_once import UNSENT, fingerprint
from jobs.services.storage import policies
from jobs.services.tuned_models import checkpoints
from jobs.states import ENDPOINT_TRANSITIONS, EndpointState, Phase, TuningState, check
from jobs.text.deferred import gettext as _

from . import further_models, scaling, steps, traffic

ENDED = frozenset({EndpointState.DELETING, EndpointState.DELETED})
OPTIONS = ("model_display_name", "min_replicas", "max_replicas", "spot", "shared_address")
DEPLOYED = frozenset({TuningState.SUCCEEDED, TuningState.PARTIALLY_SUCCEEDED})
OVER = frozenset({EndpointState.FAILED, EndpointState.UNDEPLOYED, *ENDED})


@dataclass(frozen=True)
class Machine:
    machine_type: str = ""
    accelerator_type: str = ""
    accelerator_count: int = 0


@dataclass(frozen=True)
class DeploymentSpec:
    """One of `publisher_model`, a `job` that succeeded, or `artifact_uri`: a `gs://` folder with weights.

    `checkpoint` of the job; "" takes its default.
    `machine` None: Vertex AI chooses. Replicas and spot are asked for together with a machine only.
    With `lease_hours` it is undeployed by itself, as `lease_kind` says; without, never.
    """

    display_name: str
    publisher_model: str = ""
    job: TuningJob | None = None
    accepts_licence: bool = False
    machine: Machine | None = None
    artifact_uri: str = ""
    model_display_name: str = ""
    min_replicas: int = 1
    max_replicas: int = 1
    spot: bool = False
    shared_address: bool = False
    lease_hours: int | None = None
    lease_kind: str = LeaseKind.FIXED
    checkpoint: str = ""


def deploy_model(owner: User, *, key: UUID, spec: DeploymentSpec) -> Endpoint:
    """The intent, on disk. The same key again is the same endpoint; nothing is sent from here."""
    if sum(map(bool, (spec.publisher_model, spec.job, spec.artifact_uri))) != 1:
        raise NotAllowedNow(_("Choose one model to deploy."))
    further_models.check_own(owner, spec.job, spec.artifact_uri)
    if spec.job and spec.job.state not in DEPLOYED:
        raise NotAllowedNow(_("Only a tuning job that succeeded can be deployed. Wait until it has ended."))
    scaling.check(spec.min_replicas, spec.max_replicas)
    if spec.lease_hours is not None:
        check_lease(spec.lease_kind, spec.lease_hours)
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
        lease_hours=job.endpoint_lease_hours,
        min_replicas=job.endpoint_min_replicas,
        max_replicas=job.endpoint_max_replicas,
    )
    return _insert(uuid4(), job.owner, spec, automatic=True)


def deploy_again(endpoint: Endpoint) -> Endpoint:
    """Another endpoint with the same settings, since this one is over. Twice is one, as long as that one lives."""
    if endpoint.state not in OVER:
        raise NotAllowedNow(_("The model is deployed here already, or on its way."))
    if endpoint.artifact_uri:
        policies.check_can_read(endpoint.owner, endpoint.artifact_uri)
    keys = (uuid5(endpoint.pk, f"again {number}") for number in count())
    key = next(key for key in keys if not Endpoint.objects.filter(pk=key, state__in=OVER).exists())
    columns = {name: getattr(endpoint, name) for name in _columns(DeploymentSpec(""))}
    return _create(key, endpoint.owner, columns, automatic=False)


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
    return _create(key, owner, _columns(spec), automatic=automatic)


def _create(key: UUID, owner: User, columns: dict[str, Any], *, automatic: bool) -> Endpoint:
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
            if not automatic:
                spending.reserve(owner, key, {key: _price(endpoint)})
            endpoint.save(force_insert=True)
            message = _("The endpoint %s was created to serve the model.") % endpoint.display_name
            row_lease.record(endpoint, EventLevel.INFO, message)
            ring(endpoint)
            audit.record("endpoint.deploy", endpoint, facts={"automatic": automatic})
    except IntegrityError:
        twin = {"job_id": columns["job_id"], "automatic": True} if automatic else {"pk": key}
        return _same(Endpoint.objects.get(**twin), request_hash)
    return endpoint


def _price(endpoint: Endpoint) -> Decimal | None:
    hours = spending.counted_hours(endpoint, timezone.now())
    return spending.deployment_usd(endpoint.machine_type, endpoint.max_replicas, hours)


def _columns(spec: DeploymentSpec) -> dict[str, Any]:
    machine = spec.machine or Machine()
    return {
        "display_name": spec.display_name,
        "job_id": spec.job.pk if spec.job else None,
        "publisher_model": spec.publisher_model,
        "artifact_uri": artifact_uri(spec.job, spec.checkpoint) if spec.job else spec.artifact_uri.removesuffix("/"),
        "base_model": spec.job.base_model if spec.job else spec.publisher_model,
        "accepts_licence": spec.accepts_licence,
        "machine_type": machine.machine_type,
        "accelerator_type": machine.accelerator_type,
        "accelerator_count": machine.accelerator_count,
        **{name: getattr(spec, name) for name in OPTIONS},
        "lease_kind": spec.lease_kind if spec.lease_hours else "",
        "lease_hours": spec.lease_hours,
    }


def check_lease(kind: str, hours: int | None) -> None:
    if bool(kind) != bool(hours) or (kind and kind not in LeaseKind):
        raise NotAllowedNow(_("Choose after how many hours the model is undeployed."))
    if hours and not 1 <= hours <= LONGEST_LEASE:
        raise NotAllowedNow(_("Choose 1 to %(most)d hours.") % {"most": LONGEST_LEASE})


def lease_end(endpoint: Endpoint, now: datetime) -> datetime | None:
    """For a lease that begins now; None while nothing is ready yet, and without a lease."""
    if endpoint.state != EndpointState.READY or not endpoint.lease_hours:
        return None
    return now + timedelta(hours=endpoint.lease_hours)


def artifact_uri(job: TuningJob, checkpoint: str = "") -> str:
    return checkpoints.folder(job, checkpoint) if checkpoint else checkpoints.default_folder(job)


def _same(endpoint: Endpoint, request_hash: str) -> Endpoint:
    if endpoint.request_hash != request_hash:
        raise KeyReused(_("This form was sent before with other settings. Open the endpoint, or deploy again."))
    return endpoint


def request_replicas(endpoint: Endpoint, *, minimum: int, maximum: int) -> None:
    """Fewer or more machines from now on; each is paid for. The same numbers again are no second change."""
    if scaling.ask(endpoint, minimum=minimum, maximum=maximum):
        ring(endpoint)


def request_traffic(endpoint: Endpoint, split: Mapping[str, int]) -> None:
    """Other shares for the models on it from now on, by deployed model id."""
    if traffic.ask(endpoint, split):
        ring(endpoint)


def request_undeploy(endpoint: Endpoint, *, because: str = "") -> None:
    """Frees the machines of all its models and keeps the row. Before anything was sent there is nothing to keep.
    `because` is for the audit log: why the console does it by itself."""
    with transaction.atomic():
        row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        if row.state not in (EndpointState.UNDEPLOYING, EndpointState.UNDEPLOYED):
            if row.state not in scaling.SERVING:
                raise NotAllowedNow(_("Nothing is deployed on this endpoint. Delete it if you do not need it."))
            _ask(row, EndpointState.UNDEPLOYED, EndpointState.UNDEPLOYING)
            audit.record("endpoint.undeploy", row, reason=because)
    endpoint.refresh_from_db()


def request_delete(endpoint: Endpoint) -> None:
    with transaction.atomic():
        row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        if row.state not in ENDED:
            _ask(row, EndpointState.DELETED, EndpointState.DELETING)
            audit.record("endpoint.delete", row)
    endpoint.refresh_from_db()


def _ask(row: Endpoint, wanted: EndpointState, state: EndpointState) -> None:
    """A step in flight gives way to this: it finds its lease gone, or the state changed, when it settles."""
    now = timezone.now()
    row.wanted, row.notice = wanted, ""
    row.undeploy_at = row.replicas_asked_at = row.traffic_asked_at = None
    further_models.end_all(row, now)
    if row.phase in UNSENT or row.phase == Phase.CLOSED:
        check(ENDPOINT_TRANSITIONS, row.state, EndpointState.DELETED)
        row.state, row.phase, row.ended_at = EndpointState.DELETED, Phase.CLOSED, now
        row.lease_token = row.lease_until = row.next_check_at = None
    else:
        check(ENDPOINT_TRANSITIONS, row.state, state)
        row.state, row.next_check_at = state, now
    row.save()
    if row.state == EndpointState.DELETED:
        spending.release_deployment(row)
        notifications.note_closed(row)
    ring(row)


def due(now: datetime) -> list[UUID]:
    return row_lease.due(Endpoint, now)


def advance(endpoint_id: UUID, now: datetime) -> bool:
    """Claims the endpoint and does the next step of it. True when the step after that could be done at once."""
    claimed = row_lease.claim(Endpoint, endpoint_id, now)
    return claimed is not None and row_lease.run(claimed, steps.step, ring)


def ring(endpoint: Endpoint) -> None:
    topics = [f"endpoint-{endpoint.pk}", "endpoints"]
    live.ring(endpoint.owner_id, *topics, *([f"job-{endpoint.job_id}"] if endpoint.job_id else []))

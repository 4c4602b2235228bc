"""What people and the clock do with endpoints, which are paid for while models are deployed on them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID, uuid4, uuid5

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from jobs import live
from jobs.errors import KeyReused, NotAllowedNow
from jobs.models import DeployedModel, Endpoint, EventLevel, PublisherModel, TuningJob
from jobs.services import audit
from jobs.services.catalogue import policies as catalogue, regions
from jobs.services.costs import memory, spending
from jobs.services.notifications import notifications
from jobs.services.preflight import preflight, subjects
from jobs.services.preflight.lines import Subject
from jobs.services.remote import row_claim
from jobs.services.remote.create_once import fingerprint
from jobs.services.storage import policies as storage_policies
from jobs.services.tuned_models import checkpoints, policies as tuned_model_policies
from jobs.states import ENDPOINT_TRANSITIONS, EndpointState, Phase, check
from jobs.text.deferred import gettext as _

from . import deployed_models, policies, scaling, steps, traffic
from .serving.deployment import DeploymentSpec, Machine
from .serving.spec import ServingOptions

__all__ = ["DeploymentSpec", "Machine"]
OPTIONS = ("model_display_name", "min_replicas", "max_replicas", "spot", "shared_address")
# What a deployment says of the endpoint; the rest is its first model's.
OF_ENDPOINT = ("display_name", "shared_address", "lease_kind", "lease_hours")


def deploy_model(owner: User, *, key: UUID, spec: DeploymentSpec) -> Endpoint:
    """The intent, on disk. The same key again is the same endpoint; nothing is sent from here."""
    if sum(map(bool, (spec.publisher_model, spec.job, spec.artifact_uri))) != 1:
        raise NotAllowedNow(_("Choose one model to deploy."))
    deployed_models.check_own(owner, spec.job, spec.artifact_uri)
    if spec.job:
        tuned_model_policies.check_can_serve(spec.job, spec.checkpoint)
        tuned_model_policies.check_can_serve_in(spec.job, spec.region)
    spec.validate()
    model = PublisherModel.objects.filter(name=spec.publisher_model).first()
    if model and (reason := catalogue.why_not_deploy(model)):
        raise NotAllowedNow(reason)
    if spec.publisher_model and (reason := preflight.why_not_spend(subject_of(spec), timezone.now())):
        raise NotAllowedNow(reason)
    base = spec.job.base_model if spec.job else spec.publisher_model
    fit = memory.of_deployment(base, spec.options.context_tokens, spec.options.precision) if base else None
    if reason := memory.why_not(fit, base, timezone.now()):
        raise NotAllowedNow(reason)
    return _insert(key, owner, spec, automatic=False)


def subject_of(spec: DeploymentSpec) -> Subject:
    """What has to be there on Google Cloud for the deployment of a model of the catalogue."""
    machine = spec.machine or Machine()
    return subjects.of_deployment(spec.publisher_model, machine.machine_type, spec.max_replicas, spec.region)


def deploy_for_job(job: TuningJob) -> Endpoint:
    """The endpoint that the job asked for; at most one, however often this is called."""
    found: DeployedModel | None = DeployedModel.objects.filter(job=job, automatic=True).first()
    if found:
        return found.endpoint
    spec = DeploymentSpec(
        display_name=job.endpoint_display_name or job.display_name,
        job=job,
        accepts_licence=job.accepts_licence,
        machine=find_machine(job.base_model, job.machine_type),
        lease_hours=job.endpoint_lease_hours,
        min_replicas=job.endpoint_min_replicas,
        max_replicas=job.endpoint_max_replicas,
        options=ServingOptions.from_json(job.endpoint_options),
    )
    return _insert(uuid4(), job.owner, spec, automatic=True)


def deploy_again(endpoint: Endpoint, changes: Mapping[str, Any] | None = None) -> Endpoint:
    """Another endpoint with the same settings, since this one is over. Twice is one, as long as that one lives.
    `changes`: the columns that shall differ."""
    policies.check_can_deploy_again(endpoint)
    if endpoint.model.artifact_uri:
        storage_policies.check_can_read(endpoint.owner, endpoint.model.artifact_uri)
    keys = (uuid5(endpoint.pk, f"again {number}") for number in count())
    key = next(key for key in keys if not Endpoint.objects.filter(pk=key, state__in=policies.OVER).exists())
    return _create(key, endpoint.owner, _columns_of(endpoint) | dict(changes or {}), automatic=False)


def find_successor(endpoint: Endpoint) -> Endpoint | None:
    """The one that was deployed again in its place and lives."""
    for number in count():
        found = Endpoint.objects.with_model().filter(pk=uuid5(endpoint.pk, f"again {number}")).first()
        if found is None or found.state not in policies.OVER:
            return found
    return None


def find_machine(model: str, machine_type: str) -> Machine | None:
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
    request_hash = _fingerprint(columns, owner)
    if found := Endpoint.objects.with_model().filter(pk=key).first():
        return _same(found, request_hash)
    endpoint, model = _rows(key, owner, columns, automatic=automatic, request_hash=request_hash)
    try:
        with transaction.atomic():
            if not automatic:
                spending.reserve(owner, key, {key: _price(endpoint, model)})
            endpoint.save(force_insert=True)
            model.save(force_insert=True)
            message = _("The endpoint %s was created to serve the model.") % endpoint.display_name
            row_claim.record(model, EventLevel.INFO, message)
            notify(endpoint)
            audit.record("endpoint.deploy", endpoint, facts={"automatic": automatic})
    except IntegrityError:
        twin = {"job_id": columns["job_id"], "automatic": True} if automatic else {"pk": key}
        return _same(DeployedModel.objects.select_related("endpoint").get(**twin).endpoint, request_hash)
    return endpoint


def _fingerprint(columns: Mapping[str, Any], owner: User) -> str:
    """What is as it would be by itself does not count, as before it could be chosen."""
    usual = {"serving_options": {}, "location": regions.default_serving_region()}
    chosen = {name: value for name, value in columns.items() if name not in usual or value != usual[name]}
    return fingerprint(chosen | {"owner": owner.pk})


def _rows(
    key: UUID, owner: User, columns: dict[str, Any], *, automatic: bool, request_hash: str
) -> tuple[Endpoint, DeployedModel]:
    """With one id, by which the resources of the request can be told."""
    chosen = f"garden-{key.hex}"
    common = {"pk": key, "owner": owner, "location": columns["location"], "request_hash": request_hash}
    of_model = {name: value for name, value in columns.items() if name not in (*OF_ENDPOINT, "location")}
    name = of_model.pop("model_display_name") or columns["display_name"]
    model = DeployedModel(
        endpoint_id=key, display_name=name, automatic=automatic, model_user_id=chosen, **common, **of_model
    )
    of_endpoint = {name: columns[name] for name in OF_ENDPOINT}
    endpoint = Endpoint(main_model=model, endpoint_user_id=chosen, next_check_at=None, **common, **of_endpoint)
    model.endpoint = endpoint
    return endpoint, model


def _price(endpoint: Endpoint, model: DeployedModel) -> Decimal | None:
    hours = spending.count_hours(endpoint, timezone.now())
    return spending.model_usd(model, hours)


def _columns_of(endpoint: Endpoint) -> dict[str, Any]:
    """As `_columns` gave them when it was deployed."""
    model = endpoint.model
    name = "" if model.display_name == endpoint.display_name else model.display_name
    of_model = [one for one in _columns(DeploymentSpec("")) if one not in OF_ENDPOINT and one != "model_display_name"]
    columns = {one: getattr(model, one) for one in of_model} | {one: getattr(endpoint, one) for one in OF_ENDPOINT}
    return columns | {"model_display_name": name}


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
        **({"min_replicas": 0} if spec.options.idle_minutes is not None else {}),
        "serving_options": spec.options.as_json(),
        "location": spec.region,
        "lease_kind": spec.lease_kind if spec.lease_hours else "",
        "lease_hours": spec.lease_hours,
    }


def lease_end(endpoint: Endpoint, now: datetime) -> datetime | None:
    """For a lease that begins now; None while nothing is ready yet, and without a lease."""
    if endpoint.state != EndpointState.READY or not endpoint.lease_hours:
        return None
    return now + timedelta(hours=endpoint.lease_hours)


def artifact_uri(job: TuningJob, checkpoint: str = "") -> str:
    return checkpoints.folder(job, checkpoint) if checkpoint else checkpoints.default_folder(job)


def _same(endpoint: Endpoint, request_hash: str) -> Endpoint:
    if endpoint.request_hash != request_hash:
        raise KeyReused(_("This form was already submitted with other settings. Open the endpoint, or deploy again."))
    return endpoint


def request_replicas(model: DeployedModel, *, minimum: int, maximum: int) -> None:
    """Fewer or more machines from now on; each is paid for. The same numbers again are no second change."""
    if scaling.ask(model, minimum=minimum, maximum=maximum):
        deployed_models.notify(model)


def request_traffic(endpoint: Endpoint, split: Mapping[str, int]) -> None:
    """Other shares for the models on it from now on, by deployed model id."""
    if traffic.ask(endpoint, split):
        notify(endpoint)


def request_undeploy(endpoint: Endpoint, *, because: str = "") -> None:
    """Frees the machines of all its models and keeps the row. Before anything was sent there is nothing to keep.
    `because` is for the audit log: why the console does it by itself."""
    with transaction.atomic():
        row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        if row.state not in (EndpointState.UNDEPLOYING, EndpointState.UNDEPLOYED):
            policies.check_can_undeploy(row)
            _ask(row, EndpointState.UNDEPLOYED, EndpointState.UNDEPLOYING)
            audit.record("endpoint.undeploy", row, reason=because)
    endpoint.refresh_from_db()


def request_delete(endpoint: Endpoint) -> None:
    with transaction.atomic():
        row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        if not policies.why_not_delete(row):
            _ask(row, EndpointState.DELETED, EndpointState.DELETING)
            audit.record("endpoint.delete", row)
    endpoint.refresh_from_db()


def _ask(row: Endpoint, wanted: EndpointState, state: EndpointState) -> None:
    """A step in flight gives way to this: it finds its lease gone, or the state changed, when it settles."""
    now = timezone.now()
    row.wanted, row.notice = wanted, ""
    row.undeploy_at = row.traffic_asked_at = None
    deployed_models.end_all(row, now)
    was_never_sent = row.phase == Phase.INTENT and not row.deployed_models.live().exists()
    if was_never_sent or row.phase == Phase.CLOSED:
        check(ENDPOINT_TRANSITIONS, row.state, EndpointState.DELETED)
        row.state, row.phase, row.ended_at = EndpointState.DELETED, Phase.CLOSED, now
        row.lease_token = row.lease_until = row.next_check_at = None
    else:
        check(ENDPOINT_TRANSITIONS, row.state, state)
        row.state, row.next_check_at = state, now
    row.save()
    if row.state == EndpointState.DELETED:
        notifications.note_closed(row)
    notify(row)


def due(now: datetime) -> list[UUID]:
    return row_claim.due(Endpoint, now)


def advance(endpoint_id: UUID, now: datetime) -> bool:
    """Claims the endpoint and does the next step of it. True when the step after that could be done at once."""
    claimed = row_claim.claim(Endpoint, endpoint_id, now)
    return claimed is not None and row_claim.run(claimed, steps.step, notify)


def notify(endpoint: Endpoint) -> None:
    topics = [f"endpoint-{endpoint.pk}", "endpoints"]
    job_id = endpoint.model.job_id
    live.notify(endpoint.owner_id, *topics, *([f"job-{job_id}"] if job_id else []))

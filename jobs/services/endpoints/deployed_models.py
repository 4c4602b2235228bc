"""What people do with the models of an endpoint: put one beside the others, take one away."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from jobs import live
from jobs.errors import InvalidValues, KeyReused, NotAllowedNow, Problem
from jobs.models import DeployedModel, Endpoint, EventLevel, TuningJob
from jobs.services import audit
from jobs.services.costs import spending
from jobs.services.notifications import notifications
from jobs.services.remote import row_claim
from jobs.services.remote.create_once import fingerprint
from jobs.services.storage import policies as storage_policies
from jobs.services.tuned_models import checkpoints, policies as tuned_model_policies
from jobs.states import DEPLOYED_TRANSITIONS, UNSENT, DeployedState, Phase, check
from jobs.text.deferred import gettext as _

from . import endpoint_state, model_steps, policies, spec_rules, traffic_split
from .serving.spec import ServingOptions


@dataclass(frozen=True)
class DeployedModelSpec:
    """One of `publisher_model`, a `job` that succeeded (`checkpoint` of it; "" is its default), or `artifact_uri`.

    `machine` None: the one that Vertex AI recommends. `share` in percent; the others keep their proportions.
    """

    display_name: str
    share: int
    publisher_model: str = ""
    job: TuningJob | None = None
    checkpoint: str = ""
    artifact_uri: str = ""
    machine: Any = None
    min_replicas: int = 1
    max_replicas: int = 1
    accepts_licence: bool = False
    options: ServingOptions = field(default_factory=ServingOptions)


def add(endpoint: Endpoint, *, key: UUID, spec: DeployedModelSpec, automatic: bool = False) -> DeployedModel:
    """The intent, on disk. The same key again is the same model; nothing is sent from here. `automatic`: a tuning job
    asked for it, which reserved its price when it was created."""
    _check(spec)
    if spec.job:
        tuned_model_policies.check_can_serve_in(spec.job, endpoint.location)
    check_own(endpoint.owner, spec.job, spec.artifact_uri)
    columns = _columns(spec)
    request_hash = fingerprint(columns | {"endpoint": endpoint.pk})
    with transaction.atomic():
        row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        if found := DeployedModel.objects.filter(pk=key).first():
            return _same(found, request_hash)
        policies.check_can_add_model(row)
        model = DeployedModel(
            pk=key, endpoint=row, owner_id=row.owner_id, location=row.location, resource_name=row.resource_name,
            request_hash=request_hash, model_user_id=f"garden-{key.hex}",
            deployed_model_id=str(10**9 + key.int % (9 * 10**9)), automatic=automatic, **columns,
        )  # fmt: skip
        if not automatic:
            spending.reserve(row.owner, key, {key: price_on(row, model.machine_type, model.max_replicas)})
        _insert(model)
        facts: dict[str, str | int | bool | None] = {
            "endpoint": str(row.pk),
            "share": model.share,
            "automatic": automatic,
        }
        audit.record("deployed_model.add", model, facts=facts)
    return model


def price_on(endpoint: Endpoint, machine_type: str, replicas: int) -> spending.Usd:
    """Of a model that is put beside the others now."""
    hours = spending.count_hours(endpoint, timezone.now())
    return spending.deployment_usd(machine_type, replicas, hours, region=endpoint.location)


def _insert(model: DeployedModel) -> None:
    try:
        with transaction.atomic():
            model.save(force_insert=True)
    except IntegrityError:
        raise KeyReused(_("This form was already submitted. Open it again.")) from None
    words = {"model": model.display_name, "share": model.share}
    row_claim.record(model, EventLevel.INFO, _("You asked for %(model)s with %(share)d%% of the traffic.") % words)
    notify(model)


def _same(model: DeployedModel, request_hash: str) -> DeployedModel:
    if model.request_hash != request_hash:
        raise KeyReused(_("This form was already submitted with other settings. Open it again."))
    return model


def _check(spec: DeployedModelSpec) -> None:
    if sum(map(bool, (spec.publisher_model, spec.job, spec.artifact_uri))) != 1:
        raise NotAllowedNow(_("Choose one model to deploy."))
    spec_rules.validate(
        display_name=spec.display_name,
        share=spec.share,
        min_replicas=spec.min_replicas,
        max_replicas=spec.max_replicas,
        options=spec.options,
        machine_type=spec.machine.machine_type if spec.machine else "",
        accelerator_count=spec.machine.accelerator_count if spec.machine else 0,
        spot=False,
        shared_address=False,
    )
    if spec.options.idle_minutes is not None:
        raise InvalidValues([Problem("not_offered", "idle_minutes", spec_rules.no_idle_beside())])
    if spec.job:
        tuned_model_policies.check_can_serve(spec.job, spec.checkpoint)


def check_own(owner: User, job: TuningJob | None, folder: str) -> None:
    """What is to be deployed is this person's own, or shared with them; what is not there is refused alike."""
    if job and job.owner_id != owner.pk:
        raise NotAllowedNow(_("You don't have this tuned model. Choose one from the list."))
    if folder:
        storage_policies.check_can_read(owner, folder)


def _columns(spec: DeployedModelSpec) -> dict[str, Any]:
    machine, job = spec.machine, spec.job
    folder = spec.artifact_uri.removesuffix("/")
    if job:
        folder = checkpoints.folder(job, spec.checkpoint) if spec.checkpoint else checkpoints.default_folder(job)
    return {
        "display_name": spec.display_name,
        "share": spec.share,
        "job_id": job.pk if job else None,
        "publisher_model": spec.publisher_model,
        "artifact_uri": folder,
        "base_model": job.base_model if job else spec.publisher_model,
        "accepts_licence": spec.accepts_licence,
        "machine_type": machine.machine_type if machine else "",
        "accelerator_type": machine.accelerator_type if machine else "",
        "accelerator_count": machine.accelerator_count if machine else 0,
        "min_replicas": spec.min_replicas,
        "max_replicas": spec.max_replicas,
        **({"serving_options": spec.options.as_json()} if not spec.options.is_plain else {}),
    }


def undeploy(endpoint: Endpoint, deployed_model_id: str, split: Mapping[str, int]) -> DeployedModel:
    """Takes one of several away; `split` says who gets the traffic then. Asked twice it is once."""
    with transaction.atomic():
        row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        there = DeployedModel.objects.select_for_update().filter(endpoint=row, deployed_model_id=deployed_model_id)
        model: DeployedModel | None = there.first()
        if model is None:
            words = _("This model wasn't deployed from this console or no longer exists. Reload the page.")
            raise NotAllowedNow(words)
        if model.state not in (DeployedState.READY, DeployedState.DEPLOYING):
            return model
        policies.check_can_undeploy_model(model)
        if model.state == DeployedState.READY:
            traffic_split.check(split, set(row.traffic) - {deployed_model_id})
        _ask_away(model, dict(split), timezone.now())
        row_claim.record(model, EventLevel.INFO, _("You asked to undeploy %s.") % model.display_name)
        endpoint_state.hand_over(row)
        notify(model)
        audit.record("deployed_model.undeploy", model, facts={"endpoint": str(row.pk)})
    endpoint.refresh_from_db()
    return model


def end_all(endpoint: Endpoint, now: datetime) -> None:
    """The endpoint goes, locked by the caller: so do they."""
    for model in DeployedModel.objects.select_for_update().filter(endpoint=endpoint).live():
        if model.state != DeployedState.UNDEPLOYING:
            _ask_away(model, {}, now)
            if not model.comes_with_endpoint:
                row_claim.record(model, EventLevel.INFO, _("You asked to undeploy %s.") % model.display_name)


def _ask_away(model: DeployedModel, split: dict[str, int], now: datetime) -> None:
    """A step in flight gives way to this. Before anything was sent there is nothing to take away."""
    model.split_after, model.notice, model.replicas_asked_at = split, "", None
    is_unsent = model.phase in UNSENT
    state = DeployedState.UNDEPLOYED if is_unsent else DeployedState.UNDEPLOYING
    check(DEPLOYED_TRANSITIONS, model.state, state)
    model.state, model.next_check_at = state, now
    if is_unsent:
        model.phase, model.ended_at = Phase.CLOSED, now
        model.lease_token = model.lease_until = model.next_check_at = None
    model.save()
    if is_unsent:
        spending.release_deployment(model)
        notifications.note_closed(model)


def due(now: datetime) -> list[UUID]:
    return row_claim.due(DeployedModel, now)


def advance(model_id: UUID, now: datetime) -> bool:
    claimed = row_claim.claim(DeployedModel, model_id, now)
    return claimed is not None and row_claim.run(claimed, model_steps.step, notify)


def notify(model: DeployedModel) -> None:
    topics = [f"endpoint-{model.endpoint_id}", "endpoints"]
    live.notify(model.owner_id, *topics, *([f"job-{model.job_id}"] if model.job_id else []))

"""What people and the clock do with tuning jobs."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from jobs import live, shortages
from jobs.errors import InvalidValues, KeyReused, NotAllowedNow, Problem
from jobs.models import EventLevel, TuningDraft, TuningJob
from jobs.services import audit, installation
from jobs.services.costs import estimates, memory, spending
from jobs.services.endpoints import deployed_models
from jobs.services.notifications import notifications
from jobs.services.preflight import preflight, subjects
from jobs.services.preflight.lines import Subject
from jobs.services.remote import row_claim
from jobs.services.remote.create_once import fingerprint
from jobs.services.storage import policies as storage
from jobs.states import PHASE_TRANSITIONS, TUNING_TRANSITIONS, UNSENT, Phase, TuningState, check
from jobs.text.deferred import gettext as _

from . import policies, steps, terms
from .container.request import dataset_uri
from .spec import TuningSpec


def create(owner: User, *, key: UUID, spec: TuningSpec) -> TuningJob:
    """The intent, on disk. The same key again is the same job, whoever clicked twice; nothing is sent from here. Raises
    InvalidValues for what may not be."""
    request = spec.request()
    asked = {name: value for name, value in request.items() if name != "endpoint_options" or value}
    request_hash = fingerprint(asked | {"owner": owner.pk})
    if found := TuningJob.objects.filter(pk=key).first():
        return _same(found, request_hash)
    installation.get_id()
    if settings.VERTEX_API_ENDPOINT:
        shortages.require_room()
    try:
        with transaction.atomic():
            installation.lock()
            spec.validate(terms.of_spec(owner, key, spec))
            if reason := why_not_run(spec, timezone.now()):
                raise NotAllowedNow(reason)
            estimate = _estimate(spec)
            spending.reserve(owner, key, prices(key, spec, estimate))
            image = settings.VERTEX_TRAINER_IMAGE if spec.training_machine else ""
            kept = {"request_hash": request_hash, "estimate": estimate.as_dict(), "trainer_image": image}
            job = TuningJob(pk=key, owner=owner, **kept, **request)
            job.save(force_insert=True)
            job.events.create(level=EventLevel.INFO, message=_("The job was created."))
            TuningDraft.objects.filter(pk=key, owner=owner).update(submitted_at=timezone.now())
            notify(job)
            audit.record("tuning_job.create", job)
    except IntegrityError:
        return _same(_find_concurrent(key), request_hash)
    return job


def _find_concurrent(key: UUID) -> TuningJob:
    """By the same form sent twice; else another job took the output folder first."""
    found: TuningJob | None = TuningJob.objects.filter(pk=key).first()
    if found:
        return found
    raise InvalidValues([Problem("not_writable", "output_uri", storage.say_taken())])


def _estimate(spec: TuningSpec) -> estimates.Estimate:
    machine = spec.training_machine
    return estimates.of_data(
        spec.dataset, spec.epochs, spec.base_model, spec.tuning_mode, spec.batch_size, machine, spec.location
    )


def prices(key: UUID, spec: TuningSpec, estimate: estimates.Estimate) -> dict[UUID, Decimal | None]:
    """Of the training, and of the deployment that comes by itself after it; None where it is not known."""
    found = {key: spending.training_usd(estimate.cost_usd)}
    if spec.auto_deploy:
        found[spending.deployment_key(key)] = _deployment_price(spec)
    return found


def _deployment_price(spec: TuningSpec) -> Decimal | None:
    machine, most = spec.machine_type, spec.endpoint_max_replicas
    if spec.deploy_endpoint:
        return deployed_models.price_on(spec.deploy_endpoint, machine, most)
    return spending.deployment_usd(machine, most, spec.endpoint_lease_hours, region=spec.location)


def price_of(spec: TuningSpec) -> Decimal | None:
    """Of the training alone."""
    return spending.training_usd(_estimate(spec).cost_usd)


def why_not_start(owner: User, key: UUID, spec: TuningSpec) -> str:
    """That it would cost more than may be spent today, that the project lacks something, or the machine memory; else
    nothing."""
    too_much = spending.why_not_spend(owner, spending.total(*prices(key, spec, _estimate(spec)).values()))
    return too_much or why_not_run(spec, timezone.now())


def fit_of(spec: TuningSpec) -> memory.Fit | None:
    """Whether it fits into the memory of the machine that trains; None where nobody tells."""
    if spec.training_machine:
        return None
    rows = spec.max_seq_length or 0
    return memory.of_training(spec.dataset, spec.base_model, spec.tuning_mode, spec.adapter_size, spec.batch_size, rows)


def why_not_run(spec: TuningSpec, now: datetime) -> str:
    """That the project lacks something, or the machine memory; else nothing."""
    lacks = preflight.why_not_spend(subject_of(spec), now)
    return lacks or memory.why_not(fit_of(spec), spec.base_model, now)


def subject_of(spec: TuningSpec) -> Subject:
    """What has to be there on Google Cloud for the training, and for the deployment after it."""
    data = [dataset_uri(dataset) for dataset in (spec.dataset, spec.validation_dataset) if dataset]
    found = subjects.of_training(spec.base_model, spec.output_uri, spec.location, spec.training_machine, data)
    if not spec.auto_deploy:
        return found
    return subjects.add_deployment(found, spec.machine_type, spec.endpoint_max_replicas, spec.location)


def _same(job: TuningJob, request_hash: str) -> TuningJob:
    if job.request_hash != request_hash:
        raise KeyReused(_("This form was already sent with other settings. Open the job, or start a new one."))
    return job


def request_cancel(job: TuningJob) -> None:
    """Durable, and stronger than whatever a step does at this moment: a job not yet sent will never be."""
    now = timezone.now()
    with transaction.atomic():
        row = TuningJob.objects.select_for_update().get(pk=job.pk)
        policies.check_can_cancel(row)
        if row.cancel_requested_at is None:
            row.cancel_requested_at = now
            _cancel(row, now)
            notify(row)
            audit.record("tuning_job.cancel", row)
    job.refresh_from_db()


def _cancel(job: TuningJob, now: datetime) -> None:
    if job.phase in UNSENT:
        sentence = _("Cancelled before it was sent to Vertex AI.")
        _close(job, TuningState.CANCELLED, now)
        spending.release(job.pk)
        level = EventLevel.INFO
    else:
        sentence, level = _("Cancellation was requested."), EventLevel.INFO
        check(TUNING_TRANSITIONS, job.state, TuningState.CANCELLING)
        job.state, job.next_check_at = TuningState.CANCELLING, now
        job.save(update_fields=["state", "next_check_at", "cancel_requested_at", "updated_at"])
    job.events.create(level=level, message=sentence)


def _close(job: TuningJob, state: TuningState, now: datetime) -> None:
    check(TUNING_TRANSITIONS, job.state, state)
    check(PHASE_TRANSITIONS, job.phase, Phase.CLOSED)
    job.state, job.phase, job.ended_at, job.notice = state, Phase.CLOSED, now, ""
    job.lease_token = job.lease_until = job.next_check_at = None
    job.save()
    notifications.note_closed(job)


def decide(job: TuningJob, *, again: bool) -> None:
    """The answer of a person to an outcome that stayed unknown: send it again, or give it up."""
    now = timezone.now()
    with transaction.atomic():
        row = TuningJob.objects.select_for_update().get(pk=job.pk)
        policies.check_can_decide(row)
        if again:
            row.phase, row.notice, row.next_check_at = Phase.RETRY_OK, "", now
            row.lease_token = row.lease_until = None
            row.save()
            row.events.create(level=EventLevel.INFO, message=_("You asked to send it again."))
        else:
            row.error_code = "UNKNOWN"
            row.error_message = _("The job was given up because it could not be confirmed that Vertex AI accepted it.")
            _close(row, TuningState.FAILED, now)
            row.events.create(level=EventLevel.WARNING, message=row.error_message)
        notify(row)
        audit.record("tuning_job.decide", row, facts={"again": again})
    job.refresh_from_db()


def due(now: datetime) -> list[UUID]:
    return row_claim.due(TuningJob, now)


def advance(job_id: UUID, now: datetime) -> bool:
    """Claims the job and does the next step of it. True when the step after that could be done at once."""
    claimed = row_claim.claim(TuningJob, job_id, now)
    return claimed is not None and row_claim.run(claimed, steps.step, notify)


def notify(job: TuningJob) -> None:
    live.notify(job.owner_id, f"job-{job.pk}", "jobs")

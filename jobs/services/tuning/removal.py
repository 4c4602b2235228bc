"""Tuning jobs out of sight: archived, brought back, and deleted with what they left.

The row of a deleted job stays, without what it told: it is what keeps its form from making a second job, its folder
from being written to by another one, and the job in Vertex AI from being taken for a stranger's.
"""

from dataclasses import dataclass, field
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from jobs import live
from jobs.errors import NotAllowedNow
from jobs.models import DeployedModel, Notification, NotificationSubject, OutputListing, TuningJob, Visibility
from jobs.models.fields.uris import is_inside
from jobs.services import audit
from jobs.services.catalogue import policies as catalogue
from jobs.services.remote.row_claim import NOW, Claim, Outcome
from jobs.services.storage import output_files, policies as storage
from jobs.services.tuned_models import takeaways
from jobs.states import DEPLOYED_LIVE, TUNING_LIVE
from jobs.vertex import get_gateway
from jobs.vertex.errors import NotFound

from . import policies

AT_ONCE = 50
STEP = timedelta(seconds=40)


@dataclass(frozen=True)
class Uses:
    """Of the model and the files of a job. `serving` and `training` keep it from being deleted; `served` and `trained`
    are over, and cannot be done again when the files are gone."""

    owner_id: int
    serving: list[DeployedModel] = field(default_factory=list)
    training: list[TuningJob] = field(default_factory=list)
    served: list[DeployedModel] = field(default_factory=list)
    trained: list[TuningJob] = field(default_factory=list)

    @property
    def blocking(self) -> list[str]:
        return catalogue.name_uses(self.owner_id, self.serving, self.training)


def uses_of(job: TuningJob) -> Uses:
    folder = job.output_uri.rstrip("/")
    below = f"{folder}/"
    models = DeployedModel.objects.select_related("endpoint").filter(Q(job=job) | Q(artifact_uri__startswith=below))
    jobs = TuningJob.objects.filter(custom_base_model__startswith=below).exclude(pk=job.pk).rows()
    uses = Uses(job.owner_id)
    for model in models:
        # SQLite takes capitals for small letters here.
        if model.job_id != job.pk and not is_inside(model.artifact_uri, folder):
            continue
        (uses.serving if model.state in DEPLOYED_LIVE else uses.served).append(model)
    for one in jobs.exclude(visibility=Visibility.DELETED):
        if not is_inside(one.custom_base_model, folder):
            continue
        (uses.training if one.state in TUNING_LIVE else uses.trained).append(one)
    return uses


def why_not_delete(job: TuningJob) -> str:
    return policies.why_not_delete(job, uses_of(job).blocking)


def why_not_delete_files(job: TuningJob) -> str:
    return storage.why_not_empty(job)


def has_own_model(job: TuningJob) -> bool:
    """A model of the registry with this one version: deleting it takes no version of another job along."""
    name, _at, version = job.tuned_model.partition("@")
    others = TuningJob.objects.exclude(pk=job.pk).filter(tuned_model__startswith=f"{name}@")
    return bool(name) and version in ("", "1") and not others.exists()


def archive(job: TuningJob) -> None:
    _move(job, Visibility.ARCHIVED, "tuning_job.archive")


def restore(job: TuningJob) -> None:
    """An archived job is in the list again."""
    _move(job, Visibility.LISTED, "tuning_job.restore")


def _move(job: TuningJob, to: Visibility, action: str) -> None:
    check = policies.check_can_archive if to == Visibility.ARCHIVED else policies.check_can_restore
    with transaction.atomic():
        row = TuningJob.objects.select_for_update().get(pk=job.pk)
        check(row)
        TuningJob.objects.filter(pk=row.pk).update(visibility=to)
        _notify(row)
        audit.record(action, row)
    job.refresh_from_db(fields=["visibility"])


def delete(job: TuningJob, *, files: bool = False, model: bool = False) -> None:
    """Gone for its owner at once. `files`: those of the output folder, `model`: that of the registry; the worker
    deletes both, and goes on until they are gone."""
    with transaction.atomic():
        row = TuningJob.objects.select_for_update().get(pk=job.pk)
        policies.check_can_delete(row, uses_of(row).blocking)
        if files and (reason := storage.why_not_empty(row)):
            raise NotAllowedNow(reason)
        row.visibility = Visibility.DELETED
        row.removes_files, row.removes_model = files, model and has_own_model(row)
        row.next_check_at = timezone.now() if row.removes_files or row.removes_model else None
        row.log_text = row.description = ""
        row.data_stats, row.loss_curve, row.dataset, row.validation_dataset = {}, [], None, None
        row.save()
        row.metrics.all().delete()
        OutputListing.objects.filter(job=row).delete()
        Notification.objects.filter(subject=NotificationSubject.TUNING_JOB, subject_id=row.pk).delete()
        _notify(row)
        audit.record("tuning_job.delete", row, facts={"files": row.removes_files, "model": row.removes_model})
    for takeaway in job.takeaways.all():
        takeaways.remove(takeaway)
    job.refresh_from_db()


def step(claimed: Claim[TuningJob]) -> Outcome:
    """Each part may be repeated. The model first: while it is in the registry, somebody could deploy it."""
    job = claimed.row
    if job.removes_model:
        _delete_model(job.tuned_model)
        return Outcome(NOW, {"removes_model": False, "tuned_model": "", "notice": ""})
    if storage.why_not_empty(job):
        return Outcome(None, {"removes_files": False, "notice": ""})
    is_empty = _delete_some(job.output_uri, claimed)
    return Outcome(None if is_empty else NOW, {"removes_files": not is_empty, "notice": ""})


def _delete_model(name: str) -> None:
    try:
        get_gateway().deployment.delete_model(name.partition("@")[0])
    except NotFound:
        return


def _delete_some(folder: str, claimed: Claim[TuningJob]) -> bool:
    """True when nothing is left."""
    gateway, until = get_gateway(), claimed.began + STEP
    found = list(output_files.walk(folder, AT_ONCE))
    for one in found:
        gateway.storage.delete(f"{folder.rstrip('/')}/{one.name}")
        if claimed.now > until:
            return False
    return len(found) < AT_ONCE


def _notify(job: TuningJob) -> None:
    live.notify(job.owner_id, f"job-{job.pk}", "jobs")

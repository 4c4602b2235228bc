"""The checkpoints of a tuned model: where each lies, which can be deployed, which one a deployment takes."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction

from jobs import live
from jobs.errors import NotAllowedNow
from jobs.models import Endpoint, ModelForm, TuningJob
from jobs.services import audit
from jobs.text.deferred import gettext as _

from . import policies

RESULTS = "postprocess/node-0/checkpoints"


def folder(job: TuningJob, checkpoint_id: str = "") -> str:
    """The `gs://` folder; without an id that of the last one, which is exported as a whole model at the end."""
    if not checkpoint_id or (checkpoint_id == last_id(job) and job.is_tuned):
        return model_folder(job)
    return own_folder(job, checkpoint_id)


def model_folder(job: TuningJob) -> str:
    """Where the model was found, else where Vertex AI's documentation has it."""
    if job.result_form in ("", ModelForm.NONE):
        return f"{_results(job)}/final"
    return _below(job, job.result_folder)


def own_folder(job: TuningJob, checkpoint_id: str) -> str:
    """Where the checkpoint lies as it was saved while the training went on; the last one, too."""
    one = _one(job, checkpoint_id)
    return _below(job, one["folder"]) if "folder" in one else f"{_results(job)}/checkpoint-{one['step']}"


def folders(job: TuningJob, checkpoint_id: str) -> set[str]:
    """All that hold these weights."""
    return {folder(job, checkpoint_id), own_folder(job, checkpoint_id)}


def _results(job: TuningJob) -> str:
    return _below(job, RESULTS)


def _below(job: TuningJob, folder: str) -> str:
    return f"{job.output_uri.rstrip('/')}/{folder}".rstrip("/")


def default_folder(job: TuningJob) -> str:
    known = job.default_checkpoint in ids(job)
    return folder(job, job.default_checkpoint if known else "")


def default_id(job: TuningJob) -> str:
    return job.default_checkpoint if job.default_checkpoint in ids(job) else last_id(job)


def filter_serving_model(job: TuningJob, endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    """Those of a job's endpoints that serve what a deployment of its model takes, and no other of its checkpoints."""
    if not job.is_tuned:
        return []
    default = default_id(job)
    wanted = folders(job, default) if default else set()
    others = {one for checkpoint in ids(job) if checkpoint != default for one in folders(job, checkpoint)} - wanted
    return [endpoint for endpoint in endpoints if endpoint.model.artifact_uri not in others]


def ids(job: TuningJob) -> list[str]:
    return [one["checkpoint_id"] for one in job.checkpoints]


def last_id(job: TuningJob) -> str:
    return job.last_checkpoint


def set_default(job: TuningJob, checkpoint_id: str) -> None:
    """Kept here: a deployment names a folder, and Vertex AI's own default does not change which one."""
    with transaction.atomic():
        row = TuningJob.objects.select_for_update().get(pk=job.pk)
        _one(row, checkpoint_id)
        policies.check_can_deploy_checkpoint(row, checkpoint_id)
        TuningJob.objects.filter(pk=row.pk).update(default_checkpoint=checkpoint_id)
        live.notify(row.owner_id, f"job-{row.pk}", "jobs")
        audit.record("tuning_job.default_checkpoint", row, facts={"checkpoint": checkpoint_id})
    job.refresh_from_db(fields=["default_checkpoint"])


def _one(job: TuningJob, checkpoint_id: str) -> Mapping[str, Any]:
    for one in job.checkpoints:
        if one["checkpoint_id"] == checkpoint_id:
            return dict(one)
    raise NotAllowedNow(_("The job doesn't have this checkpoint. Check the list again."))

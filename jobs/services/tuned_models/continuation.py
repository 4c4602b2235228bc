"""What a person has tuned before and can go on from: the model that a job left, and its checkpoints."""

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import Q

from jobs.models import TuningJob, TuningJobQuerySet
from jobs.states import TuningState
from jobs.text.deferred import gettext as _

from . import policies

RESULTS = "postprocess/node-0/checkpoints"
JOBS_OFFERED = 100


@dataclass(frozen=True)
class Start:
    """`uri` is the folder in Cloud Storage; `checkpoint` empty: the model as it was when the training ended."""

    job: TuningJob
    uri: str
    checkpoint: str = ""
    epoch: int = 0

    @property
    def title(self) -> str:
        if not self.checkpoint:
            return self.job.display_name
        words = {"name": self.job.display_name, "checkpoint": self.checkpoint, "epoch": self.epoch}
        return _("%(name)s, checkpoint %(checkpoint)s of epoch %(epoch)s") % words


def starts(owner: User) -> list[Start]:
    """The newest job first; of each its model, then its checkpoints."""
    return [start for job in _with_results(owner).listed()[:JOBS_OFFERED] for start in _of_job(job)]


def start_at(owner: User, uri: str) -> Start | None:
    """The one whose folder this is, however old."""
    folder = uri.partition(f"/{RESULTS}/")[0]
    jobs = _with_results(owner).filter(output_uri=folder)
    return next((start for job in jobs for start in _of_job(job) if start.uri == uri), None)


def job_behind(job: TuningJob) -> TuningJob | None:
    """The job that this one went on from, while it is still there."""
    folder = job.custom_base_model.partition(f"/{RESULTS}/")[0]
    if not folder:
        return None
    return TuningJob.objects.visible_to(job.owner).filter(output_uri=folder).first()


def _with_results(owner: User) -> TuningJobQuerySet:
    """Those that succeeded, and others that have saved something on the way."""
    some = Q(state=TuningState.SUCCEEDED) | ~Q(checkpoints=[])
    return TuningJob.objects.visible_to(owner).filter(some).defer("log_text", "data_stats")


def _of_job(job: TuningJob) -> list[Start]:
    folder = f"{job.output_uri.rstrip('/')}/{RESULTS}"
    saved = [] if job.export_last_checkpoint_only else job.checkpoints
    saved = [one for one in saved if not policies.why_not_continue(job, one["checkpoint_id"])]
    return [
        *([Start(job, f"{folder}/final")] if job.state == TuningState.SUCCEEDED else []),
        *(Start(job, f"{folder}/checkpoint-{one['step']}", one["checkpoint_id"], one["epoch"]) for one in saved),
    ]

"""What a person has tuned before and can go on from: the model that a job left, and its checkpoints."""

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import Q

from jobs.models import TuningJob, TuningJobQuerySet
from jobs.states import TUNED
from jobs.text.deferred import gettext as _

from . import checkpoints, policies

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

    @property
    def epochs_left(self) -> int:
        """Of a job that ended early, at least one; another is trained for as many epochs once more."""
        if self.job.is_tuned:
            return self.job.epochs
        return max(1, self.job.epochs - self.epoch)


def starts(owner: User) -> list[Start]:
    """The newest job first; of each its model, then its checkpoints."""
    return [start for job in _with_results(owner).listed()[:JOBS_OFFERED] for start in _of_job(job)]


def start_at(owner: User, uri: str) -> Start | None:
    """The one whose folder this is, however old."""
    folder = uri.partition(f"/{RESULTS}/")[0]
    jobs = _with_results(owner).filter(output_uri=folder)
    return next((start for job in jobs for start in _of_job(job) if start.uri == uri), None)


def start_of(job: TuningJob, checkpoint: str = "") -> Start:
    """Without a checkpoint: what a deployment of the model takes; of a job that ended early, its last checkpoint.
    Raises NotAllowedNow."""
    if not checkpoint and job.is_tuned:
        default = checkpoints.default_id(job)
        checkpoint = "" if default == job.last_checkpoint else default
    elif not checkpoint:
        policies.check_can_resume(job)
        checkpoint = job.last_checkpoint
    policies.check_can_continue(job, checkpoint)
    return next(start for start in _of_job(job) if start.checkpoint == checkpoint)


def job_behind(job: TuningJob) -> TuningJob | None:
    """The job that this one went on from, while it is still there."""
    folder = job.custom_base_model.partition(f"/{RESULTS}/")[0]
    if not folder:
        return None
    return TuningJob.objects.visible_to(job.owner).filter(output_uri=folder).first()


def _with_results(owner: User) -> TuningJobQuerySet:
    """Those that succeeded, and others that have saved something on the way."""
    some = Q(state__in=TUNED) | ~Q(checkpoints=[])
    return TuningJob.objects.visible_to(owner).filter(some).defer("log_text", "data_stats")


def _of_job(job: TuningJob) -> list[Start]:
    folder = f"{job.output_uri.rstrip('/')}/{RESULTS}"
    found = [] if policies.why_not_continue(job) else [Start(job, f"{folder}/final")]
    for one in job.checkpoints:
        if not policies.why_not_continue(job, one["checkpoint_id"]):
            found.append(Start(job, f"{folder}/checkpoint-{one['step']}", one["checkpoint_id"], one["epoch"]))
    return found

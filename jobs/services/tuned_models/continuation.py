"""What a person has tuned before and can go on from: the model that a job left, and its checkpoints."""

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import Q

from jobs.models import TuningJob, TuningJobQuerySet
from jobs.models.fields.uris import at_or_above
from jobs.states import TUNED
from jobs.text.deferred import gettext as _

from . import checkpoints, policies

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
    jobs = _with_results(owner).filter(output_uri__in=_folders_above(uri))
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
    above = TuningJob.objects.visible_to(job.owner).filter(output_uri__in=_folders_above(job.custom_base_model))
    found: TuningJob | None = max(above, key=lambda one: len(one.output_uri), default=None)
    return found


def _folders_above(uri: str) -> list[str]:
    """Below which a model may lie in a folder of any name."""
    return at_or_above(uri)[1:] if uri else []


def _with_results(owner: User) -> TuningJobQuerySet:
    """Those that succeeded, and others that have saved something on the way."""
    some = Q(state__in=TUNED) | ~Q(checkpoints=[])
    return TuningJob.objects.visible_to(owner).filter(some).defer("log_text", "data_stats")


def _of_job(job: TuningJob) -> list[Start]:
    found = [] if policies.why_not_continue(job) else [Start(job, checkpoints.model_folder(job))]
    for one in job.checkpoints:
        if not policies.why_not_continue(job, one["checkpoint_id"]):
            own = checkpoints.own_folder(job, one["checkpoint_id"])
            found.append(Start(job, own, one["checkpoint_id"], one["epoch"]))
    return found

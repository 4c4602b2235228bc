"""What may be done with a tuned model now. Each answer is a sentence, or nothing when it may be done; `check_can_x`
raises it."""

from collections.abc import Iterable

from jobs.errors import refuse_for
from jobs.models import Endpoint, TuningJob, TuningMode
from jobs.states import EndpointState
from jobs.text.deferred import gettext as _


def why_not_deploy_checkpoint(job: TuningJob, checkpoint: str) -> str:
    """An adapter alone is no folder that a model server can start from."""
    if not job.is_tuned:
        return _("You can deploy a checkpoint after tuning succeeds.")
    if checkpoint != job.last_checkpoint and job.tuning_mode == TuningMode.PEFT_ADAPTER:
        return _("An earlier checkpoint contains only the adapter. The full model is exported at the end.")
    return ""


def check_can_deploy_checkpoint(job: TuningJob, checkpoint: str) -> None:
    refuse_for(why_not_deploy_checkpoint(job, checkpoint))


def why_not_serve(job: TuningJob, checkpoint: str = "") -> str:
    """On any endpoint, as often as one likes. `checkpoint` of the job; "" for its default."""
    if not job.is_terminal:
        return _("You can deploy the model after tuning succeeds.")
    if not job.is_tuned:
        return _("There is no tuned model to deploy.")
    return why_not_deploy_checkpoint(job, checkpoint) if checkpoint else ""


def check_can_serve(job: TuningJob, checkpoint: str = "") -> None:
    refuse_for(why_not_serve(job, checkpoint))


def why_not_deploy(job: TuningJob, endpoints: Iterable[Endpoint]) -> str:
    """As a whole, by one click. `endpoints`: those of this job that are not deleted."""
    if reason := why_not_serve(job):
        return reason
    there = list(endpoints)
    return _("The model is already deployed.") if any(map(is_live, there)) or awaits_endpoint(job, there) else ""


def is_live(endpoint: Endpoint) -> bool:
    return endpoint.is_transient or endpoint.state == EndpointState.READY


def awaits_endpoint(job: TuningJob, endpoints: Iterable[Endpoint]) -> bool:
    """A success with auto-deploy whose endpoint row is still to come, or whose endpoint is on its way."""
    there = list(endpoints)
    if any(endpoint.is_transient for endpoint in there):
        return True
    return job.is_tuned and job.auto_deploy and not there and job.next_check_at is not None

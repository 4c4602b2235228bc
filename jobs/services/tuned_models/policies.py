"""What may be done with a tuned model now. Each answer is a sentence, or nothing when it may be done; `check_can_x`
raises it."""

from collections.abc import Iterable

from jobs.errors import refuse_for
from jobs.models import Endpoint, TuningJob, TuningMode
from jobs.states import EndpointState, TuningState
from jobs.text.deferred import gettext as _


def why_not_deploy_checkpoint(job: TuningJob, checkpoint: str) -> str:
    """An adapter alone is no folder that a model server can start from, unless it lies there as that server wants it:
    then also before the tuning has ended."""
    if job.is_servable(checkpoint):
        return ""
    if not job.is_tuned:
        return _("A checkpoint can be deployed when the tuning has succeeded.")
    if checkpoint != job.last_checkpoint and job.tuning_mode == TuningMode.PEFT_ADAPTER:
        return _("An earlier checkpoint of an adapter holds the adapter only; the whole model is exported at the end.")
    return ""


def check_can_deploy_checkpoint(job: TuningJob, checkpoint: str) -> None:
    refuse_for(why_not_deploy_checkpoint(job, checkpoint))


def why_not_continue(job: TuningJob, checkpoint: str) -> str:
    """With a new job that begins with these weights. Vertex AI writes checkpoints when it likes, so only what is known
    to lie in the folder is gone on from."""
    if job.state == TuningState.SUCCEEDED:
        if not job.export_last_checkpoint_only or checkpoint == job.last_checkpoint:
            return ""
        return _("This job kept only its last checkpoint. Continue from that one.")
    if job.is_servable(checkpoint):
        return ""
    if not job.is_terminal:
        return _("A new job can continue from a checkpoint when this one has succeeded.")
    return _("The tuning did not succeed in full, so the files of this checkpoint may be incomplete.")


def check_can_continue(job: TuningJob, checkpoint: str) -> None:
    refuse_for(why_not_continue(job, checkpoint))


def why_not_deploy(job: TuningJob, endpoints: Iterable[Endpoint]) -> str:
    """As a whole, by one click. `endpoints`: those of this job that are not deleted."""
    if not job.is_terminal:
        return _("The model can be deployed when its tuning has succeeded.")
    if not job.is_tuned:
        return _("There is no tuned model to deploy.")
    there = list(endpoints)
    return _("The model is deployed already.") if any(map(is_live, there)) or awaits_endpoint(job, there) else ""


def is_live(endpoint: Endpoint) -> bool:
    return endpoint.is_transient or endpoint.state == EndpointState.READY


def awaits_endpoint(job: TuningJob, endpoints: Iterable[Endpoint]) -> bool:
    """A success with auto-deploy whose endpoint row is still to come, or whose endpoint is on its way."""
    there = list(endpoints)
    if any(endpoint.is_transient for endpoint in there):
        return True
    return job.is_tuned and job.auto_deploy and not there and job.next_check_at is not None

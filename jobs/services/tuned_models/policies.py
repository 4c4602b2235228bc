"""What may be done with a tuned model now. Each answer is a sentence, or nothing when it may be done; `check_can_x`
raises it."""

from collections.abc import Iterable

from django.conf import settings

from jobs.errors import refuse_for
from jobs.models import Endpoint, ModelForm, TuningJob, TuningMode
from jobs.services.catalogue import regions
from jobs.states import EndpointState
from jobs.text.deferred import gettext as _

from . import forms


def why_not_deploy_checkpoint(job: TuningJob, checkpoint: str) -> str:
    """An adapter alone is no folder that a model server can start from, unless it lies there as that server wants it:
    then also before the tuning has ended."""
    if job.is_servable(checkpoint):
        return ""
    if not job.is_tuned:
        return _("You can deploy a checkpoint after tuning succeeds.")
    if checkpoint == job.last_checkpoint:
        return _why_not_deploy_model(job)
    form = next((one.get("form", "") for one in job.checkpoints if one["checkpoint_id"] == checkpoint), "")
    if form == ModelForm.ADAPTER or (not form and job.tuning_mode == TuningMode.PEFT_ADAPTER):
        return _("An earlier checkpoint contains only the adapter. The full model is exported at the end.")
    return ""


def _why_not_deploy_model(job: TuningJob) -> str:
    """By what was found in the output folder when the tuning had ended."""
    if job.result_form == ModelForm.NONE:
        return forms.say_no_weights(job.output_uri)
    if job.result_form == ModelForm.ADAPTER and not settings.VERTEX_API_ENDPOINT:
        return forms.say_adapter()
    return ""


def check_can_deploy_checkpoint(job: TuningJob, checkpoint: str) -> None:
    refuse_for(why_not_deploy_checkpoint(job, checkpoint))


def why_not_continue(job: TuningJob, checkpoint: str = "") -> str:
    """By a new job that goes on from the weights of this one; without a checkpoint, from those at its end.

    Google's managed tuning takes whole models for that. A container of the project's own and the local Vertex AI go on
    from an adapter, too; from one whose files were seen, also while the training goes on.
    """
    if not checkpoint:
        return _why_not_continue_at_the_end(job)
    if checkpoint not in [one["checkpoint_id"] for one in job.checkpoints]:
        return _("The job doesn't have this checkpoint. Check the list again.")
    if job.is_tuned and job.export_last_checkpoint_only:
        return _("Only the tuned model was kept, so a new job can continue from that alone.")
    if job.is_servable(checkpoint):
        return ""
    if not job.is_terminal:
        return _("A tuning can be continued when it has ended.")
    if not _takes_checkpoints_of(job):
        return _("The checkpoint holds an adapter only, and Vertex AI continues from a whole model only.")
    return ""


def _why_not_continue_at_the_end(job: TuningJob) -> str:
    if not job.is_terminal:
        return _("A tuning can be continued when it has ended.")
    return "" if job.is_tuned else _("There is no tuned model to continue from.")


def check_can_continue(job: TuningJob, checkpoint: str = "") -> None:
    refuse_for(why_not_continue(job, checkpoint))


def _takes_checkpoints_of(job: TuningJob) -> bool:
    is_adapter = job.tuning_mode == TuningMode.PEFT_ADAPTER
    return not is_adapter or job.is_in_container or bool(settings.VERTEX_API_ENDPOINT)


def what_cancelling_loses(job: TuningJob) -> str:
    if _takes_checkpoints_of(job):
        return _(
            "What was trained since the last checkpoint is lost. From a checkpoint that was saved, you can resume with "
            "a new job."
        )
    return _(
        "What was trained so far is lost: Vertex AI does not resume a cancelled job, and a new job cannot continue "
        "from the checkpoints of an adapter."
    )


def why_not_resume(job: TuningJob) -> str:
    """By a new job, too: neither Google nor the local Vertex AI takes up a job that has ended."""
    if not job.is_terminal or job.is_tuned:
        return _("Only a job that failed or was cancelled can be resumed.")
    if not job.started_at:
        return _("The training had not begun, so there is nothing to resume from.")
    if not job.last_checkpoint:
        return _("No checkpoint was found in its output directory, so there is nothing to resume from.")
    return why_not_continue(job, job.last_checkpoint)


def check_can_resume(job: TuningJob) -> None:
    refuse_for(why_not_resume(job))


def why_not_serve(job: TuningJob, checkpoint: str = "") -> str:
    """On any endpoint, as often as one likes. `checkpoint` of the job; "" for its default."""
    if checkpoint:
        return why_not_deploy_checkpoint(job, checkpoint)
    if not job.is_terminal:
        return _("You can deploy the model after tuning succeeds.")
    if not job.is_tuned:
        return _("There is no tuned model to deploy.")
    default = job.default_checkpoint
    return why_not_deploy_checkpoint(job, default) if default else _why_not_deploy_model(job)


def check_can_serve(job: TuningJob, checkpoint: str = "") -> None:
    refuse_for(why_not_serve(job, checkpoint))


def find_region(job: TuningJob) -> str:
    """Where its model is; nothing while a job of `global` has not told."""
    return regions.region_of(job.tuned_model) or (job.location if job.location not in regions.NO_REGIONS else "")


def why_not_serve_in(job: TuningJob, region: str) -> str:
    """The local Vertex AI has one region, whatever it is called."""
    home = find_region(job)
    if not regions.has_choice() or home in ("", region):
        return ""
    words = {"model": job.display_name, "home": home, "region": region}
    sentence = _(
        "%(model)s was tuned in %(home)s and can be deployed there only. To serve it in %(region)s, copy its folder to "
        "a bucket there and deploy that as custom weights."
    )
    return sentence % words


def check_can_serve_in(job: TuningJob, region: str) -> None:
    refuse_for(why_not_serve_in(job, region))


def why_not_deploy(job: TuningJob, endpoints: Iterable[Endpoint]) -> str:
    """As a whole, by one click. `endpoints`: those of this job that serve its model and are not deleted."""
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

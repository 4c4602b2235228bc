"""What may be done about a failure now. Each answer is a sentence, or nothing when it may be done; `check_can_x` raises
it. Buttons and services ask here.
"""

from jobs.errors import refuse_for
from jobs.models import Dataset, PublisherModel, TuningJob
from jobs.services.catalogue import policies as catalogue
from jobs.services.datasets.policies import add_again
from jobs.text.deferred import gettext as _, join

from .causes import Diagnosis, Fix


def why_not_mend(job: TuningJob, found: Diagnosis | None, fix: str, instead: TuningJob | None) -> str:
    """`instead`: the job that was started in place of this one, if there is one that has not failed itself."""
    if found is None or fix not in found.fixes:
        return _("This is not offered for the job any more. Reload the page.")
    if instead is not None:
        return _("The job %s was already started in place of this one.") % instead.display_name
    if fix != Fix.ACCEPT_TERMS and lacks_terms(job):
        return _("Accept the terms of the model first: clone the job, and the last step asks for them.")
    if fix == Fix.LEAVE_OUT:
        return why_not_leave_out(job.dataset, found.rows)
    if fix == Fix.HALVE_BATCH and job.batch_size == 1:
        return _("The batch size is 1 already. Use shorter rows or a smaller base model.")
    return ""


def lacks_terms(job: TuningJob) -> bool:
    """They are to be accepted, and were not with this job: nothing like it may be started."""
    model = PublisherModel.objects.filter(name=job.base_model).first()
    return bool(model and not job.accepts_licence and catalogue.licence_to_accept(model))


def check_can_mend(job: TuningJob, found: Diagnosis | None, fix: str, instead: TuningJob | None) -> None:
    refuse_for(why_not_mend(job, found, fix, instead))


def why_not_leave_out(dataset: Dataset | None, rows: tuple[int, ...]) -> str:
    if dataset is None:
        return _("The dataset was deleted.")
    if not rows:
        return _("The reason names no line. Open the dataset to look for what is wrong with it.")
    if len(rows) >= dataset.row_count:
        return join(_("Every row is at fault. Correct the rows in the file."), add_again(dataset))
    return ""


def why_not_redeploy(found: Diagnosis | None, fix: str) -> str:
    if found is None or fix not in found.fixes:
        return _("This is not offered for the endpoint any more. Reload the page.")
    return ""


def check_can_redeploy(found: Diagnosis | None, fix: str) -> None:
    refuse_for(why_not_redeploy(found, fix))

"""What may be done with a tuning job, or with the draft of one, now. Each answer is a sentence, or nothing when it may
be done; `check_can_x` raises it. Pages, bulk actions and services ask here and nowhere else.

Whose a job is, is no question here: what a person may not see is not found.
"""

from jobs.errors import refuse_for
from jobs.models import TuningDraft, TuningJob
from jobs.states import Phase, TuningState
from jobs.text.deferred import gettext as _


def why_not_cancel(job: TuningJob) -> str:
    if job.is_terminal:
        return _("The job has already ended. There is nothing to cancel.")
    return _("The job is being cancelled.") if job.state == TuningState.CANCELLING else ""


def check_can_cancel(job: TuningJob) -> None:
    """A job whose cancelling was asked for may be asked again: two clicks are one."""
    if job.cancel_requested_at is None or job.is_terminal:
        refuse_for(why_not_cancel(job))


def why_not_decide(job: TuningJob) -> str:
    """On an outcome that stayed unknown: whether it is sent again, or given up."""
    if job.phase == Phase.NEEDS_DECISION and not job.is_terminal:
        return ""
    return _("The job is no longer waiting for a decision. Check its status again.")


def check_can_decide(job: TuningJob) -> None:
    refuse_for(why_not_decide(job))


def why_not_move(job: TuningJob) -> str:
    """In the queue of what is not sent yet."""
    return "" if job.waits_to_be_sent else _("The job is no longer in the queue, so its place can't be changed.")


def check_can_move(job: TuningJob) -> None:
    refuse_for(why_not_move(job))


def why_not_change(draft: TuningDraft) -> str:
    if draft.submitted_at is None:
        return ""
    return _("This job was already started. To change its settings, start a new one.")


def check_can_change(draft: TuningDraft) -> None:
    refuse_for(why_not_change(draft))

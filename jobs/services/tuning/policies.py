"""What may be done with a tuning job, or with the draft of one, now. Each answer is a sentence, or nothing when it may
be done; `check_can_x` raises it. Pages, bulk actions and services ask here and nowhere else.

Whose a job is, is no question here: what a person may not see is not found.
"""

from collections.abc import Sequence
from typing import NamedTuple

from django.contrib.auth.models import User

from jobs.errors import refuse_for
from jobs.models import QueuePause, TuningDraft, TuningJob
from jobs.services.catalogue import policies as catalogue
from jobs.states import Phase, TuningState
from jobs.text.deferred import gettext as _

# Where a job is moved to in the queue, among the jobs of its owner.
TOP, UP, DOWN = "top", "up", "down"
MOVES = (TOP, UP, DOWN)


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


class Place(NamedTuple):
    """In the queue of what is not sent yet. `number`: counted from 1, among everybody's. `ahead`, `behind`: how many
    other jobs of its owner stand there."""

    number: int
    ahead: int
    behind: int


def why_not_move(job: TuningJob, to: str, place: Place | None) -> str:
    if not job.waits_to_be_sent or place is None:
        return _("The job is no longer in the queue, so its place can't be changed.")
    if to == DOWN:
        return "" if place.behind else _("The job is already the last of its owner's jobs in the queue.")
    return "" if place.ahead else _("The job is already the first of its owner's jobs in the queue.")


def check_can_move(job: TuningJob, to: str, place: Place | None) -> None:
    refuse_for(why_not_move(job, to, place))


def list_moves(job: TuningJob, place: Place | None) -> tuple[str, ...]:
    """Of hundreds of jobs in a list, most of which are in no queue."""
    if place is None:
        return ()
    return tuple(to for to in MOVES if not why_not_move(job, to, place))


def why_not_steer(person: User) -> str:
    """The queue as a whole, which is everybody's."""
    return (
        ""
        if person.is_superuser
        else _("Only an administrator can pause or resume the queue, because it is everybody's.")
    )


def why_not_pause(person: User, pause: QueuePause | None) -> str:
    """`pause`: the one that is there, or None."""
    if reason := why_not_steer(person):
        return reason
    return _("The queue is paused already.") if pause else ""


def check_can_pause(person: User, pause: QueuePause | None) -> None:
    refuse_for(why_not_pause(person, pause))


def why_not_resume(person: User, pause: QueuePause | None) -> str:
    if reason := why_not_steer(person):
        return reason
    return "" if pause else _("The queue is not paused.")


def check_can_resume(person: User, pause: QueuePause | None) -> None:
    refuse_for(why_not_resume(person, pause))


def why_not_archive(job: TuningJob) -> str:
    if job.is_archived:
        return _("The job is archived already.")
    return "" if job.is_terminal else _("The job has not ended. Wait for its end, or cancel it first.")


def check_can_archive(job: TuningJob) -> None:
    refuse_for(why_not_archive(job))


def why_not_restore(job: TuningJob) -> str:
    return "" if job.is_archived else _("The job is not archived.")


def check_can_restore(job: TuningJob) -> None:
    refuse_for(why_not_restore(job))


def why_not_delete(job: TuningJob, in_use_by: Sequence[str]) -> str:
    """`in_use_by`: names of endpoints that serve its model, and of jobs that are beginning with it."""
    if not job.is_terminal:
        return _("The job has not ended. Wait for its end, or cancel it first.")
    if job.phase != Phase.CLOSED:
        return _("The last lines of the job are being read. Try again in a moment.")
    if job.is_deleted:
        return _("The job is deleted already.")
    return catalogue.why_in_use(in_use_by)


def check_can_delete(job: TuningJob, in_use_by: Sequence[str]) -> None:
    refuse_for(why_not_delete(job, in_use_by))


def why_not_change(draft: TuningDraft) -> str:
    if draft.submitted_at is None:
        return ""
    return _("This job was already started. To change its settings, start a new one.")


def check_can_change(draft: TuningDraft) -> None:
    refuse_for(why_not_change(draft))

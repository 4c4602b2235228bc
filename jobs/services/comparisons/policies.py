"""What may be done with a comparison now. Each answer is a sentence, or nothing when it may be done; `check_can_x`
raises it. Pages and services ask here and nowhere else.

Whose a comparison is, is no question here: what a person may not see is not found.
"""

from collections.abc import Iterable
from uuid import UUID

from jobs.errors import refuse_for
from jobs.models import Endpoint, Message, PublisherModel
from jobs.services.catalogue import policies as catalogue_policies
from jobs.states import EndpointState
from jobs.text.deferred import gettext as _

from .board import Board, awaited

MIN_COLUMNS, MAX_COLUMNS = 2, 4


def why_not_compare(columns: int) -> str:
    return "" if MIN_COLUMNS <= columns <= MAX_COLUMNS else _("Choose two to four endpoints.")


def check_can_compare(columns: int) -> None:
    refuse_for(why_not_compare(columns))


def why_not_set_up(is_begun: bool) -> str:
    """Its columns, and whether it is blind."""
    return _("This comparison has already started. To use other columns, start a new one.") if is_begun else ""


def check_can_set_up(is_begun: bool) -> None:
    refuse_for(why_not_set_up(is_begun))


def why_not_add_column(columns: int, is_begun: bool) -> str:
    too_many = _("You can compare at most four columns.") if columns >= MAX_COLUMNS else ""
    return why_not_set_up(is_begun) or too_many


def check_can_add_column(columns: int, is_begun: bool) -> None:
    refuse_for(why_not_add_column(columns, is_begun))


def why_not_remove_column(columns: int, is_begun: bool) -> str:
    too_few = _("A comparison needs at least two columns.") if columns <= MIN_COLUMNS else ""
    return why_not_set_up(is_begun) or too_few


def check_can_remove_column(columns: int, is_begun: bool) -> None:
    refuse_for(why_not_remove_column(columns, is_begun))


def why_not_tell_apart(is_hidden: bool) -> str:
    """Anything that would tell which model is which: in a blind comparison it waits for the vote."""
    return _("Model names are hidden until you vote.") if is_hidden else ""


def check_can_tell_apart(is_hidden: bool) -> None:
    refuse_for(why_not_tell_apart(is_hidden))


def why_not_export(board: Board) -> str:
    return _("The file would reveal the model names. Vote first, or show the names.") if board.is_hidden else ""


def check_can_export(board: Board) -> None:
    refuse_for(why_not_export(board))


def why_not_ask(endpoint: Endpoint | None) -> str:
    """One column, by the state of its endpoint."""
    if endpoint is None or endpoint.state == EndpointState.DELETED:
        return _("The endpoint of this column was deleted.")
    if endpoint.state == EndpointState.READY:
        return ""
    words = {"name": endpoint.display_name, "state": endpoint.get_state_display().lower()}
    return _("The endpoint %(name)s is %(state)s. Retry when it is ready.") % words


def why_not_begin(endpoints: Iterable[Endpoint], is_begun: bool) -> str:
    waiting = awaited(endpoints, is_begun=is_begun)
    names = {"name": waiting[0].display_name} if waiting else {}
    return _("The endpoint %(name)s is being deployed. Ask when it is ready.") % names if waiting else ""


def check_can_begin(endpoints: Iterable[Endpoint], is_begun: bool) -> None:
    refuse_for(why_not_begin(endpoints, is_begun))


def why_not_deploy_base(tuned: Endpoint, model: PublisherModel | None) -> str:
    """To compare with it. `model`: the one that it was tuned from, as the catalogue has it."""
    served = tuned.model
    if served.publisher_model or not served.base_model:
        return _("This endpoint serves no tuned model whose base model is known. Compare it with another endpoint.")
    if model is None:
        words = {"model": served.base_model.rpartition("@")[2]}
        return _("The catalogue does not have the base model %(model)s. Compare with another endpoint.") % words
    return why_not_ask(tuned) or catalogue_policies.why_not_deploy(model)


def check_can_deploy_base(tuned: Endpoint, model: PublisherModel | None) -> None:
    refuse_for(why_not_deploy_base(tuned, model))


def why_not_vote(board: Board) -> str:
    return "" if board.can_vote else _("You can vote after a model has finished its answer.")


def check_can_vote(board: Board) -> None:
    refuse_for(why_not_vote(board))


def why_not_vote_for(board: Board, winner: UUID | None) -> str:
    """A column, by the id of its conversation; None: none was better. In a blind comparison a vote stays as it is: it
    has shown which model is which."""
    if reason := why_not_vote(board):
        return reason
    if winner is None and board.is_live:
        return _("A model is still answering. Wait for its end or stop it, then say that none is better.")
    if winner and not any(column.talk.pk == winner and column.has_answered for column in board.columns):
        return _("This model gave no answer.")
    if board.comparison.blind and board.vote and board.vote.winner_id != winner:
        return _("You already voted in this round.")
    return ""


def check_can_vote_for(board: Board, winner: UUID | None) -> None:
    refuse_for(why_not_vote_for(board, winner))


def why_not_add_row(answer: Message, branch: Iterable[Message]) -> str:
    """To a dataset. `branch`: the turns up to this answer."""
    if answer.is_live:
        return _("The model is still answering.")
    branch = list(branch)
    if len(branch) < 2:
        return _("This answer has no question, so it can't become a row.")
    if any(turn.has_pictures for turn in branch):
        return _("This conversation has images. A row that is made from a conversation can have text only.")
    return ""

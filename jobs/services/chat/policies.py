"""What may be done with a chat and its turns now. Each answer is a sentence, or nothing when it may be done;
`check_can_x` raises it. Pages, bulk actions and services ask here and nowhere else.

Whose a chat is, is no question here: what a person may not see is not found.
"""

from collections.abc import Sequence
from uuid import UUID

from jobs.errors import refuse_for
from jobs.models import Endpoint, Message, Role
from jobs.states import MESSAGE_LIVE, EndpointState
from jobs.text.deferred import gettext as _

MAX_LINKS = 50
MAX_PRESETS = 50
# Of one person, among all of their chats and comparisons. Each has a thread of the worker's to itself, and may have it
# for a quarter of an hour.
ANSWERS_AT_ONCE = 16


def why_not_ask(endpoint: Endpoint | None) -> str:
    """By its state; whether its time is up, and the request itself, are for whoever locks it."""
    if endpoint is None or endpoint.state == EndpointState.DELETED:
        if endpoint and not endpoint.made_here:
            return _("The endpoint of this conversation is no longer in your list. Start a new chat with another one.")
        return _("The endpoint of this conversation was deleted. Start a new chat with another one.")
    if endpoint.state == EndpointState.READY:
        return ""
    words = {"name": endpoint.display_name, "state": endpoint.get_state_display().lower()}
    return _("The endpoint %(name)s is %(state)s. Send your message when it's ready.") % words


def check_can_ask(endpoint: Endpoint | None) -> None:
    refuse_for(why_not_ask(endpoint))


def why_not_choose_endpoint(owner_id: int, endpoint: Endpoint) -> str:
    """Somebody else's is refused like one that is not there."""
    return "" if endpoint.owner_id == owner_id else _("This endpoint is no longer available. Choose another one.")


def check_can_choose_endpoint(owner_id: int, endpoint: Endpoint) -> None:
    refuse_for(why_not_choose_endpoint(owner_id, endpoint))


def why_not_add_turn(newest_state: str) -> str:
    """`newest_state`: of the last turn that was added, empty before there is one."""
    if newest_state in MESSAGE_LIVE:
        return _("The model is still answering. Wait until it's done, or stop it.")
    return ""


def check_can_add_turn(newest_state: str) -> None:
    refuse_for(why_not_add_turn(newest_state))


def why_not_answer_more(being_written: int) -> str:
    """`being_written`: the answers of this person."""
    if being_written < ANSWERS_AT_ONCE:
        return ""
    sentence = _("You have %d answers in progress, which is the maximum. Wait for one to finish, or stop one.")
    return sentence % ANSWERS_AT_ONCE


def check_can_answer_more(being_written: int) -> None:
    refuse_for(why_not_answer_more(being_written))


def why_not_regenerate(turn: Message) -> str:
    return "" if turn.role == Role.ASSISTANT else _("Only an answer can be generated again.")


def check_can_regenerate(turn: Message) -> None:
    refuse_for(why_not_regenerate(turn))


def why_not_continue(turn: Message) -> str:
    return "" if turn.is_cut_off else _("Only an answer that was cut off can be continued.")


def check_can_continue(turn: Message) -> None:
    refuse_for(why_not_continue(turn))


def why_not_edit_question(turn: Message) -> str:
    return "" if turn.role == Role.USER else _("Only a question can be edited.")


def check_can_edit_question(turn: Message) -> None:
    refuse_for(why_not_edit_question(turn))


def why_not_edit_answer(turn: Message) -> str:
    return "" if turn.role == Role.ASSISTANT else _("Only an answer can be edited like this.")


def check_can_edit_answer(turn: Message) -> None:
    refuse_for(why_not_edit_answer(turn))


def why_not_branch_off(turn: Message) -> str:
    if turn.role == Role.ASSISTANT and not turn.is_live:
        return ""
    return _("You can start a new chat only from a finished answer.")


def check_can_branch_off(turn: Message) -> None:
    refuse_for(why_not_branch_off(turn))


def why_not_rate(turn: Message) -> str:
    return "" if turn.role == Role.ASSISTANT else _("Reload the page and rate the answer again.")


def check_can_rate(turn: Message) -> None:
    refuse_for(why_not_rate(turn))


def why_not_delete_turn(turn: Message, siblings: int) -> str:
    """`siblings`: how many there are, this one among them."""
    if turn.role == Role.ASSISTANT and siblings < 2:
        return _("To delete the only answer to a question, delete the question.")
    return ""


def check_can_delete_turn(turn: Message, siblings: int) -> None:
    refuse_for(why_not_delete_turn(turn, siblings))


def why_not_drop_oldest(told: Sequence[UUID]) -> str:
    """`told`: what the model is told up to the question, turn by turn."""
    if len(told) > 1:
        return ""
    return _("There are no older turns to drop. Shorten the question or the instructions.")


def check_can_drop_oldest(told: Sequence[UUID]) -> None:
    refuse_for(why_not_drop_oldest(told))


def why_not_share(head: Message | None, links: int = 0) -> str:
    """`head`: the last turn of the branch that is shown; `links`: how many there are that work."""
    if head is None:
        return _("There is nothing to share yet. Send a message first.")
    if head.is_live:
        return _("The model is still answering. Share the chat when the answer is complete.")
    if links >= MAX_LINKS:
        return _("This chat already has %d links. Revoke one first.") % MAX_LINKS
    return ""


def check_can_share(head: Message | None, links: int) -> None:
    refuse_for(why_not_share(head, links))


def why_not_add_preset(presets: int) -> str:
    if presets < MAX_PRESETS:
        return ""
    return _("You have %(count)d presets. Delete one first.") % {"count": MAX_PRESETS}


def check_can_add_preset(presets: int) -> None:
    refuse_for(why_not_add_preset(presets))

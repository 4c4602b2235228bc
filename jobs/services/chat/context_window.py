"""What of a conversation the model is told, when all of it is more than it reads."""

from uuid import UUID

from jobs import live
from jobs.errors import NotAllowedNow
from jobs.models import Conversation, Message
from jobs.text.deferred import gettext as _

from . import tree


def drop_oldest(answer: Message, *, key: UUID) -> Message:
    """Another answer, for which the model is not told the older half of what was said before the question."""

    def cut(row: Conversation, old: Message) -> None:
        told = tree.Tree(row).told(old.parent_id, row.sent_from_id)
        if len(told) < 2:
            raise NotAllowedNow(_("There is nothing older to leave out. Shorten the question or the instructions."))
        # A question goes with its answer; the last question stays.
        rounds = len(told) // 2
        row.sent_from_id = told[2 * ((rounds + 1) // 2)]
        row.save(update_fields=["sent_from"])

    return tree.regenerate(answer, key=key, first=cut)


def send_all(talk: Conversation) -> None:
    Conversation.objects.filter(pk=talk.pk).update(sent_from=None)
    live.ring(talk.owner_id, f"chat-{talk.pk}")

"""What of a conversation the model is told, when all of it is more than it reads."""

from uuid import UUID

from jobs import live
from jobs.models import Conversation, Message

from . import policies, tree


def drop_oldest(answer: Message, *, key: UUID) -> Message:
    """Another answer, for which the model is not told the older half of what was said before the question."""

    def cut(row: Conversation, old: Message) -> None:
        told = tree.Tree(row).prompt_ids(old.parent_id, row.sent_from_id)
        policies.check_can_drop_oldest(told)
        # A question goes with its answer; the last question stays.
        rounds = len(told) // 2
        row.sent_from_id = told[2 * ((rounds + 1) // 2)]
        row.save(update_fields=["sent_from"])

    return tree.regenerate(answer, key=key, first=cut)


def send_all(talk: Conversation) -> None:
    Conversation.objects.filter(pk=talk.pk).update(sent_from=None)
    live.notify(talk.owner_id, f"chat-{talk.pk}")

"""A branch of a conversation as a conversation of its own."""

from uuid import UUID, uuid4

from django.db import IntegrityError, transaction

from jobs.errors import NotAllowedNow
from jobs.models import Conversation, Message
from jobs.services import audit
from jobs.text.deferred import gettext as _

from . import policies
from .tree import Tree, copy_images, turns

KEPT = (
    "role", "state", "content", "html", "parameters", "usage", "timings", "finish_reason", "error_message",
    "answered_by", "created_at", "has_pictures", "is_edited", "tools",
)  # fmt: skip


def branch_off(message: Message, *, key: UUID) -> Conversation:
    """What was said up to this answer, to go on with elsewhere. The same key again is the same conversation.

    The copies name no endpoint: they are no requests.
    """
    policies.check_can_branch_off(message)
    try:
        with transaction.atomic():
            if found := Message.objects.filter(key=key, conversation__owner=message.conversation.owner_id).first():
                return found.conversation
            copy = _copy_branch(message, key)
            audit.record("chat.branch", copy)
            return copy
    except IntegrityError:
        raise NotAllowedNow(_("The new chat was already created. Check the list of chats.")) from None


def _copy_branch(message: Message, key: UUID) -> Conversation:
    old = message.conversation
    said = turns(old, Tree(old), message.pk)
    row = Conversation.objects.create(
        owner_id=old.owner_id, endpoint_id=old.endpoint_id, system_instruction=old.system_instruction,
        parameters=old.parameters, title=(_("%s (branch)") % old.title)[:200] if old.title else "",
    )  # fmt: skip
    copies: dict[UUID, Message] = {}
    for ordinal, turn in enumerate(said, 1):
        values = {name: getattr(turn, name) for name in KEPT}
        above = copies.get(turn.parent_id) if turn.parent_id else None
        named = key if turn.pk == message.pk else uuid4()
        copies[turn.pk] = Message(conversation=row, ordinal=ordinal, parent=above, key=named, **values)
    Message.objects.bulk_create(copies.values())
    copy_images(copies)
    row.head, row.sent_from = copies[message.pk], copies.get(old.sent_from_id) if old.sent_from_id else None
    row.save(update_fields=["head", "sent_from"])
    return row

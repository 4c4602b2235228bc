"""The tree of a conversation: which turns are siblings, which branch is shown, and what grows or is cut there."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from jobs import live
from jobs.errors import NotAllowedNow
from jobs.models import Conversation, Message, Picture, ShareLink, with_images
from jobs.states import MESSAGE_CUT_OFF, MessageState
from jobs.text import markdown
from jobs.text.deferred import gettext as _

from . import conversations, policies
from .continuation import NOTHING_ASKED
from .tools import calls

# Turns, of a branch of any length: what a page draws and sends must not grow with every message.
LATEST = 60
RETRYABLE = MESSAGE_CUT_OFF | {MessageState.FAILED}


@dataclass(frozen=True)
class Place:
    """The turn is number `number` of `count` siblings; `below` counts it and all that hangs on it."""

    number: int
    count: int
    previous: UUID | None
    next: UUID | None
    below: int


SHAPE = ("pk", "parent_id", "ordinal", "has_pictures")
Shape = tuple[UUID, UUID | None, int, bool]


class Tree:
    """The shape of a conversation in one query, or in none when its `rows` are there; without any text."""

    def __init__(self, conversation: Conversation, rows: Iterable[Shape] | None = None) -> None:
        self.parents: dict[UUID, UUID | None] = {}
        self.ordinals: dict[UUID, int] = {}
        self.children: dict[UUID | None, list[UUID]] = {}
        self.pictured: set[UUID] = set()
        if rows is None:
            rows = conversation.messages.order_by("ordinal").values_list(*SHAPE)
        for pk, parent, ordinal, has_pictures in rows:
            self.parents[pk], self.ordinals[pk] = parent, ordinal
            if has_pictures:
                self.pictured.add(pk)
            self.children.setdefault(parent, []).append(pk)
        self._sizes = dict.fromkeys(self.parents, 1)
        for pk, above in reversed(self.parents.items()):
            if above is not None:
                self._sizes[above] += self._sizes[pk]

    @property
    def last(self) -> int:
        """The ordinal of the newest turn: it grows with every turn."""
        return max(self.ordinals.values(), default=0)

    def path(self, leaf: UUID | None) -> list[UUID]:
        branch: list[UUID] = []
        while leaf is not None and leaf in self.parents:
            branch.append(leaf)
            leaf = self.parents[leaf]
        return branch[::-1]

    def prompt_ids(self, leaf: UUID | None, begin: UUID | None) -> list[UUID]:
        """Of this branch what the model is told, where that begins at a turn."""
        path = self.path(leaf)
        return path[path.index(begin) :] if begin in path else path

    def below(self, top: UUID) -> list[UUID]:
        """`top` and everything that hangs on it."""
        found = [top]
        for pk in found:
            found += self.children.get(pk, ())
        return found

    def leaf(self, top: UUID) -> UUID:
        """Where the branch that was written last below `top` ends: nothing is older than its parent."""
        return max(self.below(top), key=self.ordinals.__getitem__)

    def place(self, pk: UUID) -> Place:
        row = self.children[self.parents[pk]]
        at = row.index(pk)
        before, after = row[at - 1] if at else None, row[at + 1] if at + 1 < len(row) else None
        return Place(at + 1, len(row), before, after, self._sizes[pk])


def turns(conversation: Conversation, tree: Tree, leaf: UUID | None, begin: int = 0) -> list[Message]:
    """The branch that ends at `leaf`, from its turn number `begin` on: only these texts are loaded."""
    path = tree.path(leaf)[begin:]
    found = conversation.messages.in_bulk(path)
    return with_images([found[pk] for pk in path if pk in found])


def latest(path: list[UUID]) -> int:
    """The number of the question that the latest turns of a branch begin with."""
    begin = max(0, len(path) - LATEST)
    return begin - begin % 2


def turns_with_prompt_images(conversation: Conversation, tree: Tree) -> list[Message]:
    """The turns with pictures that the model is told, without any others."""
    told = tree.pictured.intersection(tree.prompt_ids(conversation.head_id, conversation.sent_from_id))
    return with_images(list(conversation.messages.filter(pk__in=told).order_by("ordinal"))) if told else []


def show(message: Message) -> Conversation:
    """The branch through this turn is the one shown from now on."""
    with transaction.atomic():
        row = Conversation.objects.select_for_update().get(pk=message.conversation_id)
        tree = Tree(row)
        if message.pk not in tree.parents:
            raise NotAllowedNow(_("This turn was deleted."))
        row.head_id = tree.leaf(message.pk)
        row.save(update_fields=["head"])
        live.notify(row.owner_id, f"chat-{row.pk}")
    return row


def regenerate(message: Message, *, key: UUID, first: Callable[[Conversation, Message], None] | None = None) -> Message:
    """Another answer to the same question. The old one stays beside it, unless it holds nothing. `first` is done once
    for each key, to the locked conversation."""

    def make(row: Conversation, old: Message) -> Message:
        policies.check_can_regenerate(old)
        if first is not None:
            first(row, old)
        question = old.parent
        if old.state in RETRYABLE and not old.content.strip():
            _drop(old)
        return conversations.waiting(row, key, question)

    return _once(message, key, make)


def go_on(message: Message, *, key: UUID) -> Message:
    """An answer that was cut off, continued: the new one begins with its text and takes its place."""

    def make(row: Conversation, old: Message) -> Message:
        policies.check_can_continue(old)
        kept = {"usage": old.usage, "timings": old.timings, "is_edited": old.is_edited}
        begun = {"content": old.content.rstrip(), "html": old.html, **kept}
        answer = conversations.waiting(row, key, old.parent, **begun)
        _drop(old)
        return answer

    return _once(message, key, make)


def edit(question: Message, *, key: UUID, text: str) -> Message:
    """The question in other words, with its pictures, as a sibling; returns the answer to come."""
    text = text.replace("\x00", "").strip()

    def make(row: Conversation, old: Message) -> Message:
        policies.check_can_edit_question(old)
        pictures = old.attachments
        if not text and not pictures:
            raise NotAllowedNow(_("Enter a message."))
        question = conversations.question_of(row, old.parent_id, text, conversations.next_ordinal(row))
        question.tools = calls.results_of(old.tools["results"], text) if old.tools.get("results") else {}
        return conversations.waiting(row, key, question, pictures)

    return _once(question, key, make)


def edit_answer(answer: Message, *, key: UUID, text: str, continues: bool = False) -> Message:
    """The answer as a person would have it, as a sibling: what is asked from now on goes on from there. `continues`:
    the model writes on at its end. Without it nothing is asked, so the endpoint need not be there."""
    text = text.replace("\x00", "").strip()

    def make(row: Conversation, old: Message) -> Message:
        policies.check_can_edit_answer(old)
        if not text:
            raise NotAllowedNow(_("Enter an answer."))
        if text == old.content.strip() and not continues:
            return old
        begun: dict[str, Any] = {"content": text, "html": markdown.answer(text), "is_edited": True}
        if continues:
            begun["timings"] = NOTHING_ASKED
        else:
            begun |= {
                "state": MessageState.COMPLETE, "endpoint": None, "answered_by": old.answered_by, "parameters": {},
            }  # fmt: skip
        return conversations.waiting(row, key, old.parent, **begun)

    return _once(answer, key, make, asks=continues)


def copy_images(copies: dict[UUID, Message]) -> None:
    """By the message they are taken from. The files are named by content, so there is nothing to copy on disk."""
    pictures = list(Picture.objects.filter(message__in=copies))
    for picture in pictures:
        assert picture.message_id is not None
        picture.message, picture.pk = copies[picture.message_id], Picture._meta.pk.get_default()
        picture._state.adding = True
    Picture.objects.bulk_create(pictures)


def delete(message: Message) -> Conversation:
    """With everything that hangs on it. What is shown then is a sibling, or else what came before."""
    with transaction.atomic():
        row = Conversation.objects.select_for_update().get(pk=message.conversation_id)
        tree = Tree(row)
        if message.pk not in tree.parents:
            return row
        place, gone = tree.place(message.pk), tree.below(message.pk)
        sibling = place.previous or place.next
        policies.check_can_delete_turn(message, place.count)
        if row.head_id is None or row.head_id in gone:
            row.head_id = tree.leaf(sibling) if sibling else tree.parents[message.pk]
            row.save(update_fields=["head", "updated_at"])
        rows = Message.objects.filter(pk__in=gone)
        for pk in rows.live().values_list("pk", flat=True):
            transaction.on_commit(partial(live.chat_frame, pk, "end", ""))
        # All at once: a cascade would go down the branch a query at a time.
        rows.delete()
        live.notify(row.owner_id, f"chat-{row.pk}")
    return row


def _once(
    message: Message, key: UUID, make: Callable[[Conversation, Message], Message], *, asks: bool = True
) -> Message:
    """The answer that `make` makes, or the one that was made for this key."""
    try:
        with transaction.atomic():
            row = conversations.lock(message.conversation_id)
            if found := row.messages.filter(key=key).first():
                return found
            if asks:
                conversations.require_ready(row)
            conversations.require_rest(row)
            old = row.messages.filter(pk=message.pk).first()
            if old is None:
                raise NotAllowedNow(_("This turn was deleted or replaced. Check the conversation."))
            answer = make(row, old)
            live.notify(row.owner_id, f"chat-{row.pk}")
            return answer
    except (IntegrityError, Conversation.DoesNotExist):
        raise NotAllowedNow(_("Another message was sent at the same time. Check the conversation.")) from None


def _drop(answer: Message) -> None:
    """Unless something refers to it: what was said after it, or a link that shows it."""
    if not answer.children.exists() and not ShareLink.objects.filter(head=answer).exists():
        answer.delete()

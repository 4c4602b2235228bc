"""Conversations with an endpoint. An answer is a row that waits; the chat task fills it (`streaming.answer`)."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Max, Q
from django.utils import timezone

from jobs import live, shortages
from jobs.errors import NotAllowedNow
from jobs.models import BARE, Conversation, Endpoint, Message, Picture, Role
from jobs.services import audit
from jobs.services.accounts import preferences
from jobs.services.endpoints import lifetime
from jobs.states import MESSAGE_TRANSITIONS, MessageState, check
from jobs.text import markdown
from jobs.text.deferred import gettext as _

from . import images as stored, policies, spec
from .streaming.answer import answer
from .streaming.row import pack
from .tools import calls

__all__ = [
    "answer", "ask", "choose_endpoint", "delete", "due", "forget_bare", "interrupt_orphans",
    "interrupt_stale", "keep_draft",
    "lock", "next_ordinal", "pack", "question_of", "request_stop", "require_ready", "require_rest", "set_options",
    "set_up", "start", "title_of", "waiting",
]  # fmt: skip

TITLE_LENGTH = 60
LOST_AFTER = timedelta(seconds=2)
# As long as a message lives in the queue: there is hardly more than one for each answer.
LONGEST_PAUSE = timedelta(seconds=20)
BATCH = 50
BARE_FOR = timedelta(days=7)
# Where the pictures of a new chat wait.
NEW_BOX = "new"

Enqueue = Callable[[Message], object]


def leave_to_sweep(answer: Message) -> None:
    """Which names each waiting answer to a worker."""


def start(owner: User, *, endpoint: Endpoint, **place: Any) -> Conversation:
    """`place`: the comparison that it is a column of, and which."""
    policies.check_can_choose_endpoint(owner.pk, endpoint)
    return Conversation.objects.create(owner=owner, endpoint=endpoint, **place, **preferences.chat_defaults(owner))


def set_up(owner: User, *, endpoint: Endpoint, text: str) -> Conversation:
    """A conversation whose settings are chosen before its first message, with what was begun in the new chat's box."""
    with transaction.atomic():
        talk = start(owner, endpoint=endpoint, draft=text.replace("\x00", ""))
        stored.move(owner, NEW_BOX, str(talk.pk))
        audit.record("chat.create", talk)
    return talk


def forget_bare(now: datetime) -> None:
    """Those that were only set up, long ago."""
    rows = Conversation.objects.filter(comparison=None, updated_at__lt=now - BARE_FOR, **BARE)
    rows.filter(messages=None).delete()


def set_options(
    conversation: Conversation, *, system_instruction: str, parameters: dict[str, Any], schema_text: str | None = None
) -> None:
    """Raises InvalidValues for what no server takes. `schema_text` is kept, right or wrong; None: as before."""
    spec.validate(system_instruction=system_instruction, parameters=parameters)
    conversation.system_instruction, conversation.parameters = system_instruction, parameters
    if schema_text is not None:
        conversation.schema_text = schema_text.replace("\x00", "")[: spec.LONGEST_SCHEMA]
    conversation.save(update_fields=["system_instruction", "parameters", "schema_text", "updated_at"])


def keep_draft(conversation: Conversation, text: str, key: UUID) -> bool:
    """Without touching `updated_at`: nothing was said, so it keeps its place in the list. `key` is that of the message
    which the text would become: once that was sent, a draft that comes late is none any more, and False is returned."""
    unsent = Conversation.objects.filter(pk=conversation.pk).exclude(messages__key=key)
    return bool(unsent.update(draft=text.replace("\x00", "")))


def choose_endpoint(conversation: Conversation, endpoint: Endpoint) -> None:
    """For the answers to come; one that is being written stays with the endpoint it was asked of."""
    policies.check_can_choose_endpoint(conversation.owner_id, endpoint)
    conversation.endpoint = endpoint
    conversation.save(update_fields=["endpoint", "updated_at"])
    live.notify(conversation.owner_id, f"chat-{conversation.pk}")


def delete(conversation: Conversation) -> None:
    """With all its turns. An answer that is being produced finds its row gone and stops."""
    owner_id, pk = conversation.owner_id, conversation.pk
    about = audit.subject_of(conversation)
    with transaction.atomic():
        conversation.delete()
        audit.record("chat.delete", about)
    live.notify(owner_id, f"chat-{pk}")


def ask(
    conversation: Conversation,
    *,
    key: UUID,
    text: str,
    pictures: Sequence[Picture] = (),
    enqueue: Enqueue = leave_to_sweep,
) -> Message:
    """Appends the turn and the answer to come, and returns the answer. The same key again is the same answer. `enqueue`
    is called with a new one as soon as it is committed, before the pages hear of it."""
    text = text.replace("\x00", "").strip()
    if not text and not pictures:
        raise NotAllowedNow(_("Enter a message."))
    try:
        with transaction.atomic():
            return _append(conversation, key, text, pictures, enqueue)
    except (IntegrityError, NotAllowedNow) as error:
        # Looked for only now: a message that comes again finds the first one in its way.
        conversation.refresh_from_db(fields=["head", "title", "draft"])
        if found := conversation.messages.filter(key=key).first():
            return found
        if isinstance(error, NotAllowedNow):
            raise
        raise NotAllowedNow(_("Another message was sent at the same time. Check the conversation.")) from None


def _append(conversation: Conversation, key: UUID, text: str, pictures: Sequence[Picture], enqueue: Enqueue) -> Message:
    row, head = conversation, uuid4()
    title = title_of(text or pictures[0].name)
    ordinal = require_rest(row)
    if not _advance_head(row, head, title):
        row = lock(conversation.pk)
        ordinal = require_rest(row)
        _advance_head(row, head, title)
    require_ready(row)
    stored.require_sendable(row.endpoint, pictures)
    question = question_of(row, row.head_id, text, ordinal)
    question.tools = _results(row, text)
    answer_row = _turns(row, key, question, pictures, id=head)
    conversation.title, conversation.head = row.title or title, answer_row
    transaction.on_commit(partial(enqueue, answer_row))
    live.notify(row.owner_id, f"chat-{row.pk}")
    # After the message is sent: no first word waits for it.
    transaction.on_commit(partial(audit.record, "chat.send", row))
    return answer_row


def _results(conversation: Conversation, text: str) -> dict[str, Any]:
    """What is said to an answer that calls tools is what they answered. No query where no tools are offered."""
    if "tools" not in conversation.parameters or conversation.head_id is None:
        return {}
    called = Message.objects.filter(pk=conversation.head_id).values_list("tools", flat=True).first() or {}
    return calls.results_of(called["calls"], text) if called.get("calls") else {}


def _advance_head(conversation: Conversation, head: UUID, title: str) -> bool:
    """Locks it by writing what a new turn changes of it, so that nobody need read it again who has just done so; false
    if it is not any more as it was read."""
    same = {name: getattr(conversation, name) for name in ("head_id", "title", "updated_at")}
    new = {"head_id": head, "title": conversation.title or title, "draft": "", "updated_at": timezone.now()}
    return bool(Conversation.objects.filter(pk=conversation.pk, **same).update(**new))


def lock(conversation_id: UUID) -> Conversation:
    """With its endpoint, which `require_ready` locks."""
    rows = Conversation.objects.select_for_update(of=("self",)).select_related("endpoint__main_model")
    return rows.get(pk=conversation_id)


def question_of(row: Conversation, parent_id: UUID | None, text: str, ordinal: int) -> Message:
    """Not saved yet: `waiting` does that together with the answer to come."""
    told = {"content": text, "html": markdown.answer(text)}
    return Message(conversation=row, parent_id=parent_id, ordinal=ordinal, role=Role.USER, **told)


def require_ready(conversation: Conversation) -> None:
    """Notes the request, which locks the endpoint."""
    endpoint = conversation.endpoint
    while endpoint is not None and not policies.why_not_ask(endpoint):
        now = timezone.now()
        if reason := lifetime.why_no_time_left(endpoint, now):
            raise NotAllowedNow(reason)
        if lifetime.note_request(endpoint, now):
            return
        # It changed since it was read.
        endpoint = conversation.endpoint = Endpoint.objects.with_model().filter(pk=endpoint.pk).first()
    policies.check_can_ask(endpoint)


def title_of(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1].rsplit(" ", 1)[0] + "…"


def require_rest(conversation: Conversation) -> int:
    """No answer is being written, which only the newest turn can be: the ordinal of the turn that comes next."""
    newest = conversation.messages.order_by("-ordinal").values_list("ordinal", "state").first()
    policies.check_can_add_turn(newest[1] if newest else "")
    return newest[0] + 1 if newest else 1


def require_room(owner_id: int) -> None:
    """For one more answer of this person's."""
    policies.check_can_answer_more(Message.objects.live().filter(conversation__owner_id=owner_id).count())


def next_ordinal(conversation: Conversation) -> int:
    last: int = conversation.messages.aggregate(last=Max("ordinal", default=0))["last"]
    return last + 1


def waiting(
    conversation: Conversation, key: UUID, question: Message | None, pictures: Sequence[Picture] = (), **begun: Any
) -> Message:
    """The answer to come, which becomes the head, saved together with a question that is not saved yet and its
    `pictures`. `begun` is what is known of it already: it continues another one, has failed before it was asked for, or
    was written by a person."""
    if question and question._state.adding:
        conversation.title = conversation.title or title_of(question.content or pictures[0].name)
    row = conversation.head = _turns(conversation, key, question, pictures, **begun)
    conversation.save(update_fields=["head", "title", "draft", "updated_at"])
    return row


def _turns(
    conversation: Conversation, key: UUID, question: Message | None, pictures: Sequence[Picture], **begun: Any
) -> Message:
    endpoint = conversation.endpoint
    if begun.get("state", MessageState.WAITING) == MessageState.WAITING:
        require_room(conversation.owner_id)
    new = question if question and question._state.adding else None
    ordinal = new.ordinal + 1 if new else next_ordinal(conversation)
    asked: dict[str, Any] = {
        "state": MessageState.WAITING, "parameters": conversation.parameters, "endpoint": endpoint,
        "answered_by": endpoint.label if endpoint else "",
    }  # fmt: skip
    row = Message(
        conversation=conversation, key=key, parent=question, role=Role.ASSISTANT, ordinal=ordinal, **asked | begun
    )
    if new:
        new.has_pictures = bool(pictures)
        Message.objects.bulk_create([new, row])
        stored.attach(new, pictures)
    else:
        row.save(force_insert=True)
    return row


def request_stop(message: Message) -> None:
    """Durable. An answer that nobody works on yet stops here and now; stopping what has ended does nothing."""
    now = timezone.now()
    fields = {"state": MessageState.STOPPED, "stop_requested_at": now, "updated_at": now}
    rows = Message.objects.filter(pk=message.pk)
    check(MESSAGE_TRANSITIONS, MessageState.WAITING, MessageState.STOPPED)
    if not rows.filter(state=MessageState.WAITING).update(**fields):
        rows.filter(state=MessageState.STREAMING, stop_requested_at=None).update(stop_requested_at=now)
    message.refresh_from_db()
    if not message.is_live:
        live.chat_frame(message.pk, "end", "")
    live.notify(message.conversation.owner_id, f"chat-{message.conversation_id}")


def due(now: datetime) -> list[UUID]:
    """Answers whose message was lost on its way, or waits in a full queue: each is named again when it is twice as old.

    Where the next naming is noted is the lease, which a waiting answer does not need.
    """
    waiting = Message.objects.filter(state=MessageState.WAITING, created_at__lte=now - LOST_AFTER)
    rows = waiting.filter(Q(lease_until=None) | Q(lease_until__lte=now)).order_by("created_at")
    found = []
    for pk, created_at in rows.values_list("pk", "created_at")[:BATCH]:
        pause = min(max(now - created_at, LOST_AFTER), LONGEST_PAUSE)
        if rows.filter(pk=pk).update(lease_until=now + pause):
            found.append(pk)
    return found


def interrupt_stale(now: datetime) -> None:
    """Nobody renews the lease any more: the worker died. Not while nobody can, because nothing can be written."""
    if not shortages.recent():
        _interrupt(Q(lease_until__lt=now) | Q(lease_until__isnull=True), now)


def interrupt_orphans(started: datetime, now: datetime) -> None:
    """For the only worker of answers, which starts: whoever had begun one before is dead, whatever the lease says."""
    _interrupt(Q(updated_at__lt=started), now)


def _interrupt(stale: Q, now: datetime) -> None:
    """All that was shown stays: the last second of it was not saved by the worker, the frames have it."""
    check(MESSAGE_TRANSITIONS, MessageState.STREAMING, MessageState.INTERRUPTED)
    rows = Message.objects.filter(stale, state=MessageState.STREAMING).select_related("conversation")
    for message in rows[:BATCH]:
        sentence = _("The answer was cut off because the console stopped. Try again.")
        text = live.chat_text(message.pk, message.content)
        still = Message.objects.filter(stale, pk=message.pk, state=MessageState.STREAMING)
        if still.update(
            state=MessageState.INTERRUPTED, error_message=sentence, content=text, html=markdown.answer(text),
            lease_until=None, updated_at=now,
        ):  # fmt: skip
            live.chat_frame(message.pk, "end", "")
            live.notify(message.conversation.owner_id, f"chat-{message.conversation_id}")

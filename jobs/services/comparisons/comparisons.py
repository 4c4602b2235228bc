"""Comparisons: up to four conversations that are asked the same. Each column is a conversation like any other."""

from collections.abc import Sequence
from datetime import datetime
from secrets import SystemRandom
from typing import Any
from uuid import UUID, uuid5

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from jobs import live
from jobs.errors import NotAllowedNow
from jobs.models import Comparison, Conversation, Endpoint, Message, Picture
from jobs.services import audit
from jobs.services.chat import conversation_list, conversations, images as stored
from jobs.services.endpoints import lifetime
from jobs.states import MESSAGE_TRANSITIONS, MessageState, check
from jobs.text.deferred import gettext as _

from . import policies

# Tokens of an answer, unless its column or the person's own defaults say otherwise.
OUTPUT_LIMIT = 512


def create(owner: User, *, key: UUID, endpoints: Sequence[Endpoint], blind: bool = False) -> Comparison:
    """`key` becomes its id, so that a form sent twice is one comparison."""
    policies.check_can_compare(len(endpoints))
    with transaction.atomic():
        row, is_new = Comparison.objects.get_or_create(pk=key, defaults={"owner": owner, "blind": blind})
        if row.owner_id != owner.pk:
            raise NotAllowedNow(_("Reload the page and try again."))
        for place, endpoint in enumerate(endpoints if is_new else ()):
            _start_column(row, endpoint, place)
        audit.record("comparison.create", row)
    return row


def again(comparison: Comparison, *, key: UUID) -> Comparison:
    """The same endpoints and parameters, nothing asked yet."""
    with transaction.atomic():
        values = {"owner_id": comparison.owner_id, "blind": comparison.blind}
        row, is_new = Comparison.objects.get_or_create(pk=key, defaults=values)
        if row.owner_id != comparison.owner_id:
            raise NotAllowedNow(_("Reload the page and try again."))
        for old in comparison.columns.order_by("column") if is_new else ():
            Conversation.objects.create(
                owner_id=old.owner_id, endpoint_id=old.endpoint_id, comparison=row, column=old.column,
                system_instruction=old.system_instruction, parameters=old.parameters, schema_text=old.schema_text,
            )  # fmt: skip
        audit.record("comparison.create", row)
    return row


def add_column(comparison: Comparison, endpoint: Endpoint) -> None:
    with transaction.atomic():
        columns = _lock(comparison)
        policies.check_can_add_column(len(columns), _is_begun(columns))
        place = max((column.column for column in columns), default=-1) + 1
        _start_column(comparison, endpoint, place)


def _start_column(comparison: Comparison, endpoint: Endpoint, place: int) -> None:
    """Its answers have an end: a base model goes on writing as long as it may, and the others would wait for it."""
    talk = conversations.start(comparison.owner, endpoint=endpoint, comparison=comparison, column=place)
    if "max_tokens" not in talk.parameters:
        limit = {"max_tokens": OUTPUT_LIMIT}
        conversations.set_options(talk, system_instruction=talk.system_instruction, parameters=talk.parameters | limit)


def remove_column(column: Conversation) -> None:
    with transaction.atomic():
        columns = _lock(_comparison_of(column))
        policies.check_can_remove_column(len(columns), _is_begun(columns))
        column.delete()


def choose_endpoint(column: Conversation, endpoint: Endpoint) -> None:
    with transaction.atomic():
        policies.check_can_set_up(_is_begun(_lock(_comparison_of(column))))
        conversations.choose_endpoint(column, endpoint)


def set_options(column: Conversation, **options: Any) -> None:
    """As those of a conversation."""
    with transaction.atomic():
        _lock(_comparison_of(column))
        require_shown(column)
        conversations.set_options(column, **options)


def set_blind(comparison: Comparison, blind: bool) -> None:
    with transaction.atomic():
        policies.check_can_set_up(_is_begun(_lock(comparison)))
        Comparison.objects.filter(pk=comparison.pk).update(blind=blind)
    comparison.blind = blind


def is_hidden(comparison: Comparison) -> bool:
    return comparison.blind and not comparison.votes.exists()


def require_shown(column: Conversation) -> None:
    """For what would tell which model is which: in a blind comparison it waits for the vote."""
    comparison = _comparison_of(column)
    policies.check_can_tell_apart(is_hidden(comparison) and column.messages.exists())


def send(comparison: Comparison, *, key: UUID, text: str, pictures: Sequence[Picture] = ()) -> list[Message]:
    """Asks every column the same, or none. The answer of a column that cannot be asked now has failed at once, and the
    others are written; the same key again gives the same answers. With the first question the columns of a blind
    comparison change places."""
    text = text.replace("\x00", "").strip()
    if not text and not pictures:
        raise NotAllowedNow(_("Enter a message."))
    try:
        with transaction.atomic():
            columns = _lock(comparison)
            if found := list(Message.objects.filter(key__in=[_key(column, key) for column in columns])):
                return found
            answers = _append_turns(comparison, columns, key, text, pictures)
            audit.record("comparison.send", comparison)
            return answers
    except IntegrityError:
        raise NotAllowedNow(_("Another message was sent at the same time. Check the answers.")) from None


def keep_draft(comparison: Comparison, text: str, key: UUID) -> bool:
    """As that of a conversation: `key` is of the message to be, and once that was sent there is no draft of it."""
    keys = [_key(column, key) for column in comparison.columns.all()]
    unsent = Comparison.objects.filter(pk=comparison.pk).exclude(columns__messages__key__in=keys)
    return bool(unsent.update(draft=text.replace("\x00", "")))


def _key(column: Conversation, key: UUID) -> UUID:
    """This column's of a message to all of them."""
    return uuid5(key, str(column.pk))


def _append_turns(
    comparison: Comparison, columns: list[Conversation], key: UUID, text: str, pictures: Sequence[Picture]
) -> list[Message]:
    if Message.objects.filter(conversation__in=columns).live().exists():
        raise NotAllowedNow(_("A model is still answering. Wait until it's done, or stop it."))
    is_begun, endpoints = _is_begun(columns), _lock_endpoints(columns)
    policies.check_can_begin(endpoints.values(), is_begun)
    if comparison.blind and not is_begun:
        _shuffle(columns)
    ready = [endpoint for endpoint in endpoints.values() if not _problem(endpoint)]
    if not ready:
        raise NotAllowedNow(_("None of these endpoints is ready. Check them, or start another comparison."))
    for endpoint in ready:
        _require_sendable(comparison, endpoint, pictures)
        lifetime.note_request(endpoint, timezone.now())
    now = timezone.now()
    answers = [_ask(column, endpoints.get(column.endpoint_id), key, text, pictures, now) for column in columns]
    comparison.title, comparison.draft = comparison.title or conversations.title_of(text or pictures[0].name), ""
    comparison.save(update_fields=["title", "draft", "updated_at"])
    live.notify(comparison.owner_id, *(f"chat-{column.pk}" for column in columns))
    return answers


def _ask(
    column: Conversation, endpoint: Endpoint | None, key: UUID, text: str, pictures: Sequence[Picture], now: datetime
) -> Message:
    """`now` is the same for all columns: it tells which answers were asked for at once."""
    key = _key(column, key)
    question = conversations.question_of(column, column.head_id, text, conversations.next_ordinal(column))
    problem = _problem(endpoint)
    if not problem:
        return conversations.waiting(column, key, question, pictures, created_at=now)
    check(MESSAGE_TRANSITIONS, MessageState.WAITING, MessageState.FAILED)
    # It names no endpoint, since none was asked.
    failed = {"state": MessageState.FAILED, "endpoint": None, "error_message": problem, "created_at": now}
    return conversations.waiting(column, key, question, pictures, **failed)


def _problem(endpoint: Endpoint | None) -> str:
    if (reason := policies.why_not_ask(endpoint)) or endpoint is None:
        return reason
    return lifetime.why_no_time_left(endpoint, timezone.now())


def _require_sendable(comparison: Comparison, endpoint: Endpoint, pictures: Sequence[Picture]) -> None:
    """The reason of a refusal may name a model, which a blind comparison keeps to itself."""
    try:
        stored.require_sendable(endpoint, pictures)
    except NotAllowedNow:
        if not is_hidden(comparison):
            raise
        raise NotAllowedNow(_("One of these models can't accept these images. Remove some or all of them.")) from None


def _shuffle(columns: list[Conversation]) -> None:
    SystemRandom().shuffle(columns)
    for place, column in enumerate(columns):
        column.column = place
    Conversation.objects.bulk_update(columns, ["column"])


def stop_all(comparison: Comparison) -> None:
    rows = Message.objects.filter(conversation__comparison=comparison).live().select_related("conversation")
    for message in rows:
        conversations.request_stop(message)


def rename(comparison: Comparison, title: str) -> None:
    """An empty title is given anew by the next question."""
    comparison.title = " ".join(title.replace("\x00", "").split())[: conversation_list.TITLE_LENGTH]
    Comparison.objects.filter(pk=comparison.pk).update(title=comparison.title)


def delete(comparison: Comparison) -> None:
    """With its columns and its votes. Answers that are being produced find their rows gone and stop."""
    about = audit.subject_of(comparison)
    with transaction.atomic():
        comparison.delete()
        audit.record("comparison.delete", about)


def _comparison_of(column: Conversation) -> Comparison:
    assert column.comparison is not None
    return column.comparison


def _lock(comparison: Comparison) -> list[Conversation]:
    """Its columns from left to right; who locks them holds the comparison first."""
    Comparison.objects.select_for_update().get(pk=comparison.pk)
    rows = Conversation.objects.select_for_update().filter(comparison=comparison)
    return sorted(rows.order_by("pk"), key=lambda column: column.column)


def _lock_endpoints(columns: list[Conversation]) -> dict[UUID | None, Endpoint]:
    """In the order of their ids: two comparisons with the same endpoints must not wait for each other."""
    wanted = {column.endpoint_id for column in columns}
    return {row.pk: row for row in Endpoint.objects.select_for_update().filter(pk__in=wanted).order_by("pk")}


def _is_begun(columns: list[Conversation]) -> bool:
    return Message.objects.filter(conversation__in=columns).exists()

"""Turns of a conversation, as requests name them."""

import uuid
from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _

from console.forms.chat.chat import (
    LONGEST_MESSAGE,
    MessageForm,
    NewChatForm,
    TurnForm,
)
from console.web.http import ConsoleRequest
from jobs import tasks
from jobs.errors import NotAllowedNow
from jobs.models import Conversation, Message
from jobs.services.chat import (
    conversations,
    tree as chat_tree,
)

# Of an endpoint and its model, what only those need who deploy it: half of the columns.
NOT_FOR_CHATS = [
    *(
        f"endpoint__{name}"
        for name in (
            "empty_looks", "endpoint_user_id", "error_code", "error_message", "lease_token", "lease_until",
            "next_check_at", "notice", "operation_name", "phase", "request_hash", "strikes", "traffic_asked_at",
            "traffic_wanted", "wanted",
        )
    ),
    *(
        f"endpoint__main_model__{name}"
        for name in (
            "accepts_licence", "artifact_uri", "attempt", "automatic", "available_replicas", "created_at",
            "deployed_model_id", "display_name", "empty_looks", "ended_at", "error_code", "error_message", "job_id",
            "lease_token", "lease_until", "licence_sent_at", "location", "made_here", "max_replicas",
            "model_resource_name", "model_user_id", "next_check_at", "notice", "operation_name", "owner_id", "phase",
            "replicas_asked_at", "replicas_sent_at", "request_hash", "resource_name", "share", "split_after", "spot",
            "stage", "stage_times", "started_at", "state", "strikes", "submit_started_at", "updated_at",
        )
    ),
]  # fmt: skip


def key_of(request: ConsoleRequest) -> uuid.UUID:
    form = TurnForm(request.POST)
    if not form.is_valid():
        raise NotAllowedNow(_("Reload the page and try again."))
    key: uuid.UUID = form.cleaned_data["key"]
    return key


def visible_conversation(request: ConsoleRequest, pk: uuid.UUID) -> Conversation:
    """No column of a comparison: that has its own pages."""
    found = Conversation.objects.visible_to(request.user).filter(comparison=None).select_related("endpoint__main_model")
    return get_object_or_404(found.defer(*NOT_FOR_CHATS), pk=pk)


def visible_message(request: ConsoleRequest, pk: uuid.UUID) -> Message:
    found = Message.objects.visible_to(request.user).filter(conversation__comparison=None)
    return get_object_or_404(found.select_related("conversation__endpoint__main_model"), pk=pk)


def first_answer(request: ConsoleRequest, form: NewChatForm, **parameters: Any) -> Message | None:
    """The same form sent twice leads to the one conversation; a refused first message leaves none behind."""
    sent = Message.objects.visible_to(request.user).filter(key=form.cleaned_data["key"])
    if found := sent.first():
        return found
    talk = conversations.start(request.user, endpoint=form.cleaned_data["endpoint"])
    if parameters:
        conversations.set_options(talk, system_instruction="", parameters=parameters)
    answer = ask(talk, form)
    if answer is None:
        conversations.delete(talk)
        answer = sent.first()
    return answer


def address_of(talk: Conversation, turn: Message) -> str:
    """Of the page that has this turn."""
    path = chat_tree.Tree(talk).path(talk.head_id)
    is_latest = turn.pk in path[chat_tree.latest(path) :]
    return f"{reverse('chat-conversation', args=[talk.pk])}{'' if is_latest else '?all'}#turn-{turn.pk}"


def ask(talk: Conversation, form: MessageForm) -> Message | None:
    """The answer to wait for; None, with the reason on the form, when nothing can be asked now."""
    try:
        data = form.cleaned_data
        return conversations.ask(
            talk, key=data["key"], text=data["text"], pictures=form.pictures, enqueue=tasks.enqueue_answer
        )
    except NotAllowedNow as error:
        form.add_error("text", str(error))
        return None


def save_draft(request: ConsoleRequest, keep: Callable[[str, uuid.UUID], bool]) -> HttpResponse:
    """205, by which a browser empties its box, where the text was sent already."""
    form = TurnForm(request.POST)
    if not form.is_valid():
        return HttpResponse(form.errors.as_text(), status=422, content_type="text/plain")
    is_kept = keep(request.POST.get("text", "")[:LONGEST_MESSAGE], form.cleaned_data["key"])
    return HttpResponse(status=204 if is_kept else 205)

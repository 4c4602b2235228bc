import uuid
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.forms.chat.chat import LONGEST_MESSAGE, MessageForm, NewChatForm, empty_message
from console.forms.chat.options import PresetForm
from console.presenters.chat.ideas import ideas_for
from console.presenters.chat.images import collect_images, endpoint_of, find_unsent, image_facts
from console.presenters.chat.options import options_of
from console.presenters.chat.turns import (
    ask,
    first_answer,
    save_draft,
    visible_conversation,
    visible_message,
)
from console.web.http import ConsoleRequest, hx_redirect, wants_fragment
from console.web.middleware import page_of
from jobs.models import ChatPreset, Conversation, Endpoint, Message, Role
from jobs.services.chat import conversations, policies, tree as chat_tree
from jobs.services.chat.parameters import context_window
from jobs.services.chat.streaming.waits import wait_of
from jobs.states import EndpointState

from .conversation_list import list_chats


@require_http_methods(["GET", "HEAD", "POST"])
def index(request: ConsoleRequest) -> HttpResponse:
    ready = Endpoint.objects.visible_to(request.user).ready().with_model()
    first = {"key": uuid.uuid4(), "endpoint": request.GET.get("endpoint"), "text": question_of(request)}
    posted = request.method == "POST"
    sent = {"data": request.POST} if posted else {}
    there = collect_images(request, endpoint_of(request)) if posted else find_unsent(request, conversations.NEW_BOX)
    form = NewChatForm(initial=first, ready=ready, attached=there, **sent)
    if posted and "set-up" in request.POST and form.endpoint_in_form:
        text = request.POST.get("text", "")[:LONGEST_MESSAGE]
        return hx_redirect(
            request,
            "chat-conversation",
            conversations.set_up(request.user, endpoint=form.endpoint_in_form, text=text).pk,
        )
    if posted and form.is_valid():
        answer = first_answer(request, form)
        if answer is not None:
            return hx_redirect(request, "chat-conversation", answer.conversation_id)
    context = {"form": form, "chats": list_chats(request), "can_start": bool(form.ready)}
    context |= image_facts(form.ready.values()) if form.ready else nothing_ready(request)
    context["ideas"] = ideas_for(request.user, form.endpoint_shown)
    return render(request, "chat/new.html", context, status=422 if form.is_bound else 200)


def nothing_ready(request: ConsoleRequest) -> dict[str, Any]:
    """An endpoint on its way, or whether there are any at all."""
    mine = Endpoint.objects.visible_to(request.user).not_deleted().with_model()
    coming = mine.filter(state=EndpointState.DEPLOYING).first()
    return {"coming": coming, "has_endpoints": coming is not None or mine.exists()}


def question_of(request: ConsoleRequest) -> str:
    """`?question=` takes a question of an earlier chat over into a new one."""
    try:
        pk = uuid.UUID(request.GET.get("question", ""))
    except ValueError:
        return ""
    asked = Message.objects.visible_to(request.user).filter(pk=pk, role=Role.USER)
    return asked.values_list("content", flat=True).first() or ""


@require_safe
def conversation(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    talk = visible_conversation(request, pk)
    if wants_fragment(request):
        return turns_fragment(request, talk, is_refresh=True)
    return page(request, talk)


def page(request: ConsoleRequest, talk: Conversation, status: int = 200, **forms: Any) -> HttpResponse:
    context = context_of(request, talk, whole="editing" in forms or is_whole(request)) | forms
    return render(request, "chat/conversation.html", context, status=status)


def is_whole(request: ConsoleRequest) -> bool:
    """Whether the page has all turns of a long chat: its address says so, for what it asks for, too."""
    address = page_of(request.htmx) if request.htmx else request.get_full_path()
    return "all" in parse_qs(urlsplit(address or "").query, keep_blank_values=True)


def context_of(request: ConsoleRequest, talk: Conversation, *, whole: bool = False) -> dict[str, Any]:
    return {
        **turns_of(talk, whole),
        "form": empty_message(find_unsent(request, talk.pk)),
        "options": options_of(talk),
        "presets": ChatPreset.objects.filter(owner=request.user),
        "preset_form": PresetForm(),
        "chats": list_chats(request, talk),
        "endpoints": Endpoint.objects.visible_to(request.user).ready().with_model(),
        "ideas": None if talk.head_id else ideas_for(request.user, talk.endpoint),
    }


def turns_fragment(request: ConsoleRequest, talk: Conversation, spoken: str = "", **more: Any) -> HttpResponse:
    """A refresh that nobody asked for (`is_refresh`) must not speak over what was announced: the end of an answer
    announces itself. `chats`: the list, when the chat has only now a place in it."""
    context = {
        **turns_of(talk, is_whole(request)),
        "form": empty_message(),
        "is_update": True,
        "spoken": spoken,
        **more,
    }
    return render(request, "chat/conversation.html#turns", context)


def turns_of(talk: Conversation, whole: bool) -> dict[str, Any]:
    """`earlier`: how many turns of the branch are left out, unless it is `whole`."""
    tree = chat_tree.Tree(talk)
    earlier = 0 if whole else chat_tree.latest(tree.path(talk.head_id))
    turns = chat_tree.turns(talk, tree, talk.head_id, earlier)
    live = next((turn for turn in reversed(turns) if turn.is_live), None)
    told = chat_tree.turns_with_prompt_images(talk, tree) if earlier else talk.prompt_turns(turns)
    facts = image_facts([talk.endpoint] if talk.endpoint else [], told)
    return {
        **place_of(talk), "tree": tree, "turns": turns, "live": live, "earlier": earlier, "whole": whole,
        "has_pictures": bool(tree.pictured),
        "context_window": context_window(talk.endpoint), **facts,
    }  # fmt: skip


def place_of(talk: Conversation) -> dict[str, Any]:
    """Whether it can go on now; where it cannot, whether another endpoint could answer."""
    can_ask = not policies.why_not_ask(talk.endpoint)
    has_others = not can_ask and Endpoint.objects.visible_to(talk.owner).ready().exists()
    return {"conversation": talk, "can_ask": can_ask, "has_others": has_others}


@require_POST
def send(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    talk = visible_conversation(request, pk)
    is_first = talk.head_id is None
    form = MessageForm(request.POST, attached=collect_images(request, talk.endpoint))
    answer = ask(talk, form) if form.is_valid() else None
    if answer is None:
        return unsent(request, talk, form)
    if not request.htmx:
        return hx_redirect(request, f"{reverse('chat-conversation', args=[pk])}#turn-{answer.pk}")
    return turns_fragment(request, talk, chats=list_chats(request, talk) if is_first else None)


@require_POST
def draft(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    return save_draft(request, partial(conversations.keep_draft, visible_conversation(request, pk)))


def unsent(request: ConsoleRequest, talk: Conversation, form: MessageForm) -> HttpResponse:
    """The text stays where it was typed; the reason is shown beside it."""
    if not request.htmx:
        return page(request, talk, status=422, form=form)
    response = render(request, "chat/unsent.html", {"form": form, **place_of(talk)}, status=422)
    response["HX-Retarget"] = "#composer-error"
    response["HX-Reswap"] = "innerHTML"
    return response


@require_safe
def turn(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    """`?live` asks whether the answer has ended, and is told nothing while it has not."""
    message = visible_message(request, pk)
    if message.is_live and "live" in request.GET:
        return HttpResponse(status=204)
    talk = message.conversation
    context = {
        "conversation": talk,
        "tree": chat_tree.Tree(talk),
        "message": message,
        "live": message if message.is_live else None,
        "can_ask": not policies.why_not_ask(talk.endpoint),
        "context_window": context_window(talk.endpoint),
        "form": empty_message(),
        **image_facts([talk.endpoint] if talk.endpoint else []),
    }
    return render(request, "chat/answer.html", context)


@require_safe
def waiting(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    """Of comparisons, too."""
    found = Message.objects.visible_to(request.user).select_related("conversation__endpoint__main_model")
    message: Message = get_object_or_404(found, pk=pk)
    if not message.is_live:
        return HttpResponse(status=204)
    return render(request, "chat/waiting.html", {"message": message, "wait": wait_of(message)})


@require_POST
def stop(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    message = visible_message(request, pk)
    conversations.request_stop(message)
    if request.htmx:
        return HttpResponse(status=204)
    return hx_redirect(request, "chat-conversation", message.conversation_id)


@require_POST
def delete(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    conversations.delete(visible_conversation(request, pk))
    messages.info(request, _("Chat deleted"))
    return hx_redirect(request, "chat")

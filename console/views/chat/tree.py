"""What can be done with one turn, and with the whole chat, beside asking on."""

import uuid
from collections.abc import Callable

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _, ngettext
from django.views.decorators.http import require_http_methods, require_POST

from console.forms.chat.chat import AnswerForm, MessageForm, RatingForm, TitleForm, TurnForm
from console.presenters.chat.turns import address_of, key_of, visible_conversation, visible_message
from console.web.http import ConsoleRequest, hx_redirect, wants_fragment
from jobs import tasks
from jobs.errors import NotAllowedNow
from jobs.models import Conversation, Endpoint, Message, Role
from jobs.services.chat import branches, context_window, conversation_list, conversations, ratings, tree

from .conversations import page, place_of, turns_fragment

asks = require_http_methods(["GET", "HEAD", "POST"])
Make = Callable[..., Message]


@require_POST
def retry(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    return one_more(request, pk, tree.regenerate)


@require_POST
def drop_oldest(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    return one_more(request, pk, context_window.drop_oldest)


@require_POST
def send_all(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    talk = visible_conversation(request, pk)
    context_window.send_all(talk)
    talk.sent_from = None
    return render_branch(request, talk, spoken=_("The whole chat is sent to the model again"))


@require_POST
def go_on(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    return one_more(request, pk, tree.go_on)


def one_more(request: ConsoleRequest, pk: uuid.UUID, make: Make) -> HttpResponse:
    """The second of two clicks may come when the answer that was clicked on is replaced already."""
    form = TurnForm(request.POST)
    made = Message.objects.visible_to(request.user).filter(key=form.cleaned_data["key"]) if form.is_valid() else None
    answer = made.select_related("conversation__endpoint__main_model").first() if made is not None else None
    if answer is None:
        message = visible_message(request, pk)
        answer = make(message, key=key_of(request))
    return start_answer(request, answer)


def start_answer(request: ConsoleRequest, answer: Message) -> HttpResponse:
    tasks.enqueue_answer(answer)
    return render_branch(request, answer.conversation, answer)


def render_branch(
    request: ConsoleRequest, talk: Conversation, at: Message | None = None, spoken: str = ""
) -> HttpResponse:
    if request.htmx:
        return turns_fragment(request, talk, spoken)
    return hx_redirect(request, address_of(talk, at) if at else reverse("chat-conversation", args=[talk.pk]))


@asks
def edit(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    """A question is asked again, an answer is kept as it was written, or continued by the model."""
    message = visible_message(request, pk)
    kind, make = FORMS[message.role]
    if request.method != "POST":
        return render_edit_form(request, message, kind(initial={"key": uuid.uuid4(), "text": message.content}))
    form = kind(request.POST)
    try:
        if form.is_valid():
            answer = make(message, **form.cleaned_data)
            if answer.is_live:
                return start_answer(request, answer)
            return render_branch(request, answer.conversation, answer, _("Your version of the answer is saved"))
    except NotAllowedNow as error:
        form.add_error("text", str(error))
    return render_edit_form(request, message, form)


FORMS: dict[str, tuple[type[forms.Form], Make]] = {
    Role.USER: (MessageForm, tree.edit),
    Role.ASSISTANT: (AnswerForm, tree.edit_answer),
}


def render_edit_form(request: ConsoleRequest, message: Message, form: forms.Form) -> HttpResponse:
    """In the place of the turn; without scripts the whole page with the form there."""
    status = 422 if form.is_bound else 200
    template = "chat/edit.html" if message.role == Role.USER else "chat/edit_answer.html"
    if not wants_fragment(request):
        more = {"editing": message, "edit_form": form, "edit_template": template}
        return page(request, message.conversation, status=status, **more)
    context = {"message": message, "edit_form": form, **place_of(message.conversation)}
    response = render(request, template, context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    if form.is_bound:
        response["HX-Retarget"], response["HX-Reswap"] = f"#turn-{message.pk}", "outerHTML"
    return response


@require_POST
def show(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    message = visible_message(request, pk)
    talk = tree.show(message)
    place = tree.Tree(talk).place(message.pk)
    words = _("Version %(number)d of %(count)d") % {"number": place.number, "count": place.count}
    return render_branch(request, talk, message, words)


@asks
def delete_turn(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    message = visible_message(request, pk)
    if request.method == "POST":
        talk = tree.delete(message)
        messages.info(request, _("Deleted"))
        return hx_redirect(request, "chat-conversation", talk.pk)
    count = tree.Tree(message.conversation).place(message.pk).below
    lost = ngettext("%d message will be deleted.", "%d messages will be deleted.", count) % count
    if message.role == Role.USER:
        title, text = _("Delete this question?"), _("All its answers and everything that follows are deleted too.")
    else:
        title, text = _("Delete this answer?"), _("Everything that follows is deleted too.")
    links = _("Links that show it stop working.")
    return ask_first(request, message.conversation, title, f"{text} {lost} {links}", _("Delete"))


def ask_first(request: ConsoleRequest, talk: Conversation, title: str, text: str, label: str) -> HttpResponse:
    context = {"conversation": talk, "title": title, "text": text, "label": label, "url": request.path}
    is_dialog = wants_fragment(request)
    template = "chat/ask.html#dialog" if is_dialog else "chat/ask.html"
    response = render(request, template, {**context, "is_dialog": is_dialog})
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_POST
def branch(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    talk = branches.branch_off(visible_message(request, pk), key=key_of(request))
    messages.info(request, _("This is a new chat with a copy of the conversation up to that point"))
    return hx_redirect(request, "chat-conversation", talk.pk)


@asks
def rename(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    talk = visible_conversation(request, pk)
    form = TitleForm(request.POST if request.method == "POST" else None, initial={"title": talk.title})
    if form.is_bound and form.is_valid():
        conversation_list.rename(talk, form.cleaned_data["title"])
        return hx_redirect(request, "chat-conversation", pk)
    status = 422 if form.is_bound else 200
    if not wants_fragment(request):
        return page(request, talk, status=status, title_form=form)
    response = render(request, "chat/rename.html", {"conversation": talk, "title_form": form}, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_POST
def rate(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    answer = visible_message(request, pk)
    form = RatingForm(request.POST)
    if not form.is_valid():
        raise NotAllowedNow(_("Reload the page and rate the answer again."))
    ratings.rate(answer, form.cleaned_data["rating"])
    if request.htmx:
        return render(request, "chat/rating.html", {"message": answer})
    return hx_redirect(request, address_of(answer.conversation, answer))


@require_POST
def pin(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    talk = visible_conversation(request, pk)
    conversation_list.pin(talk, request.POST.get("pinned") == "yes")
    return hx_redirect(request, "chat-conversation", pk)


@require_POST
def endpoint(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    """Later answers come from another endpoint; those that are there say which one they came from."""
    talk = visible_conversation(request, pk)
    ready = {str(each.pk): each for each in Endpoint.objects.visible_to(request.user).ready().with_model()}
    found = ready.get(request.POST.get("endpoint", ""))
    if found is None:
        raise NotAllowedNow(_("This endpoint is no longer available. Choose another one."))
    conversations.choose_endpoint(talk, found)
    return hx_redirect(request, "chat-conversation", pk)

"""What is done with one column of a comparison, and with its answers."""

import uuid
from collections.abc import Callable

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.forms.chat.chat import TurnForm
from console.forms.chat.compare import ColumnForm
from console.forms.chat.options import OptionsForm
from console.presenters.chat import options as chat_options
from console.presenters.chat.options import SWAPPED, without_reset
from console.presenters.chat.turns import key_of
from console.presenters.comparisons.columns import (
    comparison_of,
    context_of,
    fragment,
    visible_answer,
    visible_column,
    visible_comparison,
)
from console.web.http import ConsoleRequest, hx_redirect, wants_fragment
from jobs import tasks
from jobs.errors import NotAllowedNow
from jobs.models import Conversation, Endpoint, Message
from jobs.services.chat import branches, context_window, conversations, tree
from jobs.services.chat.parameters import parameters_of
from jobs.services.comparisons import board, comparisons


def get_endpoint(request: ConsoleRequest) -> Endpoint:
    form = ColumnForm(request.POST)
    ready = Endpoint.objects.visible_to(request.user).ready().with_model()
    found: Endpoint | None = ready.filter(pk=form.cleaned_data["endpoint"]).first() if form.is_valid() else None
    if found is None:
        raise NotAllowedNow(_("This endpoint is no longer available. Choose another one."))
    return found


@require_POST
def add(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    comparisons.add_column(visible_comparison(request, pk), get_endpoint(request))
    return hx_redirect(request, "compare-detail", pk)


@require_POST
def endpoint(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    column = visible_column(request, pk)
    comparisons.choose_endpoint(column, get_endpoint(request))
    return hx_redirect(request, "compare-detail", column.comparison_id)


@require_POST
def remove(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    column = visible_column(request, pk)
    comparisons.remove_column(column)
    return hx_redirect(request, "compare-detail", column.comparison_id)


@require_http_methods(["GET", "HEAD", "POST"])
def options(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    """A button that resets or takes out something leaves the dialog open."""
    column = visible_column(request, pk)
    comparisons.require_shown(column)
    if request.method != "POST":
        return options_form(request, column, options_of(column))
    stays = bool(request.htmx) and ("reset" in request.POST or "stop-remove" in request.POST)
    form = options_of(column, without_reset(request.POST), is_typing=stays)
    if not form.is_valid():
        return options_form(request, column, form, status=422)
    instruction = form.cleaned_data["system_instruction"]
    text = form.schema_text
    comparisons.set_options(column, system_instruction=instruction, parameters=form.parameters(), schema_text=text)
    if stays:
        return options_form(request, column, form if form.awaits_schema else options_of(column))
    return hx_redirect(request, "compare-detail", column.comparison_id)


def taken_by(column: Conversation) -> list[str]:
    """A round goes on for all columns at once, so nobody types the results of one's calls."""
    return [name for name in parameters_of(column.endpoint) if name != "tools"]


def options_of(column: Conversation, data: QueryDict | None = None, *, is_typing: bool = False) -> OptionsForm:
    return chat_options.options_of(column, data, takes=taken_by(column), is_typing=is_typing)


def options_form(request: ConsoleRequest, column: Conversation, form: OptionsForm, status: int = 200) -> HttpResponse:
    is_dialog = wants_fragment(request)
    part = ("#form" if request.method == "POST" else "#dialog") if is_dialog else ""
    context = {"column": column, "options": form, "is_dialog": is_dialog}
    response = render(request, f"compare/options.html{part}", context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    if is_dialog and request.method == "POST":
        response["HX-Retarget"], response["HX-Reswap"] = "#options-form", SWAPPED
    return response


@require_safe
def answer(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    """`?live` asks whether the answer has ended, and is told nothing while it has not. With the last one of a round
    come all columns: none of them may still be waiting beside the words that all are complete."""
    message = visible_answer(request, pk)
    if message.is_live and "live" in request.GET:
        return HttpResponse(status=204)
    there = board.load(comparison_of(message.conversation))
    if "live" in request.GET and not there.is_live:
        response = fragment(request, there.comparison)
        response["HX-Retarget"], response["HX-Reswap"] = "#board", "outerMorph"
        return response
    context = context_of(request, there)
    rounds = [(one, each) for one in context["columns"] for each in one.column.rounds if each.answer.pk == pk]
    if not rounds:
        return HttpResponse(status=204)
    context |= {"shown": rounds[0][0], "round": rounds[0][1], "message": message}
    return render(request, "compare/answer_update.html", context)


@require_POST
def stop(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    message = visible_answer(request, pk)
    conversations.request_stop(message)
    if request.htmx:
        return HttpResponse(status=204)
    return hx_redirect(request, "compare-detail", message.conversation.comparison_id)


@require_POST
def retry(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    return one_more(request, pk, tree.regenerate)


@require_POST
def go_on(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    return one_more(request, pk, tree.go_on)


def one_more(request: ConsoleRequest, pk: uuid.UUID, make: Callable[..., Message]) -> HttpResponse:
    """The second of two clicks may come when the answer that was clicked on is replaced already."""
    message = find_earlier_turn(request)
    if message is None:
        answer = visible_answer(request, pk)
        message = make(answer, key=key_of(request))
    tasks.enqueue_answer(message)
    return render_column(request, message.conversation)


def find_earlier_turn(request: ConsoleRequest) -> Message | None:
    form = TurnForm(request.POST)
    if not form.is_valid():
        return None
    mine = Message.objects.visible_to(request.user).filter(conversation__comparison__isnull=False)
    return mine.filter(key=form.cleaned_data["key"]).select_related("conversation__comparison").first()


@require_POST
def drop_oldest(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    return one_more(request, pk, context_window.drop_oldest)


@require_POST
def send_all(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    column = visible_column(request, pk)
    context_window.send_all(column)
    return render_column(request, column, _("The whole conversation is sent to this model again"))


@require_POST
def show(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    message = visible_answer(request, pk)
    talk = tree.show(message)
    place = tree.Tree(talk).place(message.pk)
    version = {"number": place.number, "count": place.count}
    return render_column(request, message.conversation, _("Version %(number)d of %(count)d") % version)


@require_POST
def branch(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    """A chat of its own with what this column said until then."""
    answer = visible_answer(request, pk)
    comparisons.require_shown(answer.conversation)
    talk = branches.branch_off(answer, key=key_of(request))
    messages.info(request, _("This is a new chat with a copy of the conversation up to that point"))
    return hx_redirect(request, "chat-conversation", talk.pk)


def render_column(request: ConsoleRequest, column: Conversation, spoken: str = "") -> HttpResponse:
    comparison = comparison_of(column)
    return (
        fragment(request, comparison, spoken) if request.htmx else hx_redirect(request, "compare-detail", comparison.pk)
    )

"""A comparison for its page: what of each column may be shown, and what the composer needs to know."""

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _

from console.forms.chat.chat import MessageForm, empty_message
from console.forms.chat.options import OptionsForm
from console.presenters.chat.images import find_unsent
from console.web.http import ConsoleRequest
from jobs.models import Comparison, Conversation, Dataset, Endpoint, Message, Role
from jobs.services.chat import images
from jobs.services.comparisons import board as comparison_board, policies, rows as comparison_rows
from jobs.services.comparisons.board import Board, Column
from jobs.states import EndpointState

LONGEST_VALUE = 24


@dataclass(frozen=True)
class Shown:
    """`name` says no more than the letter while the comparison is hidden; `settings` are then left out."""

    column: Column
    letter: str
    name: str
    settings: list[str]
    is_ready: bool

    @property
    def problem(self) -> str:
        """Why its endpoint was not deployed."""
        endpoint = self.column.talk.endpoint
        if endpoint is None or endpoint.state != EndpointState.FAILED:
            return ""
        return str(endpoint.error_message) or _("The endpoint failed. Choose another one, or deploy the model again.")


def visible_comparison(request: ConsoleRequest, pk: uuid.UUID) -> Comparison:
    return get_object_or_404(Comparison.objects.visible_to(request.user), pk=pk)


def visible_column(request: ConsoleRequest, pk: uuid.UUID) -> Conversation:
    found = Conversation.objects.visible_to(request.user).filter(comparison__isnull=False)
    return get_object_or_404(found.select_related("comparison", "endpoint__main_model"), pk=pk)


def visible_answer(request: ConsoleRequest, pk: uuid.UUID) -> Message:
    found = Message.objects.visible_to(request.user)
    found = found.filter(conversation__comparison__isnull=False, role=Role.ASSISTANT)
    return get_object_or_404(
        found.select_related("conversation__comparison", "conversation__endpoint__main_model"), pk=pk
    )


def comparison_of(column: Conversation) -> Comparison:
    assert column.comparison is not None
    return column.comparison


def page(request: ConsoleRequest, comparison: Comparison, status: int = 200, **forms: Any) -> HttpResponse:
    board = comparison_board.load(comparison)
    context = context_of(request, board) | {"form": empty_message(find_unsent(request, comparison.pk))} | forms
    if not board.round:
        context |= {"awaited": [(endpoint, ()) for endpoint in board.awaited], "loads": True}
        context["endpoints"] = Endpoint.objects.visible_to(request.user).ready().with_model()
        context["may_add_column"] = not policies.why_not_add_column(len(board.columns), is_begun=False)
        context["may_remove_column"] = not policies.why_not_remove_column(len(board.columns), is_begun=False)
    return render(request, "compare/detail.html", context, status=status)


def fragment(request: ConsoleRequest, comparison: Comparison, spoken: str = "") -> HttpResponse:
    board = comparison_board.load(comparison)
    context = context_of(request, board) | {"is_update": True, "spoken": spoken}
    return render(request, "compare/detail.html#board", context)


def context_of(request: ConsoleRequest, board: Board) -> dict[str, Any]:
    columns = list_columns(board)
    return {
        "comparison": board.comparison,
        "board": board,
        "columns": columns,
        "winner": next((one for one in columns if board.vote and board.vote.winner_id == one.column.talk.pk), None),
        "can_ask": any(one.is_ready for one in columns) and not board.awaited,
        "taken": datasets_by_answer(request, board),
        "form": empty_message(),
        **image_facts(board),
    }


def list_columns(board: Board) -> list[Shown]:
    rows = []
    for place, column in enumerate(board.columns):
        endpoint, letter = column.talk.endpoint, chr(ord("A") + place)
        is_ready = not policies.why_not_ask(endpoint)
        name = endpoint.label if endpoint else _("Endpoint deleted")
        settings = [] if board.is_hidden else settings_words(column.talk)
        rows.append(Shown(column, letter, "" if board.is_hidden else name, settings, is_ready))
    return rows


def settings_words(talk: Conversation) -> list[str]:
    """What was changed, such as “Temperature 0.2”."""
    words = [_("System instructions")] if talk.system_instruction else []
    for name, value in talk.parameters.items():
        field = OptionsForm.base_fields.get(name)
        words.append(f"{field.label if field else name} {value_words(value)}")
    return words


def value_words(value: Any) -> str:
    kind = value.get("type", "") if isinstance(value, dict) else value
    text = ", ".join(map(str, kind)) if isinstance(kind, list) else str(kind)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def datasets_by_answer(request: ConsoleRequest, board: Board) -> dict[str, Dataset]:
    """By the id of the answer, the dataset that it was made a row of."""
    answers = [one.answer.pk for column in board.columns for one in column.rounds]
    return comparison_rows.datasets_by_answer(answers, request.user) if answers else {}


def image_facts(board: Board) -> dict[str, Any]:
    """A picture goes to every column or to none."""
    reason = refusal(board, [column.talk.endpoint for column in board.columns if column.talk.endpoint])
    return {
        "images_reason": reason,
        "images_refused": json.dumps({"": reason} if reason else {}),
        "images_limit": images.LARGEST_FILE,
    }


def refusal(board: Board, endpoints: Iterable[Endpoint]) -> str:
    endpoints = list(endpoints)
    reading = images.reading(endpoints)
    blind = next((endpoint for endpoint in endpoints if reading[endpoint.pk] is False), None)
    if blind is None:
        return ""
    return _("One of these models accepts text only, not images.") if board.is_hidden else images.text_only(blind)


def with_errors(request: ConsoleRequest, comparison: Comparison, form: MessageForm) -> HttpResponse:
    """The text stays where it was typed; the reason is shown beside it."""
    if not request.htmx:
        return page(request, comparison, status=422, form=form)
    response = render(request, "chat/composer_error.html", {"form": form}, status=422)
    response["HX-Retarget"], response["HX-Reswap"] = "#composer-error", "innerHTML"
    return response

"""A comparison as a file: Markdown to read, JSON to keep. Both say which model is which."""

from typing import Any

from django.utils import timezone

from jobs.models import Comparison
from jobs.services.chat import export
from jobs.text.deferred import gettext as _

from . import board as comparison_board, policies
from .board import Board, Column


def _load_board(comparison: Comparison) -> Board:
    board = comparison_board.load(comparison)
    policies.check_can_export(board)
    return board


def letter(place: int) -> str:
    return chr(ord("A") + place)


def markdown(comparison: Comparison) -> str:
    """Round by round: the question, then what each column answered."""
    board = _load_board(comparison)
    names = [f"- {letter(place)}: {_name(column)}" for place, column in enumerate(board.columns)]
    parts = [f"# {comparison.title or _('Untitled comparison')}", "\n".join(names)]
    for number in range(board.round):
        asked = next(column.rounds[number].question for column in board.columns if len(column.rounds) > number)
        parts.append(f"## {_('You')}\n\n{export.format_turn(asked)}")
        for place, column in enumerate(board.columns):
            if len(column.rounds) > number:
                parts.append(_answer(column, number, letter(place)))
    return "\n\n".join(parts) + "\n"


def _name(column: Column) -> str:
    endpoint = column.talk.endpoint
    return endpoint.label if endpoint else _("Endpoint deleted")


def _answer(column: Column, number: int, place: str) -> str:
    one = column.rounds[number]
    best = f" ({_('Best')})" if one.is_best else ""
    return f"### {place}{best}\n\n{export.format_turn(one.answer)}"


def document(comparison: Comparison) -> dict[str, Any]:
    """Every column with its whole tree, as a chat is exported; a vote's `winner` is the id of a column, or None."""
    board = _load_board(comparison)
    return {
        "schema": "garden-console/comparison",
        "version": export.SCHEMA_VERSION,
        "exported_at": timezone.now().isoformat(timespec="seconds"),
        "id": str(comparison.pk),
        "title": comparison.title,
        "created_at": comparison.created_at.isoformat(timespec="seconds"),
        "blind": comparison.blind,
        "columns": [export.document(column.talk) for column in board.columns],
        "votes": [
            {"round": vote.round, "winner": str(vote.winner_id) if vote.winner_id else None}
            for vote in board.votes.values()
        ],
    }

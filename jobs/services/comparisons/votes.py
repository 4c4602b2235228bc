"""Which answers were found best, and what that says of the endpoints."""

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, Q

from jobs import live
from jobs.errors import NotAllowedNow
from jobs.models import Comparison, Conversation, Endpoint, Vote
from jobs.text.deferred import gettext as _

from . import board as comparison_board, policies


@dataclass(frozen=True)
class Score:
    """Of `rounds` that were voted on, `ties` had no winner. An endpoint in two columns took part twice."""

    endpoint: Endpoint
    wins: int
    ties: int
    rounds: int

    @property
    def losses(self) -> int:
        return self.rounds - self.wins - self.ties


def vote(comparison: Comparison, *, number: int, winner: Conversation | None) -> Vote:
    """On the latest round, named by its `number`. Without a winner none was better.

    In a blind comparison a vote stays as it is, since it has shown which model is which.
    """
    with transaction.atomic():
        row = Comparison.objects.select_for_update().get(pk=comparison.pk)
        board = comparison_board.load(row)
        if number != board.round:
            raise NotAllowedNow(_("Another message was sent in the meantime. Check the answers."))
        policies.check_can_vote_for(board, winner.pk if winner else None)
        made = Vote.objects.update_or_create(comparison=row, round=number, defaults={"winner": winner})[0]
        live.notify(row.owner_id, *(f"chat-{column.talk.pk}" for column in board.columns))
    return made


def reveal(comparison: Comparison) -> None:
    """Without a vote. It is a comparison like any other from then on."""
    Comparison.objects.filter(pk=comparison.pk).update(blind=False)
    live.notify(comparison.owner_id, *(f"chat-{pk}" for pk in comparison.columns.values_list("pk", flat=True)))


def tally(owner: User) -> list[Score]:
    """The endpoints that took part in rounds with a vote, those with most wins first."""
    voted = Conversation.objects.filter(
        comparison__owner=owner, endpoint__isnull=False, comparison__votes__isnull=False
    )
    counted = voted.order_by().values("endpoint_id").annotate(
        rounds=Count("comparison__votes"), ties=Count("comparison__votes", filter=Q(comparison__votes__winner=None))
    )  # fmt: skip
    won = Vote.objects.filter(comparison__owner=owner, winner__endpoint__isnull=False).order_by()
    wins = dict(won.values_list("winner__endpoint_id").annotate(Count("pk")))
    endpoints = Endpoint.objects.with_model().in_bulk([row["endpoint_id"] for row in counted])
    scores = [
        Score(endpoints[row["endpoint_id"]], wins.get(row["endpoint_id"], 0), row["ties"], row["rounds"])
        for row in counted
    ]
    return sorted(scores, key=lambda score: (-score.wins, score.losses, score.endpoint.display_name))

"""A comparison as it is shown: its columns side by side, round by round, in the same few queries for any number."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from jobs.models import Comparison, Conversation, Endpoint, Message, Role, Vote, with_images
from jobs.services.chat.tree import SHAPE, Shape, Tree
from jobs.states import EndpointState


@dataclass(frozen=True)
class Round:
    """A question and what this column answered; `is_best`: by the vote."""

    number: int
    question: Message
    answer: Message
    is_best: bool


@dataclass(frozen=True)
class Column:
    talk: Conversation
    tree: Tree
    rounds: list[Round]

    @property
    def answer(self) -> Message | None:
        return self.rounds[-1].answer if self.rounds else None

    @property
    def is_live(self) -> bool:
        return self.answer is not None and self.answer.is_live

    @property
    def has_answered(self) -> bool:
        return self.answer is not None and not self.answer.is_live and bool(self.answer.content.strip())

    @property
    def votes(self) -> int:
        return sum(one.is_best for one in self.rounds)


@dataclass(frozen=True)
class Asked:
    at: datetime
    answers: list[Message]

    @property
    def name(self) -> str:
        return self.at.strftime("%Y%m%d%H%M%S%f")


@dataclass(frozen=True)
class Board:
    """`vote` is that of the latest round."""

    comparison: Comparison
    columns: list[Column]
    votes: dict[int, Vote]

    @property
    def round(self) -> int:
        return max((len(column.rounds) for column in self.columns), default=0)

    @property
    def is_hidden(self) -> bool:
        """Which model is which, and all that would tell it. Before the first question the columns are still chosen."""
        return self.comparison.blind and not self.votes and self.round > 0

    @property
    def awaited(self) -> list[Endpoint]:
        found = {column.talk.endpoint.pk: column.talk.endpoint for column in self.columns if column.talk.endpoint}
        return awaited(found.values(), is_begun=self.round > 0)

    @property
    def is_live(self) -> bool:
        return any(column.is_live for column in self.columns)

    @property
    def live(self) -> list[Asked]:
        """The answers that are being written, by when they were asked for: all of a round at once, a retried one by
        itself."""
        found: dict[datetime, list[Message]] = {}
        for column in self.columns:
            if column.answer and column.is_live:
                found.setdefault(column.answer.created_at, []).append(column.answer)
        return [Asked(at, answers) for at, answers in found.items()]

    @property
    def turn_count(self) -> int:
        """More with every turn of any column."""
        return sum(column.tree.last for column in self.columns)

    @property
    def vote(self) -> Vote | None:
        return self.votes.get(self.round)

    @property
    def can_vote(self) -> bool:
        """Also while others still write: one that never ends must not keep the vote."""
        return self.round > 0 and any(column.has_answered for column in self.columns)

    @property
    def failed_count(self) -> int:
        """How many columns of the latest round have no answer at all."""
        return sum(not (column.has_answered or column.is_live) for column in self.columns) if self.round else 0


def awaited(endpoints: Iterable[Endpoint], *, is_begun: bool) -> list[Endpoint]:
    """Being deployed: the first question waits for them, since it would fail in their columns."""
    return [] if is_begun else [one for one in endpoints if one.state == EndpointState.DEPLOYING]


def load(comparison: Comparison) -> Board:
    talks = list(comparison.columns.select_related("endpoint__main_model").order_by("column", "created_at"))
    trees = _trees(talks)
    paths = {talk.pk: trees[talk.pk].path(talk.head_id) for talk in talks}
    wanted = [pk for path in paths.values() for pk in path]
    found = Message.objects.in_bulk(wanted)
    with_images(list(found.values()))
    votes = {vote.round: vote for vote in comparison.votes.all()}
    return Board(
        comparison,
        [_column(talk, trees[talk.pk], [found[pk] for pk in paths[talk.pk] if pk in found], votes) for talk in talks],
        votes,
    )


def _trees(talks: list[Conversation]) -> dict[UUID, Tree]:
    shapes: dict[UUID, list[Shape]] = {talk.pk: [] for talk in talks}
    rows = Message.objects.filter(conversation__in=talks).order_by("ordinal")
    for talk_id, *shape in rows.values_list("conversation_id", *SHAPE):
        shapes[talk_id].append(tuple(shape))
    return {talk.pk: Tree(talk, shapes[talk.pk]) for talk in talks}


def _column(talk: Conversation, tree: Tree, turns: list[Message], votes: dict[int, Vote]) -> Column:
    rounds: list[Round] = []
    question: Message | None = None
    for turn in turns:
        if turn.role == Role.USER:
            question = turn
        elif question is not None:
            number = len(rounds) + 1
            is_best = number in votes and votes[number].winner_id == talk.pk
            rounds.append(Round(number, question, turn, is_best))
            question = None
    return Column(talk, tree, rounds)

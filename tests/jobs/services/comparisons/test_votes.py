from uuid import uuid4

import pytest

from jobs import errors
from jobs.models import Vote
from jobs.services.comparisons import comparisons, votes
from jobs.vertex.errors import Refused
from tests.jobs.services.chat.test_tree import served
from tests.jobs.services.comparisons.test_comparisons import answered, ask, columns

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def endpoints(fake_gateway):
    return [served(fake_gateway, display_name=name) for name in ("Base", "Tuned")]


def compared(owner, endpoints, blind=False):
    comparison = comparisons.create(owner, key=uuid4(), endpoints=endpoints, blind=blind)
    answered(comparison)
    return comparison


def voted(comparison, winner, number=1):
    return votes.vote(comparison, number=number, winner=winner)


def test_a_vote_shows_the_names(owner, endpoints):
    comparison = compared(owner, endpoints, blind=True)
    assert comparisons.is_hidden(comparison) is True
    vote = voted(comparison, columns(comparison)[1])
    assert (vote.round, vote.winner, comparisons.is_hidden(comparison)) == (1, columns(comparison)[1], False)


def test_a_blind_vote_stays_as_it_is(owner, endpoints):
    comparison = compared(owner, endpoints, blind=True)
    first, second = columns(comparison)
    assert voted(comparison, first) == voted(comparison, first)
    with pytest.raises(errors.NotAllowedNow, match="voted in this round"):
        voted(comparison, second)
    assert Vote.objects.get().winner == first


def test_an_open_vote_can_be_changed(owner, endpoints):
    comparison = compared(owner, endpoints)
    first, second = columns(comparison)
    voted(comparison, first)
    voted(comparison, second)
    assert Vote.objects.get().winner == second


def test_only_the_latest_round_is_voted_on(owner, endpoints):
    comparison = compared(owner, endpoints)
    answered(comparison, "More")
    with pytest.raises(errors.NotAllowedNow, match="Another message was sent"):
        voted(comparison, None, number=1)
    assert voted(comparison, None, number=2).winner is None


def test_nobody_votes_before_all_have_answered(owner, endpoints):
    comparison = comparisons.create(owner, key=uuid4(), endpoints=endpoints)
    ask(comparison)
    with pytest.raises(errors.NotAllowedNow, match="finished its answer"):
        voted(comparison, None)


def test_a_model_that_gave_no_answer_does_not_win(owner, endpoints, fake_gateway):
    fake_gateway.chat.script = [[Refused("No.", "QUOTA")], ["Fine."]]
    comparison = compared(owner, endpoints)
    with pytest.raises(errors.NotAllowedNow, match="gave no answer"):
        voted(comparison, columns(comparison)[0])


def test_names_are_shown_without_a_vote_and_then_nothing_is_blind(owner, endpoints):
    comparison = compared(owner, endpoints, blind=True)
    votes.reveal(comparison)
    comparison.refresh_from_db()
    assert (comparisons.is_hidden(comparison), comparison.blind) == (False, False)


def test_votes_are_counted_by_endpoint(owner, team_mate, endpoints, fake_gateway):
    base, tuned = endpoints
    for winner in (tuned, tuned, base, None):
        comparison = compared(owner, endpoints)
        voted(comparison, next((each for each in columns(comparison) if each.endpoint == winner), None))
    compared(owner, endpoints)
    theirs = [served(fake_gateway, display_name=name, owner=team_mate) for name in ("Base", "Tuned")]
    voted(compared(team_mate, theirs), None)
    scores = [(score.endpoint, score.wins, score.ties, score.losses) for score in votes.tally(owner)]
    assert scores == [(tuned, 2, 1, 1), (base, 1, 1, 2)]


def test_a_second_round_counts_for_itself(owner, endpoints):
    comparison = compared(owner, endpoints)
    voted(comparison, columns(comparison)[0])
    answered(comparison, "More")
    voted(comparison, columns(comparison)[1], number=2)
    assert [(score.wins, score.rounds) for score in votes.tally(owner)] == [(1, 2), (1, 2)]

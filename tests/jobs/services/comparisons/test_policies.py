"""Of each action at each point of a comparison: it is on the page where the policy allows it, and only there; where it
does not, the service refuses with the policy's sentence."""

from uuid import uuid4

import pytest
from django.urls import reverse

from jobs import errors
from jobs.models import Comparison, Message, Vote
from jobs.services.comparisons import board, comparisons, export, policies, rows, votes
from jobs.states import EndpointState
from tests.support import factories

pytestmark = pytest.mark.django_db
COUNT = pytest.mark.parametrize("count", [2, 3, 4])
BEGUN = pytest.mark.parametrize("is_begun", [False, True])
BLIND = pytest.mark.parametrize("blind", [False, True])
ROUND = pytest.mark.parametrize("state", ["COMPLETE", "STREAMING", "FAILED"])


@pytest.fixture
def page(client, owner):
    client.force_login(owner)
    return lambda comparison: client.get(reverse("compare-detail", args=[comparison.pk])).content.decode()


@pytest.fixture
def compare(owner):
    def make(count=2, *, is_begun=False, blind=False, state="COMPLETE"):
        sides = [factories.ready_endpoint(owner=owner) for _ in range(count)]
        comparison = comparisons.create(owner, key=uuid4(), endpoints=sides, blind=blind)
        if is_begun:
            comparisons.send(comparison, key=uuid4(), text="Ahoy")
            content = "" if state == "FAILED" else "Arr"
            Message.objects.filter(role="assistant").update(state=state, content=content)
        return Comparison.objects.get(pk=comparison.pk)

    return make


def refuses(reason, action):
    if not reason:
        action()
        return
    with pytest.raises(errors.NotAllowedNow) as refused:
        action()
    assert str(refused.value) == reason


@pytest.mark.parametrize("count", range(1, 6))
def test_how_many_are_compared(owner, count):
    sides = [factories.ready_endpoint(owner=owner) for _ in range(count)]
    reason = policies.why_not_compare(count)
    assert bool(reason) is (count not in (2, 3, 4))
    refuses(reason, lambda: comparisons.create(owner, key=uuid4(), endpoints=sides))


@COUNT
@BEGUN
def test_columns(page, owner, compare, count, is_begun):
    comparison = compare(count, is_begun=is_begun)
    column, another = comparison.columns.first(), factories.ready_endpoint(owner=owner)
    more, fewer = (
        why_not(count, is_begun) for why_not in (policies.why_not_add_column, policies.why_not_remove_column)
    )
    shown = page(comparison)
    assert (f'action="{reverse("compare-add", args=[comparison.pk])}"' in shown) is (not more)
    assert (f'action="{reverse("compare-column-remove", args=[column.pk])}"' in shown) is (not fewer)
    assert (f'action="{reverse("compare-column-endpoint", args=[column.pk])}"' in shown) is (
        not policies.why_not_set_up(is_begun)
    )
    refuses(policies.why_not_set_up(is_begun), lambda: comparisons.choose_endpoint(column, another))
    refuses(policies.why_not_set_up(is_begun), lambda: comparisons.set_blind(comparison, True))
    refuses(fewer, lambda: comparisons.remove_column(column))
    refuses(
        policies.why_not_add_column(comparison.columns.count(), is_begun),
        lambda: comparisons.add_column(comparison, another),
    )


@BLIND
@BEGUN
@pytest.mark.parametrize("is_voted", [False, True])
def test_what_tells_the_models_apart(page, compare, blind, is_begun, is_voted):
    comparison = compare(blind=blind, is_begun=is_begun)
    if is_voted and is_begun:
        Vote.objects.create(comparison=comparison, round=1)
    shown = board.load(comparison)
    reason = policies.why_not_export(shown)
    link = reverse("compare-export", args=[comparison.pk, "md"])
    assert (f'href="{link}"' in page(comparison)) is (is_begun and not reason)
    refuses(reason, lambda: export.markdown(comparison))
    column = comparison.columns.first()
    refuses(
        policies.why_not_tell_apart(shown.is_hidden),
        lambda: comparisons.set_options(column, system_instruction="Be brief.", parameters={}),
    )


@pytest.mark.parametrize("state", EndpointState)
def test_asking_a_column(page, compare, state):
    comparison = compare(is_begun=state == EndpointState.DEPLOYING)
    ready, other = (column.endpoint for column in comparison.columns.order_by("column"))
    type(other).objects.filter(pk=other.pk).update(state=state)
    other.refresh_from_db()
    reason = policies.why_not_ask(other)
    answers = {answer.endpoint_id: answer for answer in comparisons.send(comparison, key=uuid4(), text="Ahoy")}
    assert answers[ready.pk].state == "WAITING"
    assert answers.get(other.pk if not reason else None).error_message == reason


@ROUND
@BLIND
def test_voting(page, compare, blind, state):
    comparison = compare(is_begun=True, blind=blind, state=state)
    there = board.load(comparison)
    reason = policies.why_not_vote(there)
    form = f'action="{reverse("compare-vote", args=[comparison.pk])}"'
    assert (form in page(comparison)) is (not reason)
    refuses(reason, lambda: votes.vote(comparison, number=1, winner=there.columns[0].talk))
    assert Vote.objects.exists() is (not reason)


def test_a_vote_for_what_gave_no_answer_and_a_second_one(compare):
    comparison = compare(is_begun=True, blind=True)
    first, second = (column.talk for column in board.load(comparison).columns)
    Message.objects.filter(conversation=second, role="assistant").update(state="FAILED", content="")
    refuses("This model gave no answer.", lambda: votes.vote(comparison, number=1, winner=second))
    votes.vote(comparison, number=1, winner=first)
    reason = policies.why_not_vote_for(board.load(comparison), None)
    assert reason == "You already voted in this round."
    refuses(reason, lambda: votes.vote(comparison, number=1, winner=None))


@pytest.mark.parametrize("state", ["COMPLETE", "STREAMING"])
@pytest.mark.parametrize("has_pictures", [False, True])
def test_adding_an_answer_to_a_dataset(owner, compare, state, has_pictures):
    comparison = compare(is_begun=True, state=state)
    answer = Message.objects.filter(role="assistant", conversation__comparison=comparison).first()
    Message.objects.filter(role="user").update(has_pictures=has_pictures)
    reason = rows.why_not(answer)
    assert bool(reason) is (state == "STREAMING" or has_pictures)
    refuses(reason, lambda: rows.add(answer, key=uuid4(), text="Arr", name="Answers"))

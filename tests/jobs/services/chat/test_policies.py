"""Of each action on each turn of a chat: its button is on the page where the policies allow it, and only there; where
they do not, the service refuses with the policy's sentence."""

from itertools import product
from uuid import uuid4

import pytest
from django.urls import reverse

from jobs import errors
from jobs.models import Message
from jobs.services.chat import branches, context_window, conversations, policies, ratings, shared_links, tree
from jobs.states import EndpointState, MessageState
from tests.support import factories
from tests.support.share import each_once

pytestmark = pytest.mark.django_db
ENDPOINTS = [*EndpointState, None]
ENDS: list[dict[str, str]] = [{"state": str(state)} for state in MessageState]
ANSWERS = [*ENDS, {"state": "COMPLETE", "finish_reason": "length"}]
ENDPOINT = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)


def name_of(case):
    return " ".join(map(str, case.values() if isinstance(case, dict) else case))


def is_whole(_asked, values):
    return values == {"state": "COMPLETE"}


ANSWER = pytest.mark.parametrize("values", ANSWERS, ids=name_of)
ACTIONS = {
    "retry": (policies.why_not_regenerate, lambda turn: tree.regenerate(turn, key=uuid4())),
    "continue": (policies.why_not_continue, lambda turn: tree.go_on(turn, key=uuid4())),
    "branch": (policies.why_not_branch_off, lambda turn: branches.branch_off(turn, key=uuid4())),
    "edit question": (policies.why_not_edit_question, lambda turn: tree.edit(turn, key=uuid4(), text="Other words")),
    "edit answer": (policies.why_not_edit_answer, lambda turn: tree.edit_answer(turn, key=uuid4(), text="Other words")),
    "rate": (policies.why_not_rate, lambda turn: ratings.rate(turn, "good")),
}
ASKS = {"retry", "continue", "edit question"}
NEEDS_REST = ASKS | {"edit answer"}


@pytest.fixture
def page(client, owner):
    client.force_login(owner)
    return lambda talk: client.get(reverse("chat-conversation", args=[talk.pk])).content.decode()


def talk_with(owner, endpoint, **values):
    """One question with the answer that the values describe."""
    there = endpoint and factories.ready_endpoint(owner=owner, state=endpoint)
    talk = factories.conversation(owner=owner, endpoint=there)
    factories.message(conversation=talk)
    factories.message(conversation=talk, role="assistant", **{"content": "Arr"} | values)
    return talk


def post_to(name, turn):
    return f'action="{reverse(name, args=[turn.pk])}"'


def refuses(reason, action):
    if not reason:
        action()
        return
    with pytest.raises(errors.NotAllowedNow) as refused:
        action()
    assert str(refused.value) == reason


@ENDPOINT
def test_asking(page, owner, endpoint):
    talk = talk_with(owner, endpoint)
    reason = policies.why_not_ask(talk.endpoint)
    shown = page(talk)
    assert ('aria-describedby="composer-place"' in shown) is bool(reason)
    refuses(reason, lambda: conversations.ask(talk, key=uuid4(), text="Ahoy"))
    assert Message.objects.count() == (2 if reason else 4)


def test_only_a_ready_endpoint_can_be_asked(owner):
    rows = {state: factories.ready_endpoint(owner=owner, state=state) for state in EndpointState}
    assert {state for state, row in rows.items() if not policies.why_not_ask(row)} == {"READY"}
    assert policies.why_not_ask(None) != ""
    gone = factories.ready_endpoint(owner=owner, state="DELETED", made_here=False)
    assert policies.why_not_ask(gone).startswith("The endpoint of this conversation is no longer in your list.")


def why_not(action, turn):
    """As the service asks: may the endpoint be asked, is an answer being written, does the action fit the turn?"""
    talk = turn.conversation
    reasons = [policies.why_not_ask(talk.endpoint)] if action in ASKS else []
    reasons += [policies.why_not_add_turn(talk.head.state)] if action in NEEDS_REST else []
    return next(filter(None, [*reasons, ACTIONS[action][0](turn)]), "")


@ANSWER
@pytest.mark.parametrize("endpoint", ["READY", "UNDEPLOYED", None])
def test_what_is_done_with_an_answer(page, owner, endpoint, values):
    talk = talk_with(owner, endpoint, **values)
    answer = talk.head
    shown = page(talk)
    addresses = {action: post_to(f"chat-{action}", answer) for action in ("retry", "continue", "branch")}
    assert {action: address in shown for action, address in addresses.items()} == {
        action: not why_not(action, answer) for action in addresses
    }
    change = f'id="change-{answer.pk}"'
    assert (change in shown) is (not why_not("edit answer", answer))


@pytest.mark.parametrize(
    ("asked", "values"), each_once(product(ACTIONS, [False, True]), ANSWERS, and_where=is_whole), ids=name_of
)
def test_the_service_asks_too(owner, asked, values):
    action, is_question = asked
    talk = talk_with(owner, "READY", **values)
    turn = Message.objects.get(pk=talk.head.parent_id if is_question else talk.head.pk)
    refuses(why_not(action, turn), lambda: ACTIONS[action][1](turn))


@pytest.mark.parametrize("siblings", [1, 2])
@pytest.mark.parametrize("is_question", [False, True])
def test_deleting_a_turn(page, owner, siblings, is_question):
    talk = talk_with(owner, "READY")
    answer = talk.head
    if siblings == 2:
        factories.message(conversation=talk, role="assistant", parent=answer.parent, content="Aye")
    turn = answer.parent if is_question else talk.head
    reason = policies.why_not_delete_turn(turn, 1 if is_question else siblings)
    assert (f'id="delete-{turn.pk}"' in page(talk)) is (not reason)
    refuses(reason, lambda: tree.delete(turn))


@pytest.mark.parametrize("rounds", [1, 2])
def test_dropping_what_is_oldest(page, owner, rounds):
    talk = talk_with(owner, "READY")
    for _round in range(rounds - 1):
        factories.message(conversation=talk)
        factories.message(conversation=talk, role="assistant", content="Arr")
    Message.objects.filter(pk=talk.head.pk).update(state="FAILED", error_code="CONTEXT_LENGTH", content="")
    reason = policies.why_not_drop_oldest(tree.Tree(talk).prompt_ids(talk.head.parent_id, talk.sent_from_id))
    assert (post_to("chat-drop-oldest", talk.head) in page(talk)) is (not reason)
    refuses(reason, lambda: context_window.drop_oldest(talk.head, key=uuid4()))


@pytest.mark.parametrize("state", [None, "COMPLETE", "STREAMING"])
def test_sharing(client, owner, state):
    client.force_login(owner)
    talk = talk_with(owner, "READY", state=state) if state else factories.conversation(owner=owner)
    reason = policies.why_not_share(talk.head)
    shown = client.get(reverse("chat-share", args=[talk.pk])).content.decode()
    assert ("Create link" in shown, reason in shown) == (not reason, True)
    refuses(reason, lambda: shared_links.share(talk))

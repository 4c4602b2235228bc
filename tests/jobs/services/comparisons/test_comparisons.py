from typing import Any
from uuid import uuid4

import pytest

from jobs import errors
from jobs.models import Comparison, Conversation, Endpoint, Message, Picture
from jobs.services.chat import conversations, tree
from jobs.services.comparisons import board as comparison_board, comparisons
from jobs.vertex.errors import Refused
from tests.jobs.services.chat.test_tree import served
from tests.support import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def endpoints(fake_gateway):
    return [served(fake_gateway, display_name=name) for name in ("Base", "Tuned")]


@pytest.fixture
def comparison(owner, endpoints):
    return comparisons.create(owner, key=uuid4(), endpoints=endpoints)


def columns(comparison):
    return list(comparison.columns.order_by("column"))


def ask(comparison, text="Ahoy", key=None, pictures=()):
    return comparisons.send(comparison, key=key or uuid4(), text=text, pictures=pictures)


def answered(comparison, text="Ahoy"):
    for answer in ask(comparison, text):
        conversations.answer(answer.pk)
    return comparison_board.load(comparison)


def said(board):
    return [
        [(each.question.content, each.answer.content.strip()) for each in column.rounds] for column in board.columns
    ]


def test_a_form_sent_twice_is_one_comparison(owner, endpoints):
    key = uuid4()
    made = [comparisons.create(owner, key=key, endpoints=endpoints, blind=True) for _ in range(2)]
    assert (made[0], made[0].blind, Conversation.objects.count()) == (made[1], True, 2)
    assert [column.endpoint for column in columns(made[0])] == endpoints


def test_the_key_of_somebody_elses_comparison_is_refused(owner, stranger, endpoints, comparison):
    with pytest.raises(errors.NotAllowedNow, match="Reload the page"):
        comparisons.create(stranger, key=comparison.pk, endpoints=endpoints)


@pytest.mark.parametrize("count", [1, 5])
def test_two_to_four_columns_are_compared(owner, endpoints, count):
    with pytest.raises(errors.NotAllowedNow, match="two to four"):
        comparisons.create(owner, key=uuid4(), endpoints=[endpoints[0]] * count)


def test_columns_are_no_chats_of_their_own(comparison):
    assert (Conversation.objects.for_list().count(), Conversation.objects.count()) == (0, 2)


def test_every_column_is_asked_the_same_and_goes_on(comparison, fake_gateway):
    answered(comparison, "One")
    board = answered(comparison, "Two")
    assert said(board) == [[("One", "One"), ("Two", "Two")]] * 2
    comparison.refresh_from_db()
    assert (board.round, board.can_vote, comparison.title) == (2, True, "One")
    assert [turn["content"] for turn in fake_gateway.chat.requests[-1].messages] == ["One", "One ", "Two"]


def test_a_message_sent_twice_is_asked_once(comparison):
    key = uuid4()
    first, second = ask(comparison, key=key), ask(comparison, key=key)
    assert ({answer.pk for answer in first}, Message.objects.count()) == ({answer.pk for answer in second}, 4)


def test_while_one_column_answers_nothing_more_is_asked(comparison):
    first, _second = ask(comparison)
    conversations.answer(first.pk)
    with pytest.raises(errors.NotAllowedNow, match="still answering"):
        ask(comparison, "More")
    assert Message.objects.count() == 4


def test_an_empty_message_is_refused(comparison):
    with pytest.raises(errors.NotAllowedNow, match="Enter a message"):
        ask(comparison, " \x00 ")


def test_a_column_that_fails_leaves_the_other_running(comparison, fake_gateway):
    fake_gateway.chat.script = [[Refused("Too long.", "CONTEXT_LENGTH")], ["Fine."]]
    board = answered(comparison)
    assert [column.answer.state for column in board.columns] == ["FAILED", "COMPLETE"]
    assert (board.failed_count, board.can_vote) == (1, True)
    board = answered(comparison, "More")
    assert [column.answer.state for column in board.columns] == ["COMPLETE", "COMPLETE"]


@pytest.mark.parametrize(("state", "sentence"), [("UNDEPLOYED", "Tuned is undeployed"), ("DELETED", "was deleted")])
def test_a_column_whose_endpoint_does_not_answer_has_failed_at_once(comparison, endpoints, state, sentence):
    Endpoint.objects.filter(pk=endpoints[1].pk).update(state=state)
    answers = ask(comparison)
    assert [(answer.state, answer.endpoint) for answer in answers] == [("WAITING", endpoints[0]), ("FAILED", None)]
    assert (sentence in answers[1].error_message, columns(comparison)[1].head) == (True, answers[1])


def test_it_is_retried_when_its_endpoint_is_back(comparison, endpoints):
    Endpoint.objects.filter(pk=endpoints[1].pk).update(state="UNDEPLOYED")
    failed = ask(comparison)[1]
    Endpoint.objects.update(state="READY")
    again = tree.regenerate(failed, key=uuid4())
    conversations.answer(again.pk)
    assert said(comparison_board.load(comparison))[1] == [("Ahoy", "Ahoy")]


def test_when_nobody_can_answer_nothing_is_asked(comparison):
    Endpoint.objects.update(state="UNDEPLOYED")
    with pytest.raises(errors.NotAllowedNow, match="None of these endpoints"):
        ask(comparison)
    assert Message.objects.count() == 0


def test_every_column_gets_the_pictures(comparison, fake_gateway):
    factories.publisher_model(data={"modalities": ["text", "image"]})
    picture = factories.picture()
    for answer in ask(comparison, "What is it?", pictures=[picture]):
        conversations.answer(answer.pk)
    sent = [request.messages[-1]["content"][0]["type"] for request in fake_gateway.chat.requests]
    assert (sent, Picture.objects.count(), Picture.objects.filter(message=None).count()) == (["image_url"] * 2, 2, 0)


@pytest.mark.parametrize(
    ("blind", "sentence"), [(False, "gemma-3-270m accepts text only"), (True, "One of these models")]
)
def test_a_picture_that_one_model_cannot_read_is_sent_to_none(comparison, blind, sentence):
    factories.publisher_model(data={"modalities": ["text"]})
    comparisons.set_blind(comparison, blind)
    with pytest.raises(errors.NotAllowedNow, match=sentence):
        ask(comparison, "What is it?", pictures=[factories.picture()])
    assert (Message.objects.count(), Picture.objects.filter(message=None).count()) == (0, 1)


def test_columns_are_added_changed_and_removed_until_the_first_question(comparison, endpoints):
    comparisons.add_column(comparison, endpoints[1])
    first, second, third = columns(comparison)
    comparisons.choose_endpoint(second, endpoints[0])
    comparisons.remove_column(first)
    assert [(column.pk, column.endpoint) for column in columns(comparison)] == [
        (second.pk, endpoints[0]),
        (third.pk, endpoints[1]),
    ]
    with pytest.raises(errors.NotAllowedNow, match="at least two columns"):
        comparisons.remove_column(second)
    for _ in range(2):
        comparisons.add_column(comparison, endpoints[1])
    with pytest.raises(errors.NotAllowedNow, match="at most four columns"):
        comparisons.add_column(comparison, endpoints[1])
    assert [column.column for column in columns(comparison)] == [1, 2, 3, 4]


def test_after_the_first_question_the_columns_stay(comparison, endpoints):
    ask(comparison)
    first = columns(comparison)[0]
    for change in (
        lambda: comparisons.add_column(comparison, endpoints[0]),
        lambda: comparisons.choose_endpoint(first, endpoints[1]),
        lambda: comparisons.remove_column(first),
        lambda: comparisons.set_blind(comparison, True),
    ):
        with pytest.raises(errors.NotAllowedNow, match="has already started"):
            change()


def test_blind_columns_change_places_with_the_first_question(owner, endpoints):
    orders = set()
    for _ in range(40):
        blind = comparisons.create(owner, key=uuid4(), endpoints=endpoints, blind=True)
        assert [column.endpoint for column in columns(blind)] == endpoints
        answered(blind)
        orders.add(tuple(column.endpoint.display_name for column in columns(blind)))
    assert orders == {("Base", "Tuned"), ("Tuned", "Base")}


def test_they_keep_their_places_from_then_on(owner, endpoints):
    blind = comparisons.create(owner, key=uuid4(), endpoints=endpoints * 2, blind=True)
    answered(blind)
    order = columns(blind)
    answered(blind, "More")
    assert columns(blind) == order


def test_parameters_stay_hidden_until_the_vote(comparison):
    comparisons.set_blind(comparison, True)
    column = columns(comparison)[0]
    values: dict[str, Any] = {"system_instruction": "Be brief.", "parameters": {"seed": 1}}
    comparisons.set_options(column, **values)
    ask(comparison)
    with pytest.raises(errors.NotAllowedNow, match="hidden until you vote"):
        comparisons.set_options(column, **values)


def test_each_column_asks_with_its_own_parameters(comparison, fake_gateway):
    for seed, column in enumerate(columns(comparison)):
        comparisons.set_options(column, system_instruction="", parameters={"seed": seed})
    answered(comparison)
    assert [request.parameters for request in fake_gateway.chat.requests] == [{"seed": 0}, {"seed": 1}]


def test_all_are_stopped_at_once(comparison):
    answers = ask(comparison)
    comparisons.stop_all(comparison)
    assert {Message.objects.get(pk=answer.pk).state for answer in answers} == {"STOPPED"}


def test_the_same_can_be_compared_again(comparison):
    comparisons.set_options(columns(comparison)[1], system_instruction="Be brief.", parameters={"seed": 1})
    answered(comparison)
    key = uuid4()
    made = [comparisons.again(comparison, key=key) for _ in range(2)]
    kept = [(each.endpoint, each.system_instruction, each.parameters) for each in columns(made[0])]
    assert kept == [(each.endpoint, each.system_instruction, each.parameters) for each in columns(comparison)]
    assert (made[0], Comparison.objects.count(), comparison_board.load(made[1]).round) == (made[1], 2, 0)


def test_a_deleted_comparison_takes_its_columns_along(comparison):
    answered(comparison)
    comparisons.delete(comparison)
    assert (Conversation.objects.count(), Message.objects.count()) == (0, 0)


def test_the_title_can_be_changed(comparison):
    comparisons.rename(comparison, " Base \n and\x00 tuned ")
    comparison.refresh_from_db()
    assert comparison.title == "Base and tuned"


@pytest.mark.parametrize("count", [2, 4])
def test_a_board_takes_the_same_queries_for_any_number_of_columns(owner, endpoints, django_assert_num_queries, count):
    comparison = comparisons.create(owner, key=uuid4(), endpoints=(endpoints * 2)[:count])
    for _ in range(count):
        answered(comparison)
    with django_assert_num_queries(4):
        comparison_board.load(comparison)

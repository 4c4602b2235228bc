from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs import errors
from jobs.models import Conversation, Endpoint, Message, ShareLink
from jobs.services.chat import branches, conversations, tree
from jobs.vertex.errors import Refused, Unavailable
from jobs.vertex.values import ChatChunk, RemoteDeployedModel, RemoteEndpoint
from tests.support import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def talk(db, fake_gateway):
    return factories.conversation(endpoint=served(fake_gateway), title="")


def served(gateway, **values):
    endpoint = factories.ready_endpoint(**values)
    model = RemoteDeployedModel("4711", "projects/p/locations/l/models/m", "m", 1)
    gateway.deployment.endpoints[endpoint.resource_name] = RemoteEndpoint(
        endpoint.resource_name, endpoint.display_name, {}, "dns", (model,)
    )
    return endpoint


def finished(answer):
    conversations.answer(answer.pk)
    answer.refresh_from_db()
    return answer


def asked(talk, text="Ahoy"):
    return finished(conversations.ask(talk, key=uuid4(), text=text))


def another(answer):
    return finished(tree.regenerate(answer, key=uuid4()))


def shown(talk):
    talk.refresh_from_db()
    return [turn.content.strip() for turn in talk.path()]


def test_another_answer_stands_beside_the_first(talk, fake_gateway):
    fake_gateway.chat.script = [["One."], ["Two."]]
    first = asked(talk)
    second = another(first)
    assert (shown(talk), second.parent_id) == (["Ahoy", "Two."], first.parent_id)
    place = tree.Tree(talk).place(second.pk)
    assert place == tree.Place(number=2, count=2, previous=first.pk, next=None, below=1)


def test_two_clicks_with_one_key_are_one_answer(talk):
    answer, key = asked(talk), uuid4()
    assert tree.regenerate(answer, key=key) == tree.regenerate(answer, key=key)
    assert talk.messages.count() == 3


def test_an_earlier_answer_is_generated_again_on_a_branch_of_its_own(talk, fake_gateway):
    first = asked(talk, "First")
    asked(talk, "Second")
    another(first)
    assert shown(talk) == ["First", "First"]
    assert fake_gateway.chat.requests[-1].messages == [{"role": "user", "content": "First"}]


def test_an_answer_that_failed_without_a_word_is_replaced(talk, fake_gateway):
    fake_gateway.chat.script = [[Unavailable("Down.")]]
    another(asked(talk))
    assert [(turn.ordinal, turn.state) for turn in talk.messages.all()] == [(1, "COMPLETE"), (2, "COMPLETE")]


def test_an_answer_that_broke_off_stays_beside_its_retry(talk, fake_gateway):
    fake_gateway.chat.script = [["Half", Unavailable("Down.")]]
    another(asked(talk))
    assert [turn.state for turn in talk.messages.all()] == ["COMPLETE", "INTERRUPTED", "COMPLETE"]


@pytest.mark.parametrize("state", ["DEPLOYING", "UNDEPLOYED"])
def test_only_a_ready_endpoint_answers_again(talk, state):
    answer = asked(talk)
    type(talk.endpoint).objects.update(state=state)
    with pytest.raises(errors.NotAllowedNow, match="Send your message when it's ready"):
        tree.regenerate(answer, key=uuid4())


def test_while_one_is_written_no_other_is_begun(talk):
    first = asked(talk)
    tree.regenerate(first, key=uuid4())
    with pytest.raises(errors.NotAllowedNow, match="still answering"):
        tree.regenerate(first, key=uuid4())


def test_a_question_is_no_answer(talk):
    answer = asked(talk)
    for wrong in (lambda: another(answer.parent), lambda: tree.edit(answer, key=uuid4(), text="x")):
        with pytest.raises(errors.NotAllowedNow):
            wrong()


def test_an_edited_question_is_a_sibling_with_its_pictures(talk):
    first = asked(talk, "Frist")
    picture = factories.picture(message=first.parent, alt="A cat")
    answer = finished(tree.edit(first.parent, key=uuid4(), text=" First\x00 "))
    assert shown(talk)[0] == "First"
    (copied,) = answer.parent.attachments
    assert (copied.pk == picture.pk, copied.sha256, copied.alt) == (False, picture.sha256, "A cat")
    assert first.parent.pictures.get() == picture


def test_an_empty_question_is_refused(talk):
    answer = asked(talk)
    with pytest.raises(errors.NotAllowedNow, match="Enter a message"):
        tree.edit(answer.parent, key=uuid4(), text=" \n")


def test_showing_a_sibling_shows_the_branch_written_last_below_it(talk):
    first = asked(talk, "First")
    asked(talk, "Second")
    tree.show(first)
    another(first)
    tree.show(first)
    assert shown(talk) == ["First", "First", "Second", "Second"]


def test_the_branch_shown_is_what_the_model_reads(talk, fake_gateway):
    fake_gateway.chat.script = [["One."], ["Two."]]
    first = asked(talk)
    another(first)
    tree.show(first)
    talk.refresh_from_db()
    asked(talk, "And?")
    assert [turn["content"] for turn in fake_gateway.chat.requests[-1].messages] == ["Ahoy", "One.", "And?"]


def test_a_deleted_question_takes_what_follows_along(talk):
    asked(talk, "First")
    second = asked(talk, "Second")
    asked(talk, "Third")
    assert tree.Tree(talk).place(second.parent_id).below == 4
    tree.delete(second.parent)
    assert (shown(talk), talk.messages.count()) == (["First", "First"], 2)


def test_after_a_deleted_version_its_neighbour_is_shown(talk):
    first = asked(talk, "First")
    edited = finished(tree.edit(first.parent, key=uuid4(), text="Edited"))
    tree.delete(edited.parent)
    assert shown(talk) == ["First", "First"]


def test_the_first_question_can_be_deleted(talk):
    tree.delete(asked(talk).parent)
    assert shown(talk) == []
    assert shown(asked(talk, "Anew").conversation) == ["Anew", "Anew"]


def test_another_branch_that_is_shown_stays_shown(talk):
    first = asked(talk)
    second = another(first)
    tree.delete(first)
    talk.refresh_from_db()
    assert (talk.head, talk.messages.count()) == (second, 2)


def test_an_only_answer_is_not_deleted_alone(talk):
    with pytest.raises(errors.NotAllowedNow):
        tree.delete(asked(talk))


def test_deleting_twice_is_deleting_once(talk):
    question = asked(talk).parent
    tree.delete(question)
    assert tree.delete(question) == talk


def test_a_deep_branch_is_deleted_in_a_few_queries(talk):
    for _ in range(200):
        factories.message(conversation=talk)
    with CaptureQueriesContext(connection) as queries:
        tree.delete(talk.messages.first())
    assert (talk.messages.count(), len(queries) < 20) == (0, True)


def test_deleting_stops_an_answer_that_is_written(talk, fake_gateway):
    answer = conversations.ask(talk, key=uuid4(), text="Ahoy")
    fake_gateway.during("chat._open", lambda: tree.delete(answer.parent))
    conversations.answer(answer.pk)
    assert Message.objects.count() == 0


LIMITED = ChatChunk(finish_reason="length", usage={"prompt_tokens": 5, "completion_tokens": 2})
ENDED = ChatChunk(finish_reason="stop", usage={"prompt_tokens": 7, "completion_tokens": 3})


def cut_off(talk, fake_gateway, *then):
    fake_gateway.chat.script = [["The sea ", LIMITED], *then]
    return asked(talk)


def test_a_continued_answer_is_one_answer(talk, fake_gateway):
    old = cut_off(talk, fake_gateway, [" is wide.", ENDED])
    new = finished(tree.go_on(old, key=uuid4()))
    assert (new.content, new.html, new.finish_reason) == ("The sea is wide.", "<p>The sea is wide.</p>\n", "stop")
    assert (new.usage, new.timings["requests"]) == ({"prompt_tokens": 12, "completion_tokens": 5}, 2)
    assert (shown(talk), talk.messages.count()) == (["Ahoy", "The sea is wide."], 2)


def test_a_continuation_begins_the_turn_of_the_model(talk, fake_gateway):
    conversations.set_options(talk, system_instruction="", parameters={"max_tokens": 2})
    finished(tree.go_on(cut_off(talk, fake_gateway), key=uuid4()))
    sent = fake_gateway.chat.requests[-1]
    assert sent.messages[-1] == {"role": "assistant", "content": "The sea"}
    assert sent.parameters == {"max_tokens": 2, "add_generation_prompt": False, "continue_final_message": True}


def test_a_server_that_begins_no_turn_is_asked_to_continue(talk, fake_gateway):
    old = cut_off(talk, fake_gateway, [Refused("No.", "INVALID_ARGUMENT")], ["is wide.", ENDED])
    assert finished(tree.go_on(old, key=uuid4())).content == "The sea is wide."
    assert [turn["role"] for turn in fake_gateway.chat.requests[-1].messages] == ["user", "assistant", "user"]


@pytest.mark.parametrize("error", [Unavailable("Down."), Refused("No.", "INVALID_ARGUMENT"), KeyError("odd")])
def test_a_continuation_that_fails_loses_nothing(talk, fake_gateway, error):
    new = finished(tree.go_on(cut_off(talk, fake_gateway, [error], [error]), key=uuid4()))
    assert (new.state, new.content.strip()) == ("INTERRUPTED", "The sea")


def test_a_continuation_stopped_before_it_began_loses_nothing(talk, fake_gateway):
    new = tree.go_on(cut_off(talk, fake_gateway), key=uuid4())
    conversations.request_stop(new)
    assert (new.state, new.content, new.html) == ("STOPPED", "The sea", "<p>The sea</p>\n")


def test_what_was_said_after_it_keeps_the_answer_that_is_continued(talk, fake_gateway):
    old = cut_off(talk, fake_gateway)
    asked(talk, "And?")
    finished(tree.go_on(old, key=uuid4()))
    assert talk.messages.filter(parent=old.parent).count() == 2


def test_a_link_keeps_the_answer_that_is_continued(talk, fake_gateway):
    old = cut_off(talk, fake_gateway)
    ShareLink.objects.create(conversation=talk, head=old, token_hash="0")
    finished(tree.go_on(old, key=uuid4()))
    assert ShareLink.objects.get().head == old


@pytest.mark.parametrize(("state", "reason"), [("COMPLETE", "stop"), ("FAILED", ""), ("STREAMING", "")])
def test_only_what_was_cut_off_is_continued(talk, state, reason):
    answer = factories.message(conversation=talk, role="assistant", state=state, finish_reason=reason)
    assert answer.is_cut_off is False


def test_two_clicks_on_continue_are_one_answer(talk, fake_gateway):
    old, key = cut_off(talk, fake_gateway), uuid4()
    assert tree.go_on(old, key=key) == tree.go_on(old, key=key)


def test_an_answer_says_which_endpoint_it_came_from(talk, fake_gateway):
    first = asked(talk)
    conversations.choose_endpoint(talk, served(fake_gateway, display_name="Captain"))
    second = another(first)
    assert [first.answered_by, second.answered_by] == ["My endpoint (gemma-3-270m)", "Captain (gemma-3-270m)"]
    assert second.endpoint == talk.endpoint


def test_a_branch_goes_on_elsewhere(talk):
    first = asked(talk, "First")
    picture = factories.picture(message=first.parent)
    asked(talk, "Second")
    key = uuid4()
    copy = branches.branch_off(first, key=key)
    assert (shown(copy), copy.title, copy.endpoint) == (["First", "First"], "First (branch)", talk.endpoint)
    assert (copy.messages.first().attachments[0].sha256, picture.message) == (picture.sha256, first.parent)
    assert branches.branch_off(first, key=key) == copy
    assert Conversation.objects.count() == 2


def test_copied_answers_are_no_requests(talk):
    copy = branches.branch_off(asked(talk), key=uuid4())
    answer = copy.messages.last()
    assert (answer.endpoint, answer.answered_by) == (None, "My endpoint (gemma-3-270m)")


def test_no_branch_begins_with_an_answer_that_is_written(talk):
    with pytest.raises(errors.NotAllowedNow):
        branches.branch_off(conversations.ask(talk, key=uuid4(), text="Ahoy"), key=uuid4())


def by_hand(answer, text="Arr, matey!", **values):
    return tree.edit_answer(answer, key=uuid4(), text=text, **values)


def test_an_edited_answer_is_what_the_model_is_told_from_then_on(talk, fake_gateway):
    first = asked(talk)
    edited = by_hand(first)
    assert (edited.state, edited.is_edited, edited.html) == ("COMPLETE", True, "<p>Arr, matey!</p>\n")
    talk.refresh_from_db()
    asked(talk, "And then?")
    assert [turn["content"] for turn in fake_gateway.chat.requests[-1].messages] == ["Ahoy", "Arr, matey!", "And then?"]
    assert tree.Tree(talk).place(edited.pk).previous == first.pk


def test_an_edited_answer_is_no_request(talk):
    edited = by_hand(asked(talk))
    assert (edited.endpoint, edited.usage, edited.timings, edited.parameters) == (None, {}, {}, {})
    assert edited.answered_by == "My endpoint (gemma-3-270m)"


def test_an_answer_is_edited_where_its_endpoint_is_gone(talk):
    answer = asked(talk)
    Endpoint.objects.update(state="DELETED")
    assert by_hand(answer).content == "Arr, matey!"
    with pytest.raises(errors.NotAllowedNow, match="Start a new chat"):
        by_hand(answer, continues=True)


def test_two_clicks_keep_one_edited_answer(talk):
    answer, key = asked(talk), uuid4()
    first, second = (tree.edit_answer(answer, key=key, text="Arr") for _ in range(2))
    assert (first, talk.messages.count()) == (second, 3)


def test_what_was_not_changed_makes_no_version(talk):
    answer = asked(talk)
    assert (by_hand(answer, f"\n{answer.content}\n"), talk.messages.count()) == (answer, 2)


@pytest.mark.parametrize("text", ["", " \n", "\x00"])
def test_an_answer_needs_a_text(talk, text):
    with pytest.raises(errors.NotAllowedNow, match="Enter an answer"):
        by_hand(asked(talk), text)


def test_a_question_is_not_edited_as_an_answer_is(talk):
    with pytest.raises(errors.NotAllowedNow, match="Only an answer"):
        by_hand(asked(talk).parent)


def test_nothing_is_edited_while_the_model_answers(talk):
    answer = asked(talk)
    conversations.ask(talk, key=uuid4(), text="And then?")
    with pytest.raises(errors.NotAllowedNow, match="still answering"):
        by_hand(answer)


def test_the_model_goes_on_from_an_edited_answer_with_the_figures_of_its_own_request(talk, fake_gateway):
    fake_gateway.chat.script = [["Aye."], [" the sea", ENDED]]
    new = finished(by_hand(asked(talk), "I sail", continues=True))
    assert (new.content, new.is_edited, new.usage) == ("I sail the sea", True, ENDED.usage)
    assert sorted(new.timings) == ["first_token", "total"]
    assert fake_gateway.chat.requests[-1].messages[-1] == {"role": "assistant", "content": "I sail"}


def test_an_edited_answer_that_was_cut_off_is_continued_as_one(talk, fake_gateway):
    fake_gateway.chat.script = [["Aye."], [" the", LIMITED], [" sea.", ENDED]]
    limited = finished(by_hand(asked(talk), "I sail", continues=True))
    new = finished(tree.go_on(limited, key=uuid4()))
    assert (new.content, new.is_edited, new.timings["requests"]) == ("I sail the sea.", True, 2)
    assert new.usage == {"prompt_tokens": 12, "completion_tokens": 5}


def test_what_was_written_stays_when_the_model_cannot_go_on(talk, fake_gateway):
    fake_gateway.chat.script = [["Aye."], [Unavailable("Down.")]]
    new = finished(by_hand(asked(talk), "I sail", continues=True))
    assert (new.content, new.state, new.is_edited) == ("I sail", "INTERRUPTED", True)


def test_a_new_chat_keeps_who_wrote_an_answer(talk):
    copy = branches.branch_off(by_hand(asked(talk)), key=uuid4())
    assert [turn.is_edited for turn in copy.path()] == [False, True]

"""Figures, waits, and the words for what stands in the way."""

import re

import pytest

from console.templatetags.chat_figures import estimate, figures, filled
from console.templatetags.chat_words import AFTER_FAILURE, PLACES, WAITS
from jobs.models import Conversation
from jobs.states import EndpointState
from tests import factories

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}
COUNTED = {"prompt_tokens": 30, "completion_tokens": 11}


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


def words(response):
    return " ".join(response.content.decode().split())


def answered(talk=None, **values):
    talk = talk or factories.conversation()
    factories.message(conversation=talk, content="x" * 20)
    return factories.message(conversation=talk, **{"role": "assistant", "content": "y" * 40} | values)


def test_counted_figures_are_shown_as_they_are():
    shown = figures(answered(usage=COUNTED, timings={"first_token": 0.5, "total": 1.5}))
    assert (shown.tokens_in, shown.tokens_out, shown.pace, shown.is_estimate) == (30, 11, 10.0, False)


def test_without_a_count_the_answer_is_estimated_and_the_question_is_not(visitor):
    answer = answered(state="STOPPED", timings={"first_token": 0.5, "total": 1.5})
    shown = figures(answer)
    assert (shown.tokens_in, shown.tokens_out, shown.pace, shown.is_estimate) == (None, 10, 9.0, True)
    text = words(visitor.get(f"/studio/chat/turns/{answer.pk}/"))
    assert ("≈ 9.0 tokens/s" in text, "≈ 10 tokens out" in text, "tokens in" in text) == (True, True, False)


def test_an_answer_without_text_has_no_figures():
    shown = figures(answered(state="FAILED", content=""))
    assert (shown.tokens_out, shown.pace, shown.is_estimate, shown.end) == (None, None, False, "")


@pytest.mark.parametrize("timings", [{}, {"total": 1.0}, {"first_token": 1.0, "total": 1.0}])
def test_a_pace_needs_time_that_was_measured(timings):
    assert figures(answered(usage=COUNTED, timings=timings)).pace is None


def test_the_shortest_text_is_a_token():
    assert [estimate(text) for text in ("a", "abcdefgh")] == [1, 2]


def window(answer, size=100, turns=None):
    talk = answer.conversation
    return filled(talk, talk.path() if turns is None else turns, answer, size)


@pytest.mark.parametrize("turns", [None, ""])
def test_the_window_is_filled_by_the_count_of_the_last_answer(turns):
    found = window(answered(usage=COUNTED), turns=turns)
    assert (found.used, found.percent, found.is_estimate, found.is_nearly_full) == (41, 41, False, False)


@pytest.mark.parametrize("turns", [None, ""])
def test_without_a_count_by_the_length_of_all_that_was_said(turns):
    talk = factories.conversation(system_instruction="z" * 20)
    found = window(answered(talk, state="STOPPED"), turns=turns)
    assert (found.used, found.is_estimate) == (20, True)


def test_an_answer_that_is_being_written_does_not_count():
    talk = answered(usage=COUNTED).conversation
    answered(talk, state="STREAMING")
    talk.refresh_from_db()
    assert window(talk.head).used == 41


def test_a_window_that_is_nearly_full_says_so(visitor):
    factories.publisher_model(data={"context_tokens": 45})
    talk = answered(usage=COUNTED).conversation
    text = words(visitor.get(f"/studio/chat/{talk.pk}/"))
    assert ("41 of 45 tokens (91 %)" in text, "Nearly full: start a new chat soon." in text) == (True, True)
    assert '<meter min="0" max="45" high="40" optimum="0" value="41"' in text


def test_more_than_full_is_full():
    assert window(answered(usage=COUNTED), size=10).percent == 100


def test_a_window_of_unknown_size_says_so(visitor):
    talk = answered(usage=COUNTED).conversation
    text = words(visitor.get(f"/studio/chat/{talk.pk}/"))
    assert ("41 tokens; the size of the model's context window is unknown" in text, "<meter" in text) == (True, False)


def test_large_numbers_are_grouped(visitor):
    factories.publisher_model(data={"context_tokens": 131072})
    answer = answered(usage={"prompt_tokens": 1200, "completion_tokens": 4})
    assert "1,204 of 131,072 tokens (1 %)" in words(visitor.get(f"/studio/chat/turns/{answer.pk}/"))


@pytest.mark.parametrize(("state", "kind"), [("WAITING", "worker"), ("STREAMING", "first_token")])
def test_a_live_turn_says_what_it_waits_for(visitor, state, kind):
    answer = answered(state=state, content="")
    for address in (f"/studio/chat/{answer.conversation_id}/", f"/studio/chat/turns/{answer.pk}/waiting/"):
        text = words(visitor.get(address))
        assert re.findall(r'<span class="waiting">(.*?) ·', text) == [str(WAITS[kind])]


def test_one_that_has_text_waits_for_nothing(visitor):
    text = words(visitor.get(f"/studio/chat/turns/{answered(state='STREAMING').pk}/waiting/"))
    assert ("Generating…" in text, "hx-get" in text) == (True, False)


def test_one_that_has_ended_is_told_nothing(visitor, team_mate):
    theirs = answered(factories.conversation(owner=team_mate), state="WAITING")
    found = [visitor.get(f"/studio/chat/turns/{turn.pk}/waiting/").status_code for turn in (answered(), theirs)]
    assert found == [204, 404]


STEPS = {
    "view": "/endpoints/{endpoint}/",
    "other": "/studio/chat/",
    "question": "/studio/chat/?endpoint={endpoint}&amp;question={question}",
    "settings": "#settings",
}


@pytest.mark.parametrize("code", AFTER_FAILURE)
def test_a_refusal_has_its_next_step(visitor, code):
    answer = answered(state="FAILED", error_code=code, error_message="No.")
    kind, label = AFTER_FAILURE[code]
    expected = STEPS[kind].format(endpoint=answer.conversation.endpoint_id, question=answer.parent_id)
    link = f'<a class="btn text" href="{expected}">{label}</a>'.replace("'", "&#x27;")
    assert link in words(visitor.get(f"/studio/chat/turns/{answer.pk}/"))


@pytest.mark.parametrize("code", ["", "UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL"])
def test_what_may_pass_is_tried_again(visitor, code):
    answer = answered(state="FAILED", error_code=code, error_message="No.")
    text = words(visitor.get(f"/studio/chat/turns/{answer.pk}/"))
    assert (f"/studio/chat/turns/{answer.pk}/retry/" in text, 'class="btn text" href' in text) == (True, False)


def test_the_last_question_is_taken_over_into_a_new_chat(visitor, team_mate):
    talk = answered().conversation
    question = talk.messages.first()
    text = words(visitor.get(f"/studio/chat/?endpoint={talk.endpoint_id}&question={question.pk}"))
    assert (f">{'x' * 20}</textarea>" in text, f'value="{talk.endpoint_id}" selected' in text) == (True, True)


def test_another_person_s_question_and_nonsense_are_not(visitor, team_mate):
    theirs = answered(factories.conversation(owner=team_mate)).conversation.messages.first()
    factories.ready_endpoint()
    for question in (theirs.pk, "nonsense", ""):
        assert "></textarea>" in words(visitor.get(f"/studio/chat/?question={question}"))


@pytest.mark.parametrize("state", [state for state in EndpointState if state != EndpointState.READY])
def test_an_endpoint_that_does_not_answer_says_why_and_what_to_do(visitor, state):
    talk = factories.conversation(endpoint=factories.endpoint(state=state, display_name="Captain"))
    text, kind, label = PLACES[state]
    expected = STEPS[kind].format(endpoint=talk.endpoint_id)
    found = words(visitor.get(f"/studio/chat/{talk.pk}/"))
    assert (str(text) % {"name": "Captain"} in found, f'href="{expected}">{label}</a>' in found) == (True, True)
    assert '<textarea name="text"' not in found


def test_a_chat_whose_endpoint_is_gone_can_go_on_elsewhere(visitor):
    talk = answered().conversation
    Conversation.objects.update(endpoint=None)
    text = words(visitor.get(f"/studio/chat/{talk.pk}/"))
    assert 'href="/studio/chat/">Chat with another endpoint</a>' in text

"""Figures, waits, and the words for what stands in the way."""

import re
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.html import escape

from console.templatetags.chat_figures import context_usage, estimate, figures
from console.templatetags.chat_words import AFTER_FAILURE, PLACES, WAITS
from jobs.models import Endpoint, Message
from jobs.states import EndpointState
from tests.support import factories
from tests.support.markup import tight

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
    assert ("≈ 9.0 tokens/s" in text, "≈ 10 tokens out" in text, "tokens in unknown" in text) == (True, True, True)


def test_an_answer_without_text_has_no_figures():
    shown = figures(answered(state="FAILED", content=""))
    assert (shown.tokens_out, shown.pace, shown.is_estimate, shown.end) == (None, None, False, "")


@pytest.mark.parametrize("timings", [{}, {"total": 1.0}, {"first_token": 1.0, "total": 1.04}])
def test_a_pace_needs_time_that_was_measured(timings):
    assert figures(answered(usage=COUNTED, timings=timings)).pace is None


def test_the_shortest_text_is_a_token():
    assert [estimate(text) for text in ("a", "abcdefgh")] == [1, 2]


def window(answer, size=100, turns=None):
    talk = answer.conversation
    return context_usage(talk, talk.path() if turns is None else turns, answer, size)


@pytest.mark.parametrize("turns", [None, ""])
def test_the_window_is_filled_by_the_count_of_the_last_answer(turns):
    found = window(answered(usage=COUNTED), turns=turns)
    assert (found.used, found.percent, found.is_estimate, found.is_nearly_full) == (41, 41, False, False)


@pytest.mark.parametrize("turns", [None, ""])
def test_without_a_count_by_the_length_of_all_that_was_said(turns):
    talk = factories.conversation(system_instruction="z" * 20)
    found = window(answered(talk, state="STOPPED"), turns=turns)
    assert (found.used, found.is_estimate) == (20, True)


@pytest.mark.parametrize(("instruction", "used"), [("", 0), ("z" * 20, 5)])
def test_before_the_first_answer_by_the_length_of_what_will_be_said(instruction, used):
    found = context_usage(factories.conversation(system_instruction=instruction), [], None, 100)
    assert (found.used, found.is_estimate) == (used, bool(used))


def test_an_answer_that_is_being_written_does_not_count():
    talk = answered(usage=COUNTED).conversation
    answered(talk, state="STREAMING")
    talk.refresh_from_db()
    assert window(talk.head).used == 41


def test_a_window_that_is_nearly_full_says_so(visitor):
    factories.publisher_model(data={"context_tokens": 45})
    talk = answered(usage=COUNTED).conversation
    text = words(visitor.get(f"/studio/chat/{talk.pk}/"))
    assert ("41 of 45 tokens (91%)" in text, "Nearly full: start a new chat soon." in text) == (True, True)
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
    assert "1,204 of 131,072 tokens (1%)" in words(visitor.get(f"/studio/chat/turns/{answer.pk}/"))


@pytest.mark.parametrize(("state", "kind"), [("WAITING", "worker"), ("STREAMING", "first_token")])
def test_a_live_turn_says_what_it_waits_for(visitor, state, kind):
    answer = answered(state=state, content="")
    for address in (f"/studio/chat/{answer.conversation_id}/", f"/studio/chat/turns/{answer.pk}/waiting/"):
        text = words(visitor.get(address))
        assert re.findall(r'<span class="waiting">(.*?) ·', tight(text)) == [str(WAITS[kind])]


def test_one_that_has_text_waits_for_nothing(visitor):
    answer = answered(state="STREAMING")
    Message.objects.filter(pk=answer.pk).update(updated_at=timezone.now() - timedelta(seconds=7))
    text = words(visitor.get(f"/studio/chat/turns/{answer.pk}/waiting/"))
    assert re.sub("<.*?>", "", text).strip() == "Generating… · ≈ 10 tokens · 7 s"


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


@pytest.mark.parametrize("code", [code for code in AFTER_FAILURE if code != "QUOTA"])
def test_a_refusal_has_its_next_step(visitor, code):
    answer = answered(state="FAILED", error_code=code, error_message="No.")
    kind, label = AFTER_FAILURE[code]
    expected = STEPS[kind].format(endpoint=answer.conversation.endpoint_id, question=answer.parent_id)
    link = f'<a class="btn text" href="{expected}">{label}</a>'.replace("'", "&#x27;")
    assert link in words(visitor.get(f"/studio/chat/turns/{answer.pk}/"))


@pytest.mark.parametrize(
    ("address", "link"),
    [
        ("", 'href="https://console.cloud.google.com/iam-admin/quotas?project=garden-local">View the project&#x27;s'),
        ("http://127.0.0.1:1", 'href="/endpoints/{endpoint}/">View endpoint</a>'),
    ],
)
def test_a_quota_is_raised_at_google(visitor, settings, address, link):
    settings.VERTEX_API_ENDPOINT = address
    answer = answered(state="FAILED", error_code="QUOTA", error_message="No.")
    expected = link.format(endpoint=answer.conversation.endpoint_id)
    assert expected in words(visitor.get(f"/studio/chat/turns/{answer.pk}/"))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"content": ""}, "The model returned an empty answer."),
        ({"finish_reason": "content_filter"}, "The content filter stopped this answer."),
    ],
)
def test_an_answer_that_ended_oddly_says_so_and_offers_the_question(visitor, values, sentence):
    answer = answered(**values)
    text = words(visitor.get(f"/studio/chat/turns/{answer.pk}/"))
    link = f'href="/studio/chat/turns/{answer.parent_id}/edit/">Edit the question</a>'
    assert (sentence in text, link in text) == (True, True)


@pytest.mark.parametrize(("content", "offered"), [("Half", ["continue", "retry"]), ("", ["retry"])])
def test_a_cut_off_answer_keeps_its_text_and_can_be_tried_again(visitor, content, offered):
    answer = answered(state="INTERRUPTED", content=content, html=content)
    text = words(visitor.get(f"/studio/chat/turns/{answer.pk}/"))
    actions = text.partition('<div class="actions">')[2].partition("</div>")[0]
    assert re.findall(r'action="/studio/chat/turns/[^/]+/(\w+)/"', actions) == offered
    assert ("The answer was cut off" in text, f'<div class="md" hx-ignore>{content}</div>' in text) == (True, True)


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
    assert (escape(str(text) % {"name": "Captain"}) in found, f'href="{expected}">{label}</a>' in found) == (True, True)
    send = 'data-composer-target="send" aria-disabled="true"'
    assert ('<textarea name="text"' in found, send in found) == (True, True)


@pytest.mark.parametrize("has_others", [True, False])
def test_a_place_that_is_lost_names_another_one_if_there_is_one(visitor, has_others):
    talk = factories.conversation(endpoint=factories.endpoint(state="DELETING"))
    if has_others:
        factories.ready_endpoint()
    text = words(visitor.get(f"/studio/chat/{talk.pk}/"))
    elsewhere, anew = 'href="#chat-endpoint">Choose another endpoint</a>', 'href="/studio/chat/">Chat with another'
    assert (elsewhere in text, anew in text, '<select name="endpoint" id="chat-endpoint"' in text) == (
        has_others,
        not has_others,
        True,
    )


def test_what_is_sent_to_an_endpoint_that_went_is_kept_and_the_page_says_where_it_stands(visitor):
    talk = factories.conversation(endpoint=factories.endpoint(state="UNDEPLOYED", display_name="Captain"))
    response = visitor.post(f"/studio/chat/{talk.pk}/send/", {"key": uuid.uuid4(), "text": "Ahoy"}, **HTMX)
    text = words(response)
    assert (response.status_code, '<hx-partial hx-target="#composer-place"' in text) == (422, True)
    assert ("Send your message when it&#x27;s ready" in text, "Deploy it again" in text) == (True, True)


def test_a_place_is_looked_at_again_when_the_endpoint_changes(visitor):
    endpoint = factories.endpoint(display_name="Captain")
    talk = factories.conversation(endpoint=endpoint)
    before = words(visitor.get(f"/studio/chat/{talk.pk}/", **HTMX))
    endpoint.state = EndpointState.READY
    endpoint.save()
    after = words(visitor.get(f"/studio/chat/{talk.pk}/", **HTMX))
    place = re.compile(r'<hx-partial hx-target="#composer-place" hx-swap="innerMorph">(.*?)</hx-partial>')
    assert (f"endpoint-{endpoint.pk} from:body" in place.search(before)[1], place.search(after)[1]) == (
        True,
        "<span></span> ",
    )
    assert ('aria-disabled="true"' in before, "Captain is still being deployed" in before) == (True, True)
    assert 'aria-disabled="true"' not in after


@pytest.mark.parametrize(
    ("states", "title", "link"),
    [
        ([], "Nothing is deployed yet", "/model-garden/?feature=deploy"),
        (["UNDEPLOYED", "FAILED"], "No endpoint is ready", "/endpoints/"),
        (["UNDEPLOYED", "DEPLOYING"], "Captain is being deployed", "/endpoints/{endpoint}/"),
        (["DELETED"], "Nothing is deployed yet", "/model-garden/?feature=deploy"),
    ],
)
def test_without_a_ready_endpoint_a_new_chat_says_what_there_is_and_opens_by_itself(visitor, states, title, link):
    made = [factories.endpoint(state=state, display_name="Captain") for state in states]
    text = words(visitor.get("/studio/chat/"))
    step = f'<a class="btn filled" href="{link.format(endpoint=made[-1].pk if made else "")}">'
    assert (title in text, step in text) == (True, True)
    assert 'id="chat-begin" hx-get="/studio/chat/" hx-select="#chat-begin"' in text


def test_a_worker_that_is_long_in_coming_can_be_looked_for(visitor):
    answer = answered(state="WAITING", content="")
    found = []
    for age in (3, 20):
        Message.objects.filter(pk=answer.pk).update(created_at=timezone.now() - timedelta(seconds=age))
        found.append('href="/settings/"' in words(visitor.get(f"/studio/chat/turns/{answer.pk}/waiting/")))
    assert found == [False, True]


def test_a_chat_whose_endpoint_is_gone_can_go_on_elsewhere(visitor):
    talk = answered().conversation
    Endpoint.objects.all().delete()
    text = words(visitor.get(f"/studio/chat/{talk.pk}/"))
    assert 'href="/studio/chat/">Chat with another endpoint</a>' in text


def test_a_chat_whose_endpoint_left_the_list_says_so(visitor):
    """It was not deleted."""
    talk = answered().conversation
    Endpoint.objects.update(state="DELETED", made_here=False)
    text = words(visitor.get(f"/studio/chat/{talk.pk}/"))
    assert ("is no longer in your list. You can continue the chat" in text, "was deleted" in text) == (True, False)

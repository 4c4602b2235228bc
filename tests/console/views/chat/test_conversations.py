import gzip
import re
import uuid

import pytest

from jobs.models import Conversation, Message
from tests.support import factories

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


def words(response):
    return " ".join(response.content.decode().split())


def url(talk, rest=""):
    return f"/studio/chat/{talk.pk}/{rest}"


def turn_url(message, rest=""):
    return f"/studio/chat/turns/{message.pk}/{rest}"


def send(visitor, talk, text="Ahoy", key=None, **headers):
    return visitor.post(url(talk, "send/"), {"key": key or str(uuid.uuid4()), "text": text}, **headers)


def answered(talk=None, **values):
    """A conversation whose last turn is an answer."""
    talk = talk or factories.conversation()
    factories.message(conversation=talk)
    return factories.message(
        conversation=talk, **{"role": "assistant", "html": "<p>Arr</p>", "content": "Arr", **values}
    )


def test_without_an_endpoint_the_page_says_what_to_do(visitor):
    text = words(visitor.get("/studio/chat/"))
    assert ("Nothing is deployed yet" in text, "Go to Model Garden" in text) == (True, True)


def test_the_picker_offers_what_is_ready_and_mine(visitor, team_mate):
    factories.ready_endpoint(owner=team_mate, display_name="Theirs")
    factories.endpoint(display_name="Not yet")
    first, second = factories.ready_endpoint(display_name="A"), factories.ready_endpoint(display_name="B")
    text = words(visitor.get(f"/studio/chat/?endpoint={first.pk}"))
    assert re.findall(r'<option value="([^"]+)"', text) == [str(second.pk), str(first.pk)]
    assert f'<option value="{first.pk}" selected>A (gemma-3-270m)</option>' in text


def test_a_chat_is_set_up_before_its_first_message(visitor, owner):
    endpoint = factories.ready_endpoint()
    picture = factories.picture(box="new")
    response = first_message(visitor, endpoint.pk, "Half a thought", **{"set-up": "yes"})
    talk = Conversation.objects.get()
    assert (response.status_code, response.url) == (303, url(talk))
    assert (talk.endpoint, talk.draft, talk.messages.count()) == (endpoint, "Half a thought", 0)
    text = words(visitor.get(url(talk)))
    assert ("Half a thought</textarea>" in text, f'value="{picture.pk}"' in text) == (True, True)


def test_a_chat_that_was_only_set_up_is_in_no_list(visitor, owner):
    bare, begun = (factories.conversation(title="", draft=text) for text in ("", "Half a thought"))
    text = words(visitor.get("/studio/chat/chats/"))
    assert (str(bare.pk) in text, str(begun.pk) in text) == (False, True)


def first_message(visitor, endpoint_id, text="Who are you?", key=None, **more):
    data = {"key": key or str(uuid.uuid4()), "endpoint": endpoint_id, "text": text} | more
    return visitor.post("/studio/chat/", data)


def test_the_first_message_starts_a_chat(visitor):
    endpoint = factories.ready_endpoint()
    response = first_message(visitor, endpoint.pk)
    talk = Conversation.objects.get()
    assert (response.status_code, response.url, talk.endpoint, talk.title) == (303, url(talk), endpoint, "Who are you?")
    assert [(turn.role, turn.state) for turn in talk.messages.all()] == [("user", "COMPLETE"), ("assistant", "WAITING")]


def test_the_same_first_message_twice_is_one_chat(visitor):
    endpoint, key = factories.ready_endpoint(), str(uuid.uuid4())
    assert first_message(visitor, endpoint.pk, key=key).url == first_message(visitor, endpoint.pk, key=key).url
    assert Conversation.objects.count() == 1


def test_an_endpoint_that_is_gone_keeps_the_text(visitor):
    factories.ready_endpoint()
    gone = factories.endpoint(state="UNDEPLOYED")
    response = first_message(visitor, gone.pk, "A long letter")
    assert (response.status_code, Conversation.objects.count()) == (422, 0)
    assert ("is no longer available" in words(response), "A long letter" in words(response)) == (True, True)


def test_a_message_is_answered_by_new_turns_and_a_stop_button(visitor):
    talk = factories.conversation()
    response = send(visitor, talk, "What <b>now</b>?", **HTMX)
    answer = talk.messages.last()
    text = words(response)
    assert "What &lt;b&gt;now&lt;/b&gt;?" in text
    assert f'id="turn-{answer.pk}" aria-busy="true"' in text
    assert f'hx-sse:connect="/streams/chat/{answer.pk}?ticket=' in text
    assert (f'id="reply-{answer.pk}-done"' in text, f'id="reply-{answer.pk}-tail"' in text) == (True, True)
    assert '<hx-partial hx-target="#composer-tools" hx-swap="outerMorph">' in text
    assert 'form="stop-form"' in text


def test_what_the_model_gets_has_the_line_breaks_that_were_typed(visitor):
    talk = factories.conversation()
    send(visitor, talk, "One\r\nTwo")
    assert talk.messages.get(role="user").content == "One\nTwo"


def test_without_a_script_sending_leads_back_to_the_page(visitor):
    talk = factories.conversation()
    response = send(visitor, talk)
    assert (response.status_code, response.url) == (303, f"{url(talk)}#turn-{talk.messages.last().pk}")
    assert "Refresh" in words(visitor.get(url(talk)))


def test_back_does_not_find_the_turns_in_the_place_of_the_page(visitor):
    talk = factories.conversation()
    assert "HX-Request" in visitor.get(url(talk), **HTMX)["Vary"]


def test_the_same_message_twice_is_one_turn(visitor):
    talk, key = factories.conversation(), str(uuid.uuid4())
    for _ in range(2):
        send(visitor, talk, key=key, **HTMX)
    assert talk.messages.count() == 2


def test_while_an_answer_is_written_the_text_stays_where_it_is(visitor):
    talk = factories.conversation()
    send(visitor, talk)
    response = send(visitor, talk, "Next thought", **HTMX)
    assert (response.status_code, response["HX-Retarget"], response["HX-Reswap"]) == (
        422,
        "#composer-error",
        "innerHTML",
    )
    assert ("still answering" in words(response), talk.messages.count()) == (True, 2)


def test_without_a_script_a_refused_text_is_still_in_the_box(visitor):
    talk = factories.conversation()
    send(visitor, talk)
    response = send(visitor, talk, "Next thought")
    assert (response.status_code, "Next thought</textarea>" in words(response)) == (422, True)


def test_a_draft_is_kept_for_other_devices_until_something_is_sent(visitor):
    talk = factories.conversation()
    updated_at = talk.updated_at
    response = visitor.post(url(talk, "draft/"), {"text": "Half a <thought>\x00", "key": uuid.uuid4()})
    talk.refresh_from_db()
    text = words(visitor.get(url(talk)))
    assert (response.status_code, "Half a &lt;thought&gt;</textarea>" in text) == (204, True)
    assert (talk.draft, talk.updated_at) == ("Half a <thought>", updated_at)
    send(visitor, talk, "Whole")
    talk.refresh_from_db()
    assert talk.draft == ""


def test_a_draft_that_comes_after_its_message_is_none(visitor):
    talk, key = factories.conversation(), uuid.uuid4()
    send(visitor, talk, key=key)
    assert visitor.post(url(talk, "draft/"), {"text": "Ahoy", "key": key}).status_code == 205
    assert visitor.post(url(talk, "draft/"), {"text": "Ahoy"}).status_code == 422
    talk.refresh_from_db()
    assert talk.draft == ""


def test_a_stranger_leaves_no_draft(visitor, team_mate):
    talk = factories.conversation(owner=team_mate)
    assert visitor.post(url(talk, "draft/"), {"text": "Mine"}).status_code == 404


def test_two_hundred_turns_take_no_more_queries_and_stay_light(visitor, django_assert_num_queries):
    talk = factories.conversation()
    for _ in range(100):
        answered(talk, usage={"prompt_tokens": 3, "completion_tokens": 2}, timings={"first_token": 0.1, "total": 0.3})
    with django_assert_num_queries(14):
        page = visitor.get(f"{url(talk)}?all").content
    assert len(gzip.compress(page, 6)) < 60_000


@pytest.mark.parametrize(("text", "reason"), [(" \n", "Enter a message."), ("x" * 100_001, "at most 100000")])
def test_a_text_that_cannot_be_sent_says_why(visitor, text, reason):
    response = send(visitor, factories.conversation(), text, **HTMX)
    assert (response.status_code, reason in words(response)) == (422, True)


def test_an_endpoint_that_is_not_ready_is_named_above_the_box(visitor):
    talk = factories.conversation(endpoint=factories.endpoint(state="UNDEPLOYED", display_name="Captain"))
    text = words(visitor.get(url(talk)))
    assert "The endpoint Captain has no deployed model." in text.partition('<textarea name="text"')[0]


def test_a_chat_outlives_its_endpoint(visitor):
    talk = answered(factories.conversation()).conversation
    Conversation.objects.update(endpoint=None)
    text = words(visitor.get(url(talk)))
    assert ("Arr" in text, "The endpoint of this chat was deleted." in text) == (True, True)


@pytest.mark.parametrize(
    ("model", "hint"), [("google/gemma3@gemma-3-270m", True), ("google/gemma3@gemma-3-270m-it", False)]
)
def test_a_pretrained_model_is_said_to_complete_text(visitor, model, hint):
    talk = factories.conversation(endpoint=factories.ready_endpoint(publisher_model=model))
    assert ("continues text" in words(visitor.get(url(talk)))) == hint


def test_a_tuned_model_gets_no_such_hint(visitor):
    talk = factories.conversation(endpoint=factories.ready_endpoint(artifact_uri="gs://b/final"))
    assert "continues text" not in words(visitor.get(url(talk)))


def test_a_reload_takes_a_live_answer_up_again(visitor):
    answer = answered(state="STREAMING", html="")
    text = words(visitor.get(url(answer.conversation)))
    assert f'hx-sse:connect="/streams/chat/{answer.pk}?ticket=' in text
    assert 'hx-trigger="end, every 5s"' in text


def test_a_live_turn_that_asks_for_the_end_is_told_nothing(visitor):
    answer = answered(state="STREAMING")
    assert visitor.get(turn_url(answer, "?live"), **HTMX).status_code == 204
    Message.objects.update(state="COMPLETE")
    assert visitor.get(turn_url(answer, "?live"), **HTMX).status_code == 200


def test_a_finished_turn_has_its_text_its_figures_and_no_stream(visitor):
    answer = answered(
        finish_reason="stop",
        usage={"prompt_tokens": 12, "completion_tokens": 21},
        timings={"first_token": 0.5, "total": 2.5},
    )
    text = words(visitor.get(turn_url(answer), **HTMX))
    for shown in (
        "<p>Arr</p>",
        "finished",
        "first token 0.50 s",
        "10.0 tokens/s",
        "total 2.50 s",
        "12 tokens in, 21 out",
    ):
        assert shown in text
    assert ("hx-sse:connect" in text, "hx-trigger" in text, "aria-busy" in text) == (False, False, False)


def test_figures_that_are_not_known_are_said_to_be_unknown(visitor):
    text = words(visitor.get(turn_url(answered(content="Arr, matey")), **HTMX))
    unknown = ("finish reason unknown", "first token unknown", "tokens/s unknown", "tokens in unknown")
    assert [word for word in (*unknown, "None") if word in text] == list(unknown)


def test_an_answer_cut_at_the_limit_says_so(visitor):
    assert "stopped at the output limit" in words(visitor.get(turn_url(answered(finish_reason="length")), **HTMX))


def test_a_failed_answer_says_why_and_can_be_tried_again(visitor):
    answer = answered(state="FAILED", error_message="The endpoint is overloaded. Try again.")
    assert "The endpoint is overloaded. Try again." in words(visitor.get(url(answer.conversation)))
    response = visitor.post(turn_url(answer, "retry/"), {"key": uuid.uuid4()}, **HTMX)
    again = answer.conversation.messages.last()
    assert (response.status_code, again.state, again.pk != answer.pk) == (200, "WAITING", True)
    assert f'id="turn-{again.pk}" aria-busy="true"' in words(response)


@pytest.mark.parametrize(
    ("state", "offered"),
    [("COMPLETE", {"retry"}), ("STOPPED", {"continue", "retry"}), ("FAILED", {"retry"}), ("STREAMING", set())],
)
def test_what_is_offered_under_an_answer(visitor, state, offered):
    answer = answered(state=state)
    text = words(visitor.get(url(answer.conversation)))
    assert {name for name in ("retry", "continue") if turn_url(answer, f"{name}/") in text} == offered


def test_stopping_stops_and_may_be_repeated(visitor):
    answer = answered(state="WAITING")
    statuses = [visitor.post(turn_url(answer, "stop/"), **HTMX).status_code for _ in range(2)]
    answer.refresh_from_db()
    assert (statuses, answer.state) == ([204, 204], "STOPPED")


def test_without_a_script_stopping_leads_back_to_the_page(visitor):
    answer = answered(state="WAITING")
    assert visitor.post(turn_url(answer, "stop/")).url == url(answer.conversation)


OPTIONS = {"system_instruction": "Be brief.", "temperature": "0.3", "top_p": "", "max_tokens": "64"}


def test_options_are_kept_with_the_chat_and_an_empty_one_is_left_out(visitor):
    talk = factories.conversation()
    response = visitor.post(url(talk, "options/"), OPTIONS, **HTMX)
    talk.refresh_from_db()
    assert (response.status_code, "Saved" in words(response)) == (200, True)
    assert (talk.system_instruction, talk.parameters) == ("Be brief.", {"temperature": 0.3, "max_tokens": 64})


def test_saved_options_are_in_the_fields(visitor):
    talk = factories.conversation(parameters={"temperature": 0.3}, system_instruction="Be brief.")
    text = words(visitor.get(url(talk)))
    assert ('value="0.3"' in text, "Be brief.</textarea>" in text) == (True, True)


@pytest.mark.parametrize(
    ("field", "value"), [("temperature", "5"), ("temperature", "hot"), ("top_p", "1.1"), ("max_tokens", "0")]
)
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_wrong_option_says_why_keeps_what_was_typed_and_changes_nothing(visitor, field, value, headers):
    talk = factories.conversation(parameters={"temperature": 1.0})
    response = visitor.post(url(talk, "options/"), OPTIONS | {field: value}, **headers)
    talk.refresh_from_db()
    assert (response.status_code, talk.parameters) == (422, {"temperature": 1.0})
    assert ("Enter a " in words(response), f'value="{value}"' in words(response)) == (True, True)


def test_a_deleted_chat_is_gone(visitor):
    talk = answered().conversation
    response = visitor.post(url(talk, "delete/"))
    assert (response.status_code, response.url, Message.objects.count()) == (303, "/studio/chat/", 0)


def test_chats_are_listed_the_latest_first(visitor, team_mate):
    factories.conversation(owner=team_mate, title="Theirs")
    first, second = factories.conversation(title="First"), factories.conversation(title="Second")
    shown = re.findall(
        r'href="/studio/chat/([0-9a-f-]{36})/"', words(visitor.get("/studio/chat/")).partition("<nav")[2]
    )
    assert list(dict.fromkeys(shown)) == [str(second.pk), str(first.pk)]


def test_another_window_gets_the_turns_as_a_fragment(visitor):
    talk = answered().conversation
    text = words(visitor.get(url(talk), **HTMX))
    assert ("<html" in text, text.startswith('<div class="turns" id="turns"')) == (False, True)


@pytest.mark.parametrize("rows", [1, 3])
def test_the_page_takes_the_same_queries_for_one_turn_and_for_three(visitor, django_assert_num_queries, rows):
    talk = factories.conversation()
    for _ in range(rows):
        answered(talk)
        factories.conversation()
    with django_assert_num_queries(14):
        visitor.get(url(talk))


def test_with_its_first_message_a_chat_comes_into_the_list_and_has_a_name(visitor):
    talk = factories.conversation(title="")
    first = words(send(visitor, talk, "Who are you?", **HTMX))
    assert ('hx-target="#chat-rows"' in first, "<title>Who are you? – Chat" in first) == (True, True)
    Message.objects.live().update(state="COMPLETE")
    assert "#chat-rows" not in words(send(visitor, talk, "And now?", **HTMX))


def long_chat(exchanges=40, **values):
    """Its last answer."""
    talk = factories.conversation(**values)
    for number in range(exchanges):
        factories.message(conversation=talk, content=f"Question {number}")
        last = factories.message(conversation=talk, role="assistant", content="Arr", html=f"<p>Answer {number}</p>")
    return last


def numbers(text, what="Answer"):
    return [int(number) for number in re.findall(rf"<p>{what} (\d+)</p>", text)]


def test_of_a_long_chat_the_latest_turns_are_shown(visitor):
    talk = long_chat().conversation
    text = words(visitor.get(url(talk)))
    first = talk.messages.get(content="Question 10")
    assert (numbers(text), f'href="{url(talk)}?all#turn-{first.pk}"' in text) == (list(range(10, 40)), True)
    assert ("Show 20 earlier messages" in text, text.count('class="turn user"')) == (True, 30)


def test_all_turns_are_on_a_page_of_their_own_and_stay_there(visitor):
    talk = long_chat().conversation
    assert numbers(words(visitor.get(f"{url(talk)}?all"))) == list(range(40))
    here = HTMX | {"HTTP_HX_CURRENT_URL": f"http://testserver{url(talk)}?all"}
    assert numbers(words(visitor.get(url(talk), **here))) == list(range(40))
    assert numbers(words(send(visitor, talk, **here))) == list(range(40))


@pytest.mark.parametrize("address", ["http://[", "http://elsewhere/?all", ""])
def test_an_address_that_says_nothing_leaves_the_latest_turns(visitor, address):
    talk = long_chat().conversation
    text = words(visitor.get(url(talk), **HTMX, HTTP_HX_CURRENT_URL=address))
    assert numbers(text) == list(range(10, 40))


def test_a_long_chat_takes_no_more_queries_than_a_short_one(
    visitor, django_assert_num_queries, django_assert_max_num_queries
):
    endpoint = factories.ready_endpoint()
    short, long = answered(factories.conversation(endpoint=endpoint)), long_chat(endpoint=endpoint)
    Message.objects.update(usage={"prompt_tokens": 3, "completion_tokens": 2})
    with django_assert_max_num_queries(50) as taken:
        visitor.get(url(short.conversation))
    with django_assert_num_queries(len(taken)):
        visitor.get(url(long.conversation))


def test_the_window_is_estimated_from_the_whole_chat(visitor):
    talk = long_chat(exchanges=1000).conversation
    text = words(visitor.get(url(talk)))
    said = "".join(talk.messages.values_list("content", flat=True))
    assert f"≈ {round(len(said) / 4):,}" in text


def test_pictures_among_earlier_turns_still_count(visitor):
    sees = "google/gemma3@gemma-3-4b-it"
    talk = factories.conversation(endpoint=factories.ready_endpoint(base_model=sees, publisher_model=sees))
    for _ in range(40):
        asked = factories.message(conversation=talk, has_pictures=True)
        factories.picture(message=asked)
        factories.message(conversation=talk, role="assistant")
    long, whole = (words(visitor.get(f"{url(talk)}{rest}")) for rest in ("", "?all"))
    left_out = re.search(r"The \d+ oldest images in this chat are no longer sent", whole)[0]
    assert (left_out in long, "earlier messages" in long) == (True, True)


def test_without_a_script_an_earlier_turn_leads_back_to_the_page_of_all_turns(visitor):
    talk = long_chat().conversation
    early = talk.messages.get(html="<p>Answer 0</p>")
    response = visitor.post(turn_url(early, "retry/"), {"key": str(uuid.uuid4())})
    again = talk.messages.latest("ordinal")
    assert response.url == f"{url(talk)}#turn-{again.pk}"
    late = visitor.post(turn_url(early, "show/"))
    assert late.url == f"{url(talk)}?all#turn-{early.pk}"


def test_without_a_script_an_earlier_turn_is_edited_among_all(visitor):
    talk = long_chat().conversation
    early = talk.messages.get(content="Question 0")
    text = words(visitor.get(turn_url(early, "edit/")))
    assert (numbers(text), f'{url(talk)}?all#turn-{early.pk}"' in text) == (list(range(40)), True)

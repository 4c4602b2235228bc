"""A model calls a tool, the person types the result, and the model goes on."""

import json
from uuid import uuid4

import pytest

from jobs import errors
from jobs.models import Message
from jobs.services.chat import branches, conversations, export, tree
from jobs.services.chat.streaming.answer import messages_for
from jobs.services.chat.tools import calls, declarations
from jobs.vertex.values import ChatChunk
from tests.jobs.services.chat.test_conversations import serve
from tests.support import factories

pytestmark = pytest.mark.django_db(transaction=True)
WEATHER = {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
TOOLS = [{"type": "function", "function": WEATHER}]
CALL = {"id": "c1", "name": "get_weather", "arguments": {"city": "Bern"}}
SENT_CALL = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Bern"}'}}
RESULT = {"role": "tool", "tool_call_id": "c1", "name": "get_weather", "content": "20 degrees"}


def part(arguments, name="", identity="", index=0):
    return ChatChunk(tool_calls=({"index": index, "id": identity, "name": name, "arguments": arguments},))


CALLS = [part("", "get_weather", "c1"), part('{"city": '), part('"Bern"}'), ChatChunk(finish_reason="tool_calls")]


@pytest.fixture
def talk(fake_gateway):
    endpoint = factories.ready_endpoint()
    serve(fake_gateway, endpoint)
    return factories.conversation(endpoint=endpoint, title="", parameters={"tools": TOOLS})


def ask(talk, text, *chunks, gateway):
    gateway.chat.script.append(list(chunks))
    answer = conversations.ask(talk, key=uuid4(), text=text)
    conversations.answer(answer.pk)
    answer.refresh_from_db()
    talk.refresh_from_db()
    return answer


def test_a_call_is_kept_and_its_result_goes_on_as_a_tool_turn(talk, fake_gateway):
    called = ask(talk, "Is it warm?", *CALLS, gateway=fake_gateway)
    assert (called.state, called.content, called.tools) == ("COMPLETE", "", {"calls": [CALL]})
    told = ask(talk, "20 degrees", "Yes.", ChatChunk(finish_reason="stop"), gateway=fake_gateway)
    assert (told.content, told.parent.content) == ("Yes.", "20 degrees")
    first, second = fake_gateway.chat.requests
    assert first.parameters["tools"] == second.parameters["tools"] == TOOLS
    assert second.messages == [
        {"role": "user", "content": "Is it warm?"},
        {"role": "assistant", "content": "", "tool_calls": [SENT_CALL]},
        RESULT,
    ]


def test_the_message_after_the_answer_is_a_question_again(talk, fake_gateway):
    ask(talk, "Is it warm?", *CALLS, gateway=fake_gateway)
    ask(talk, "20 degrees", "Yes.", ChatChunk(finish_reason="stop"), gateway=fake_gateway)
    ask(talk, "Thanks", "Welcome.", ChatChunk(finish_reason="stop"), gateway=fake_gateway)
    assert [message["role"] for message in fake_gateway.chat.requests[-1].messages] == [
        "user", "assistant", "tool", "assistant", "user",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("chunks", "text"),
    [
        ([part('{"city": ', "get_weather")], 'get_weather({"city": )'),
        ([part('["Bern"]', "get_weather")], 'get_weather(["Bern"])'),
        ([part('{"city": "Bern"}')], '({"city": "Bern"})'),
        ([part('{"city": "\\u0000"}', "get_weather")], 'get_weather({"city": "\\u0000"})'),
    ],
)
def test_a_malformed_call_is_text(talk, fake_gateway, chunks, text):
    answer = ask(talk, "Is it warm?", *chunks, ChatChunk(finish_reason="tool_calls"), gateway=fake_gateway)
    assert (answer.tools, answer.content, answer.state) == ({}, text, "COMPLETE")


def test_several_calls_get_a_list_of_results(talk, fake_gateway):
    two = [part("{}", "one", "a", 0), part("{}", "two", "b", 1), ChatChunk(finish_reason="tool_calls")]
    ask(talk, "Both?", *two, gateway=fake_gateway)
    with pytest.raises(errors.NotAllowedNow, match="a JSON list with 2 results"):
        conversations.ask(talk, key=uuid4(), text="1")
    ask(talk, '["1", {"x": 2}]', "Done.", ChatChunk(finish_reason="stop"), gateway=fake_gateway)
    results = fake_gateway.chat.requests[-1].messages[-2:]
    assert [(one["tool_call_id"], one["content"]) for one in results] == [("a", "1"), ("b", '{"x": 2}')]


def test_a_result_can_be_edited_and_another_answer_asked_for(talk, fake_gateway):
    ask(talk, "Is it warm?", *CALLS, gateway=fake_gateway)
    told = ask(talk, "2 degrees", "No.", ChatChunk(finish_reason="stop"), gateway=fake_gateway)
    again = tree.edit(told.parent, key=uuid4(), text="20 degrees")
    assert messages_for(talk, again.parent, talk.endpoint)[-1] == RESULT


def test_exports_and_branches_have_the_calls(talk, fake_gateway):
    ask(talk, "Is it warm?", *CALLS, gateway=fake_gateway)
    answer = ask(talk, "20 degrees", "Yes.", ChatChunk(finish_reason="stop"), gateway=fake_gateway)
    *_first, row = export.training_rows(talk)
    assert row["tools"] == TOOLS
    assert [turn["role"] for turn in row["messages"]] == ["user", "assistant", "tool", "assistant"]
    assert [entry.get("tools") for entry in export.document(talk)["messages"]] == [
        None, {"calls": [CALL]}, {"results": [{"id": "c1", "name": "get_weather", "content": "20 degrees"}]}, None,
    ]  # fmt: skip
    assert 'get_weather({"city": "Bern"})' in export.markdown(talk)
    copy = branches.branch_off(answer, key=uuid4())
    assert [turn.tools for turn in copy.path()] == [turn.tools for turn in talk.path()]


def test_a_worker_that_is_sent_the_rows_knows_the_result(talk, fake_gateway):
    ask(talk, "Is it warm?", *CALLS, gateway=fake_gateway)
    fake_gateway.chat.script.append(["Yes.", ChatChunk(finish_reason="stop")])
    answer = conversations.ask(talk, key=uuid4(), text="20 degrees")
    conversations.answer(answer.pk, conversations.pack(Message.objects.get(pk=answer.pk)))
    assert fake_gateway.chat.requests[-1].messages[-1] == RESULT


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(TOOLS), json.dumps([WEATHER]), json.dumps(WEATHER),
        json.dumps([{"functionDeclarations": [WEATHER]}]), json.dumps({"functionDeclarations": [WEATHER]}),
    ],
)  # fmt: skip
def test_declarations_are_read_in_three_forms(text):
    assert declarations.read(text) == TOOLS


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[", "Line 1, column 2 is not valid JSON"),
        ("3", r"\[0\] needs a name"),
        ('[{"name": "a b"}]', r"\[0\] needs a name"),
        ('[{"name": "f", "parameters": 1}]', r"\[0\].parameters must be a JSON schema"),
        ('[{"name": "f"}, {"name": "f"}]', "same name"),
        ('[{"name": "f", "x": NaN}]', "cannot be read as JSON"),
        (json.dumps([{"name": "f", "description": "x" * 50_000}]), "at most 40000 characters"),
    ],
)
def test_what_is_wrong_with_declarations_is_named(text, problem):
    with pytest.raises(ValueError, match=problem):
        declarations.read(text)


def test_more_calls_than_anybody_answers_are_not_kept():
    collector = calls.Collector()
    collector.add([{"index": number, "id": "", "name": "f", "arguments": "{}"} for number in range(100)])
    assert len(collector.finish()[0]) == calls.MOST

import ast
import json

import pytest

from console.presenters.chat.code import TABS, Code
from console.views.chat.code import body_of
from tests.support import factories

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}
WEATHER = {"name": "get_weather", "parameters": {"type": "object"}}
TOOLS = [{"type": "function", "function": WEATHER}]
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


def called(**values):
    talk = factories.conversation(endpoint=factories.ready_endpoint(), parameters={"tools": TOOLS})
    factories.message(conversation=talk, content="Is it warm?", role="user")
    call = {"id": "c1", "name": HOSTILE, "arguments": {"city": HOSTILE}}
    answer = factories.message(conversation=talk, content="", role="assistant", tools={"calls": [call]} | values)
    talk.refresh_from_db()
    return talk, answer


def test_tools_are_given_as_json_and_kept(visitor):
    talk = factories.conversation()
    response = visitor.post(f"/studio/chat/{talk.pk}/options/", {"tools": json.dumps([WEATHER])}, **HTMX)
    talk.refresh_from_db()
    assert (response.status_code, talk.parameters) == (200, {"tools": TOOLS})
    visitor.post(f"/studio/chat/{talk.pk}/options/", {"tools": json.dumps([WEATHER]), "reset": "tools"}, **HTMX)
    talk.refresh_from_db()
    assert talk.parameters == {}


def test_a_chat_without_tools_has_an_empty_field_to_type_into(visitor):
    talk = factories.conversation(endpoint=factories.ready_endpoint())
    page = visitor.get(f"/studio/chat/{talk.pk}/").content.decode()
    field = page.partition('<textarea name="tools"')[2].partition("</textarea>")[0]
    assert field.partition(">")[2].strip() == ""


def test_what_is_wrong_with_them_is_named_and_kept_for_correction(visitor):
    talk = factories.conversation()
    response = visitor.post(f"/studio/chat/{talk.pk}/options/", {"tools": "[{"}, **HTMX)
    assert response.status_code == 422
    assert ("not valid JSON" in response.content.decode(), "[{</textarea>" in response.content.decode()) == (True, True)


@pytest.mark.threat("T1")
def test_a_call_is_shown_as_text_and_waits_for_its_result(visitor):
    talk, _answer = called()
    page = visitor.get(f"/studio/chat/{talk.pk}/").content.decode()
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "The model waits for the result. Type it as your next message." in page
    assert "empty answer" not in page


def test_the_end_of_a_call_is_said_in_words(visitor):
    talk, answer = called()
    type(answer).objects.filter(pk=answer.pk).update(finish_reason="tool_calls")
    turn = visitor.get(f"/studio/chat/turns/{answer.pk}/", **HTMX).content.decode()
    page = visitor.get(f"/studio/chat/{talk.pk}/").content.decode()
    assert ("called a tool" in page, "tool_calls" in page) == (True, False)
    assert "The model called a tool and waits for the result" in turn


def test_a_result_says_of_which_call_it_is(visitor):
    talk, _answer = called()
    result = {"id": "c1", "name": "get_weather", "content": "20"}
    factories.message(conversation=talk, content="20", role="user", tools={"results": [result]})
    factories.message(conversation=talk, content="Yes.", role="assistant")
    page = visitor.get(f"/studio/chat/{talk.pk}/").content.decode()
    assert ("Result of get_weather" in page, "The model waits for" in page) == (True, False)


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.key)
def test_the_code_sends_tools_and_prints_calls(tab):
    talk, _answer = called()
    text = Code(talk.endpoint, body_of(talk), tab).text
    assert "get_weather" in text
    assert ("message.content" in text, '["content"])' in text) == (False, False)
    if tab.language == "python":
        ast.parse(text)

"""Turns with calls, results and images, which need a model that knows them."""

from jobs.localvertex.serving.apis.contents import build_chat_body
from jobs.localvertex.serving.prompts.checks import upstream_body

NAME = "projects/p1/locations/us-central1/endpoints/e"
CALL = {"functionCall": {"name": "get_weather", "args": {"city": "Berlin", "days": 2}}}
RESULT = {"functionResponse": {"name": "get_weather", "response": {"degrees": 3}}}
PARAMETERS = {"type": "OBJECT", "properties": {"city": {"type": "STRING", "nullable": True}}}


def test_a_call_and_its_result_are_messages_of_the_chat():
    contents = [
        {"role": "user", "parts": [{"text": "Weather?"}]},
        {"role": "model", "parts": [CALL]},
        {"role": "user", "parts": [RESULT, {"text": "In one word."}]},
    ]
    declared = {"name": "get_weather", "description": "d", "parameters": PARAMETERS}
    body = build_chat_body({"contents": contents, "tools": [{"functionDeclarations": [declared]}]}, NAME)
    function = {"name": "get_weather", "arguments": '{"city": "Berlin", "days": 2}'}
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "get_weather", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "get_weather", "name": "get_weather", "content": '{"degrees": 3}'},
        {"role": "user", "content": [{"type": "text", "text": "In one word."}]},
    ]
    assert body["tools"][0]["function"]["parameters"] == {
        "type": "object",
        "properties": {"city": {"type": ["string", "null"]}},
    }
    assert [one["role"] for one in upstream_body(body, images=False)["messages"]] == [
        "user",
        "assistant",
        "tool",
        "user",
    ]


def test_images_come_inline_or_by_their_place():
    parts = [
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw0K"}},
        {"fileData": {"mimeType": "image/png", "fileUri": "gs://a/b.png"}},
        {"text": "What is it?"},
    ]
    (message,) = build_chat_body({"contents": [{"role": "user", "parts": parts}]}, NAME)["messages"]
    assert [part.get("image_url", {}).get("url") for part in message["content"]] == [
        "data:image/png;base64,iVBORw0K",
        "gs://a/b.png",
        None,
    ]


def test_functions_that_must_not_be_called_are_not_told():
    body = {
        "contents": [{"parts": [{"text": "a"}]}],
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "NONE"}},
    }
    assert "tools" not in build_chat_body(body, NAME)

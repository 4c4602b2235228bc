import base64
import io
import struct

import pytest
from PIL import Image

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.serving.prompts.checks import refusal, upstream_body


def save(kind):
    content = io.BytesIO()
    Image.new("RGB", (2, 2), "red").save(content, kind)
    return content.getvalue()


def uri(content, kind="png"):
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


PNG = uri(save("PNG"))
HUGE = save("BMP")[:18] + struct.pack("<ii", 6001, 4000) + save("BMP")[26:]


def user(content):
    return {"role": "user", "content": content}


def assistant(content):
    return {"role": "assistant", "content": content}


def picture(url=PNG):
    return {"type": "image_url", "image_url": {"url": url}}


def refuse(body, *, images=False) -> str:
    with pytest.raises(ApiError) as caught:
        upstream_body(body, images=images)
    assert caught.value.status == "INVALID_ARGUMENT"
    return caught.value.message


GOES_ON = {"continue_final_message": True, "add_generation_prompt": False}


def test_a_last_turn_of_the_assistant_is_continued_when_that_is_asked_for():
    body = upstream_body({"messages": [user("a"), assistant("b")], **GOES_ON}, images=False)
    assert (body["messages"][-1], set(body) & set(GOES_ON)) == (assistant("b"), set())


@pytest.mark.parametrize(
    ("fields", "turns"),
    [
        (GOES_ON, [user("a")]),
        ({"continue_final_message": True}, [user("a"), assistant("b")]),
        ({"add_generation_prompt": False}, [user("a")]),
        ({"continue_final_message": "yes"}, [user("a")]),
    ],
)
def test_a_continuation_is_asked_for_in_one_way(fields, turns):
    assert refuse({"messages": turns, **fields}) != ""


def test_always_streams_with_usage_and_forwards_only_what_it_knows():
    body = {"messages": [user("hi")], "temperature": 0.5, "max_tokens": 5, "lora": [{"id": 0}], "id_slot": 3}
    assert upstream_body(body, images=False) == {
        "messages": [user("hi")], "temperature": 0.5, "max_tokens": 5,
        "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_tokens", 0), ("max_tokens", "5"), ("max_tokens", True), ("temperature", -0.1), ("temperature", 2.1),
        ("top_p", 0), ("top_p", 1.5), ("top_k", -2), ("seed", 1.5), ("stop", [""]), ("stop", ["a"] * 17), ("n", 0),
        ("stream", "yes"), ("top_logprobs", 21), ("presence_penalty", 3), ("response_format", "json"),
    ],
)  # fmt: skip
def test_ranges(field, value):
    assert refuse({"messages": [user("hi")], field: value}).startswith(f"{field} must be ")


@pytest.mark.parametrize(
    ("messages", "word"),
    [
        (None, "at least one message"),
        ([], "at least one message"),
        (["hi"], "must be an object"),
        ([{"role": "alien", "content": "x"}], "role must be"),
        ([user("")], "is empty"),
        ([user("  ")], "is empty"),
        ([user(None)], "a text or a list"),
        ([assistant("hi")], "'user' was expected"),
        ([user("a"), user("b")], "'assistant' was expected"),
        ([user("a"), assistant("b")], "last message"),
        ([{"role": "system", "content": "x"}], "last message"),
        ([user("a"), {"role": "system", "content": "x"}, user("b")], "'assistant' was expected"),
        ([user([{"type": "audio"}])], "text part"),
        ([user([])], "a text or a list"),
    ],
)
def test_messages(messages, word):
    assert word in refuse({"messages": messages})


def test_text_parts_become_text():
    system = {"role": "system", "content": [{"type": "text", "text": "Be brief."}]}
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    body = upstream_body({"messages": [system, user(parts)]}, images=False)
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, user("a\nb")]


def test_image_goes_through_when_the_model_reads_images():
    content = [picture(), {"type": "text", "text": "What is it?"}]
    assert upstream_body({"messages": [user(content)]}, images=True)["messages"] == [user(content)]


@pytest.mark.parametrize(
    ("part", "images", "word"),
    [
        (picture(), False, "reads text only"),
        (picture("http://127.0.0.1/cat.png"), True, "addresses are never fetched"),
        (picture("file:///etc/passwd"), True, "addresses are never fetched"),
        (picture("data:image/png,abc"), True, "must be base64"),
        (picture("data:image/png;base64,%%%"), True, "not valid base64"),
        (picture("data:image/png;base64,aGVsbG8="), True, "not a PNG"),
        (picture(uri(b"\x89PNG\r\n\x1a\n....")), True, "not a PNG"),
        (picture(uri(HUGE)), True, "more than 24,000,000 pixels"),
        (picture(uri(save("WEBP")[:-9])), True, "not a PNG"),
        (picture(None), True, "data: URI"),
    ],
)
def test_images(part, images, word):
    assert word in refuse({"messages": [user([part])]}, images=images)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP"])
def test_what_llama_cpp_reads_is_not_touched(kind):
    content = [picture(uri(save(kind)))]
    assert upstream_body({"messages": [user(content)]}, images=True)["messages"] == [user(content)]


def test_webp_becomes_png():
    body = upstream_body({"messages": [user([picture(uri(save("WEBP")))])]}, images=True)
    url = body["messages"][0]["content"][0]["image_url"]["url"]
    sent = Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,"))))
    assert (sent.format, sent.size) == ("PNG", (2, 2))


def test_too_many_images():
    assert "At most 16 images" in refuse({"messages": [user([picture()] * 17)]}, images=True)


def test_too_long_is_said_in_tokens():
    error = {"code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": 3009, "n_ctx": 1024}
    assert "3009 tokens; this model takes 1024" in refusal(400, {"error": error}).message


TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}],
}
RESULT = {"role": "tool", "tool_call_id": "c", "content": "20 degrees"}


def test_tools_calls_and_results_are_handed_on():
    body = upstream_body({"messages": [user("Warm?"), CALLED, RESULT, RESULT], "tools": [TOOL]}, images=False)
    assert body["tools"] == [TOOL]
    assert body["messages"] == [user("Warm?"), CALLED | {"content": ""}, RESULT, RESULT]


def test_after_a_result_the_model_or_the_person_goes_on():
    said = [user("Warm?"), CALLED, RESULT]
    for more in ([assistant("Yes."), user("Thanks")], [user("Never mind")]):
        assert len(upstream_body({"messages": said + more}, images=False)["messages"]) == 3 + len(more)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tools": "f"}, "tools must be a list of functions"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools must be a list of functions"),
        ({"messages": [user("Warm?"), RESULT]}, "messages[1].role is 'tool' where 'assistant' was expected"),
        ({"messages": [RESULT]}, "messages[0].role is 'tool' where 'user' was expected"),
        ({"messages": [user("a") | {"tool_calls": [1]}]}, "only the assistant calls tools"),
        ({"messages": [user("a"), CALLED | {"tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}, RESULT]},
         "messages[1].tool_calls[0].function.arguments must be a JSON object"),
    ],
)  # fmt: skip
def test_malformed_tools_are_refused(fields, said):
    assert said in refuse({"messages": [user("a")], **fields})

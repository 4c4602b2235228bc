"""`generateContent` and `streamGenerateContent`, as far as the client sees them."""

import json

import httpx
import pytest

from tests.jobs.localvertex.servers import PARENT, TINY_NAME

HI = [{"role": "user", "parts": [{"text": "hi"}]}]
USAGE = {
    "promptTokenCount": 3,
    "candidatesTokenCount": 2,
    "totalTokenCount": 5,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 3}],
    "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 2}],
}


@pytest.fixture(scope="module")
def generate(shared_server):
    shared_server.deployed("generating")

    def ask(call="generateContent", name="endpoints/generating", **body):
        address = f"{shared_server.url}/v1/{PARENT}/{name}:{call}"
        return httpx.post(address, json={"contents": HI, **body}, trust_env=False, timeout=20)

    return ask


def seen(server):
    return json.loads((server.data / "endpoints/seen.jsonl").read_text().splitlines()[-1])["body"]


@pytest.mark.parametrize("name", ["endpoints/generating", TINY_NAME])
def test_whole_answer(generate, name):
    reply = generate(name=name).json()
    candidate = {"content": {"role": "model", "parts": [{"text": "Hello there"}]}, "finishReason": "STOP"}
    assert (reply["candidates"], reply["usageMetadata"]) == ([candidate], USAGE)
    assert reply["modelVersion"] == ("generating" if name.startswith("end") else "local/tiny@tiny-gemma3")
    assert len(reply["responseId"]) == 22


def test_streamed_as_a_list_and_as_events(generate):
    listed = generate("streamGenerateContent")
    assert listed.headers["content-type"] == "application/json; charset=UTF-8"
    lines = generate("streamGenerateContent?alt=sse").text.split("\n\n")
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line]
    for parts in (listed.json(), events):
        assert [part["candidates"][0]["content"]["parts"] for part in parts] == [
            [{"text": "Hello"}],
            [{"text": " there"}],
            [],
        ]
        assert ([part.get("usageMetadata") for part in parts]) == [None, None, USAGE]
        assert parts[-1]["candidates"][0]["finishReason"] == "STOP"
        assert len({part["responseId"] for part in parts}) == 1


def test_what_is_asked_reaches_the_model(generate, server):
    config = {"temperature": 0.5, "topP": 0.9, "topK": 40.0, "maxOutputTokens": 7, "stopSequences": ["x"], "seed": 3}
    contents = [*HI, {"role": "model", "parts": [{"text": "Hello."}]}, {"parts": [{"text": "a"}, {"text": "b"}]}, *HI]
    generate(contents=contents, generationConfig=config, systemInstruction={"parts": [{"text": "Be short."}]})
    asked = seen(server)
    assert {key: asked[key] for key in ("temperature", "top_p", "top_k", "max_tokens", "stop", "seed")} == {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "max_tokens": 7,
        "stop": ["x"],
        "seed": 3,
    }
    assert asked["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "a\nb\nhi"},
    ]


def test_a_schema_holds_the_model(generate, server):
    schema = {
        "type": "OBJECT",
        "properties": {
            "name": {"type": "STRING", "maxLength": "9"},
            "ages": {"type": "ARRAY", "items": {"type": "INTEGER"}},
        },
        "propertyOrdering": ["name", "ages"],
        "required": ["name"],
    }
    generate(generationConfig={"responseMimeType": "application/json", "responseSchema": schema})
    assert seen(server)["response_format"]["json_schema"]["schema"] == {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "maxLength": 9},
            "ages": {"type": "array", "items": {"type": "integer"}},
        },
    }


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"contents": []}, "Unable to submit request because at least one contents field is required."),
        ({"contents": [{"role": "tester", "parts": [{"text": "a"}]}]}, "Please use a valid role: user, model."),
        ({"contents": [{"role": "user"}]}, "Unable to submit request because it must include at least one parts field"),
        ({"contents": [{"parts": [{"text": ""}]}]}, "Unable to submit request because it must have a text parameter."),
        ({"contents": [*HI, {"role": "model", "parts": [{"text": "a"}]}]}, "Please ensure that multiturn requests end"),
        (
            {"contents": [{"parts": [{"fileData": {"mimeType": "video/mp4", "fileUri": "gs://a/b"}}]}]},
            "Unable to submit request because it has a mimeType parameter",
        ),
        (
            {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "iVBORw0K"}}]}]},
            "This model reads text only.",
        ),
        (
            {"contents": [{"role": "user", "parts": [{"functionCall": {"name": "f"}}]}]},
            "Please ensure that function call turns come from the model role.",
        ),
        ({"generationConfig": {"temperature": 3}}, "Unable to submit request because it has a temperature value of 3"),
        ({"generationConfig": {"topP": 0}}, "Unable to submit request because it has a topP value of 0"),
        (
            {"generationConfig": {"thinkingConfig": {"thinkingBudget": 5}}},
            "Unable to submit request because thinkingConfig isn't supported",
        ),
        ({"generationConfig": {"responseModalities": ["AUDIO"]}}, "This model only supports text output."),
        (
            {"generationConfig": {"responseMimeType": "text/html"}},
            "Unable to submit request because responseMimeType text/html",
        ),
        ({"generationConfig": {"responseSchema": {"type": "STRING"}}}, "responseSchema needs responseMimeType"),
        (
            {"cachedContent": "projects/p1/locations/us-central1/cachedContents/1"},
            "cachedContent is not supported by this model.",
        ),
        ({"tools": [{"googleSearch": {}}]}, "Unable to submit request because googleSearch is not supported"),
        (
            {"tools": [{"functionDeclarations": [{"name": "f"}]}]},
            "tools: the chat template of this model knows no tools.",
        ),
        (
            {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
            "Unable to submit request because the function calling mode ANY",
        ),
        (
            {"systemInstruction": {"parts": [{"inlineData": {}}]}},
            "Unable to submit request because the system instruction",
        ),
        ({"shoes": 1}, "Invalid JSON payload received. Unknown name"),
    ],
)
@pytest.mark.parametrize("call", ["generateContent", "streamGenerateContent"])
def test_refused(generate, call, body, message):
    refused = generate(call, **body)
    assert refused.status_code == 400
    assert refused.json()["error"]["message"].startswith(message)


def test_a_model_that_dies_in_the_middle(own_server):
    own_server.start().deployed("dying")
    address = f"{own_server.url}/v1/{PARENT}/endpoints/dying:streamGenerateContent"
    body = {"contents": [{"parts": [{"text": "die"}]}]}
    *_, last = httpx.post(address, json=body, trust_env=False, timeout=20).json()
    assert last["error"]["status"] == "UNAVAILABLE"

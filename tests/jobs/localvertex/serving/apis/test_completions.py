"""`completions` as vLLM answers it."""

import json

import httpx
import pytest

from tests.jobs.localvertex.servers import PARENT


@pytest.fixture(scope="module")
def complete(shared_server):
    shared_server.deployed("completing")

    def ask(path="completions", endpoint="completing", **body):
        address = f"{shared_server.url}/v1/{PARENT}/endpoints/{endpoint}/{path}"
        return httpx.post(address, json=body, trust_env=False, timeout=20)

    return ask


def events(reply: httpx.Response) -> list[str]:
    return [line.removeprefix("data: ") for line in reply.text.splitlines() if line]


def test_whole_answer(complete):
    reply = complete(prompt="Once", max_tokens=5).json()
    assert reply["choices"] == [{"index": 0, "text": " and so on", "logprobs": None, "finish_reason": "stop"}]
    assert reply["usage"] == {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
    assert (reply["object"], reply["model"], reply["id"]) == ("text_completion", "completing", "cmpl-1")


def test_every_prompt_has_as_many_choices_as_are_asked_for(complete):
    reply = complete(prompt=["Once", "Twice"], n=2, echo=True).json()
    assert [(choice["index"], choice["text"]) for choice in reply["choices"]] == [
        (0, "Once and so on"),
        (1, "Once and so on"),
        (2, "Twice and so on"),
        (3, "Twice and so on"),
    ]
    assert reply["usage"] == {"prompt_tokens": 4, "completion_tokens": 12, "total_tokens": 16}


@pytest.mark.parametrize("usage", [False, True])
def test_streamed(complete, usage):
    *chunks, done = events(complete(prompt=["Once", "Twice"], stream=True, stream_options={"include_usage": usage}))
    parsed = [json.loads(chunk) for chunk in chunks]
    texts = [(choice["index"], choice["text"]) for chunk in parsed for choice in chunk["choices"]]
    assert texts == [(index, text) for index in (0, 1) for text in (" and", " so on", "")]
    counted = [chunk["usage"] for chunk in parsed if "usage" in chunk]
    assert counted == [{"prompt_tokens": 4, "completion_tokens": 6, "total_tokens": 10}] * usage
    assert done == "[DONE]"


@pytest.mark.parametrize("path", ["completions", "invoke/v1/completions", "invoke/v1/chat/completions"])
def test_flags_in_quotes_stream_too(complete, path):
    """As the SDK's example of `Endpoint.invoke` sends them."""
    messages = [{"role": "user", "content": "hi"}]
    assert events(complete(path, prompt="Once", messages=messages, stream="true"))[-1] == "[DONE]"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "prompt must be a text that isn't empty."),
        ({"prompt": []}, "prompt must be a text, or a list of 1 to 16 texts."),
        ({"prompt": [1, 2]}, "prompt must hold texts: tokens are not taken."),
        ({"prompt": "a", "logprobs": 9}, "logprobs must be a whole number between 0 and 5."),
        ({"prompt": "a", "logprobs": True}, "logprobs must be a whole number between 0 and 5."),
        ({"prompt": "a", "best_of": 3}, "best_of must be the same as n: choices are not ranked."),
        ({"prompt": "a", "suffix": "b"}, "suffix is not supported: models of this server go on after a prompt."),
        ({"prompt": "a", "echo": 1}, "echo must be true or false."),
        ({"prompt": "a", "n": 9}, "n must be a whole number between 1 and 4."),
        ({"prompt": "a", "temperature": 3, "stream": True}, "temperature must be a number between 0 and 2."),
    ],
)
def test_refused(complete, body, message):
    refused = complete(**body)
    assert (refused.status_code, refused.json()["error"]["message"]) == (400, message)


def test_one_of_several_deployed_models_can_be_named(complete, shared_server):
    (deployed,) = shared_server.endpoints.get_endpoint(name=f"{PARENT}/endpoints/completing").deployed_models
    here = complete("deployedModels/" + deployed.id + "/invoke/v1/completions", prompt="Once")
    assert (here.status_code, here.headers["x-vertex-ai-deployed-model-id"]) == (200, deployed.id)
    assert complete("deployedModels/404/invoke/v1/completions", prompt="Once").status_code == 404
    assert complete("invoke/v1/embeddings", prompt="Once").status_code == 404

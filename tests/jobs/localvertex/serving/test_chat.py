import contextlib
import json

import httpx
import pytest

from tests.jobs.localvertex.servers import PARENT, wait_for


@pytest.fixture(scope="module")
def endpoint(shared_server):
    shared_server.deployed("chatting")
    return "chatting"


def seen(server) -> list[dict]:
    path = server.data / "endpoints/seen.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def lines(reply: httpx.Response) -> list[str]:
    return [line.removeprefix("data: ") for line in reply.text.splitlines() if line]


def test_whole_answer(server, endpoint):
    reply = server.chat(endpoint).json()
    assert reply["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": "Hello there"}, "finish_reason": "stop"}
    ]
    assert reply["usage"]["total_tokens"] == 5
    assert (reply["object"], reply["model"]) == ("chat.completion", "chatting")


def test_stream_without_usage(server, endpoint):
    chunks = lines(server.chat(endpoint, stream=True))
    assert chunks[-1] == "[DONE]"
    parsed = [json.loads(chunk) for chunk in chunks[:-1]]
    assert [chunk["choices"][0]["delta"].get("content") for chunk in parsed] == [None, "Hello", " there", None]


def test_stream_with_usage(server, endpoint):
    chunks = lines(server.chat(endpoint, stream=True, stream_options={"include_usage": True}))
    assert json.loads(chunks[-2])["usage"]["completion_tokens"] == 2


def test_a_model_whose_template_knows_no_tools_says_so(server, endpoint):
    tool = {"type": "function", "function": {"name": "get_weather"}}
    reply = server.chat(endpoint, tools=[tool])
    assert (reply.status_code, "knows no tools" in reply.json()["error"]["message"]) == (400, True)


def test_v1_too(server, endpoint):
    address = f"{server.url}/v1/{PARENT}/endpoints/{endpoint}/chat/completions"
    body = {"model": "", "messages": [{"role": "user", "content": "hi"}]}
    assert httpx.post(address, json=body, trust_env=False).status_code == 200


@pytest.mark.parametrize("stream", [True, False])
def test_client_that_leaves_stops_the_model(server, endpoint, stream):
    before = len(seen(server))
    address = f"{server.url}/v1beta1/{PARENT}/endpoints/{endpoint}/chat/completions"
    body = {"messages": [{"role": "user", "content": "forever"}], "stream": stream}
    with (
        contextlib.suppress(httpx.ReadTimeout),
        httpx.stream("POST", address, json=body, timeout=1, trust_env=False) as reply,
    ):
        next(reply.iter_lines())
    wait_for(lambda: len(seen(server)) > before, server.log, 3)
    assert seen(server)[-1]["ended"] == "left"


def test_model_that_dies_in_the_middle(own_server):
    own_server.start().deployed("dying")
    whole = own_server.chat("dying", "die")
    assert (whole.status_code, whole.json()["error"]["status"]) == (503, "UNAVAILABLE")
    wait_for(lambda: own_server.chat("dying").status_code == 200, own_server.log)
    streamed = lines(own_server.chat("dying", "die", stream=True))
    assert "in the middle of the answer" in json.loads(streamed[-1])["error"]["message"]


def test_too_long(server, endpoint):
    for stream in (True, False):
        reply = server.chat(endpoint, "refuse", stream=stream)
        assert reply.status_code == 400
        assert reply.json()["error"]["message"].startswith("The conversation has 9000 tokens; this model takes 8192.")


def test_bad_requests_never_reach_the_model(server, endpoint):
    reply = server.chat(endpoint, temperature=-1)
    assert (reply.status_code, reply.json()["error"]["message"]) == (
        400,
        "temperature must be a number between 0 and 2.",
    )


def test_unknown_endpoint(server):
    assert server.chat("nobody").status_code == 404


def test_body_over_ten_megabytes(server, endpoint):
    reply = server.chat(endpoint, "x" * 10_500_000)
    assert reply.json()["error"]["message"] == "Request payload size exceeds the limit: 10485760 bytes."


def test_get_is_refused(server, endpoint):
    address = f"{server.url}/v1beta1/{PARENT}/endpoints/{endpoint}/chat/completions"
    assert httpx.get(address, trust_env=False).status_code == 404

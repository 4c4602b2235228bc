"""Nothing is faked here: what a request may ask of the real llama.cpp, with the tiny model, through its endpoint."""

import contextlib
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from jobs.localvertex.serving.llama import ADDRESS
from tests.jobs.localvertex.servers import PARENT, LocalVertex, wait_for

OPPOSITE = {"role": "user", "content": "What is the opposite of hot?"}
COLD = "The opposite of hot is cold."
LONG = {"role": "user", "content": "Describe everything that you know. " * 20}


@pytest.fixture(scope="module")
def served(tmp_path_factory, bucket_address):
    server = LocalVertex(tmp_path_factory.mktemp("answers"), bucket_address, options=())
    server.start()
    server.deployed("talks")
    yield server
    server.stop()


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def ask(served, request):
    """Answers as one object, whether streamed or not."""
    return lambda **body: whole(send(served, stream=request.param, **body))


def address(server) -> str:
    return f"{server.url}/v1beta1/{PARENT}/endpoints/talks/chat/completions"


def send(server, **body) -> httpx.Response:
    usage = {"stream_options": {"include_usage": True}} if body.get("stream") else {}
    body = {"messages": [OPPOSITE], "temperature": 0, "max_tokens": 24, **usage, **body}
    return httpx.post(address(server), json=body, timeout=60, trust_env=False)


def whole(reply: httpx.Response) -> dict:
    assert reply.status_code == 200, reply.text
    if not reply.headers["content-type"].startswith("text/event-stream"):
        return reply.json()
    lines = reply.text.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    choices: dict[int, dict] = {}
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    for part in (part for chunk in chunks for part in chunk["choices"]):
        choice = choices.setdefault(part["index"], {"message": {"content": ""}, "logprobs": {"content": []}})
        choice["message"]["content"] += part["delta"].get("content") or ""
        choice["logprobs"]["content"] += (part.get("logprobs") or {}).get("content") or []
        choice["finish_reason"] = part["finish_reason"]
    return {"choices": [choices[key] for key in sorted(choices)], "usage": chunks[-1]["usage"]}


def texts(answer) -> list[str]:
    return [choice["message"]["content"] for choice in answer["choices"]]


def test_answer_and_usage(ask):
    answer = ask()
    assert (texts(answer), answer["choices"][0]["finish_reason"]) == ([COLD], "stop")
    usage = answer["usage"]
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]
    assert usage["completion_tokens"] > 3


def test_max_tokens(ask):
    answer = ask(max_tokens=2)
    assert (answer["choices"][0]["finish_reason"], answer["usage"]["completion_tokens"]) == ("length", 2)


@pytest.mark.parametrize("stop", [" hot", [" zebra", " hot"]])
def test_stop_sequences(ask, stop):
    answer = ask(stop=stop)
    assert (texts(answer), answer["choices"][0]["finish_reason"]) == (["The opposite of"], "stop")


def test_same_seed_same_text(ask):
    chosen = {"messages": [LONG], "temperature": 2, "max_tokens": 20, "top_p": 1, "min_p": 0}
    same = [texts(ask(seed=7, **chosen)) for _ in range(2)]
    others = {texts(ask(seed=seed, **chosen))[0] for seed in range(8, 12)}
    assert same[0] == same[1]
    assert len(others | set(same[0])) > 1


def test_top_k_of_one_is_greedy(ask):
    assert texts(ask(temperature=2, top_k=1)) == [COLD]
    assert texts(ask(temperature=2, top_p=1e-6)) == [COLD]


def test_several_answers(ask):
    answer = ask(n=3)
    assert texts(answer) == [COLD] * 3


@pytest.mark.parametrize("most", [0, 3])
def test_logprobs(ask, most):
    tokens = ask(logprobs=True, top_logprobs=most)["choices"][0]["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens).startswith(COLD)
    assert {len(token["top_logprobs"]) for token in tokens} == {most}
    assert all(token["logprob"] <= 0 for token in tokens)


def test_system_prompt_is_read(served):
    system = {"role": "system", "content": "Be brief and be kind."}
    used = [whole(send(served, messages=m))["usage"]["prompt_tokens"] for m in ([OPPOSITE], [system, OPPOSITE])]
    assert used[1] > used[0]


@pytest.mark.parametrize("name", ["frequency_penalty", "presence_penalty", "repetition_penalty"])
def test_penalties_change_the_answer(ask, name):
    """Greedy, from a prompt that repeats itself: what stood there before becomes less probable."""
    long = {"messages": [LONG], "max_tokens": 40, "response_format": WORDS}
    assert texts(ask(**long)) != texts(ask(**long, **{name: 2}))


def test_bias_against_a_token(ask):
    first = ask(logprobs=True)["choices"][0]["logprobs"]["content"][0]
    assert first["token"] == "The"
    assert not texts(ask(logit_bias={str(first["id"]): -100}))[0].startswith("The")


WORDS = {"type": "json_schema", "json_schema": {"schema": {"type": "string", "minLength": 200}}}
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"enum": ["cold", "hot"]}, "sure": {"type": "boolean"}},
    "required": ["answer", "sure"],
}


@pytest.mark.parametrize(
    "inner", [{"name": "reply", "schema": SCHEMA}, {"name": "reply", "schema": SCHEMA, "strict": True}]
)
def test_json_schema(ask, inner):
    (text,) = texts(ask(response_format={"type": "json_schema", "json_schema": inner}, max_tokens=60))
    assert sorted(json.loads(text)) == ["answer", "sure"]


def test_json_object(ask):
    answer = ask(response_format={"type": "json_object"}, max_tokens=400)
    if answer["choices"][0]["finish_reason"] == "stop":
        assert isinstance(json.loads(texts(answer)[0]), dict)
    assert texts(answer)[0].lstrip().startswith("{")


REFUSED = [
    ({"temperature": -1}, "temperature"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_completion_tokens": 0}, "max_completion_tokens"),
    ({"top_p": 1.1}, "top_p"),
    ({"n": 5}, "n"),
    ({"logit_bias": {"7": 500}}, "logit_bias"),
    ({"top_logprobs": 2}, "top_logprobs"),
    ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
    ({"response_format": {"type": "xml"}}, "response_format.type"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
    ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "strange"}}}}, "response_format"),
    ({"messages": []}, "messages"),
    ({"messages": [OPPOSITE, OPPOSITE]}, "messages[1].role"),
    ({"messages": [{"role": "assistant", "content": "Hello"}, OPPOSITE]}, "messages[0].role"),
    ({"messages": [{"role": "alien", "content": "Hello"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": "too long " * 9000}]}, "messages"),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("body", "field"), REFUSED)
def test_refused_with_the_name_of_the_field(served, body, field, stream):
    reply = send(served, **{"stream": stream, **body})
    error = reply.json()["error"]
    assert (reply.status_code, error["status"]) == (400, "INVALID_ARGUMENT")
    assert [violation["field"] for violation in error["details"][0]["fieldViolations"]] == [field]
    assert error["message"].startswith((field, "The conversation has", "The last", "At most"))


def variable(pid: int, name: str) -> str:
    given = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(line.split("=", 1) for line in given if "=" in line)[name]


def busy_slots(served) -> int:
    (child,) = (served.data / "endpoints/talks").glob("*/port.json")
    facts = json.loads(child.read_text())
    headers = {"Authorization": f"Bearer {variable(facts['pid'], 'SERVING_API_KEY')}"}
    with httpx.Client(transport=httpx.HTTPTransport(uds=facts["socket"]), timeout=30) as client:
        slots = client.get(f"{ADDRESS}/slots", headers=headers).json()
    return sum(slot["is_processing"] for slot in slots)


@pytest.mark.parametrize("stream", [False, True])
def test_client_that_leaves_frees_the_slot_within_a_second(served, stream):
    never_ending = {"1": -100, "5": -100}  # <eos> and <end_of_turn>
    body = {"messages": [OPPOSITE], "stream": stream, "logit_bias": never_ending, "max_tokens": 8000}
    with leaving(served, body):
        assert wait_for(lambda: busy_slots(served)) == 1
    left = time.monotonic()
    wait_for(lambda: not busy_slots(served))
    assert time.monotonic() - left < 1


@contextlib.contextmanager
def leaving(served, body):
    """A client that sends its request, and closes the connection at the end of the context."""
    content = json.dumps(body).encode()
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        head = f"POST {address(served).removeprefix(served.url)} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n"
        connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        yield


def test_four_long_conversations_at_once(served):
    """Each has the whole context, however long the others are."""
    long = {"messages": [{"role": "user", "content": "the opposite of hot is cold and " * 560}], "max_tokens": 4}
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda _: send(served, **long), range(4)))
    assert [reply.status_code for reply in replies] == [200] * 4
    assert min(reply.json()["usage"]["prompt_tokens"] for reply in replies) > 3500

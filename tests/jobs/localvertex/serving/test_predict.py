import httpx
import pytest

from tests.jobs.localvertex.servers import PARENT
from tests.jobs.localvertex.serving.test_chat import seen

CHAT = {"@requestFormat": "chatCompletions", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 7.0}


@pytest.fixture(scope="module")
def endpoint(shared_server):
    shared_server.deployed("predict")
    return "predict"


def call(server, endpoint, verb, body, version="v1beta1"):
    address = f"{server.url}/{version}/{PARENT}/endpoints/{endpoint}:{verb}"
    return httpx.post(address, json=body, trust_env=False, timeout=20)


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_chat_form_answers_with_an_object(server, endpoint, version):
    reply = call(server, endpoint, "predict", {"instances": [CHAT]}, version).json()
    assert reply["predictions"]["choices"][0]["message"]["content"] == "Hello there"
    assert reply["predictions"]["usage"]["total_tokens"] == 5
    assert reply["model"] == f"{PARENT}/models/m-predict"
    assert (reply["modelVersionId"], reply["deployedModelId"].isdecimal()) == ("1", True)


def test_plain_prompts_answer_with_a_list(server, endpoint):
    instances = [{"prompt": "Once", "raw_response": True}, {"prompt": "Twice "}]
    reply = call(server, endpoint, "predict", {"instances": instances, "parameters": {"max_tokens": 5}}).json()
    assert reply["predictions"] == [" and so on", "Prompt:\nTwice\nOutput:\n and so on"]
    assert [(line["body"]["prompt"], line["body"]["max_tokens"]) for line in seen(server)[-2:]] == [
        ("Once", 5),
        ("Twice ", 5),
    ]


def test_raw_bodies(server, endpoint):
    chat = {"messages": CHAT["messages"]}
    assert call(server, endpoint, "rawPredict", chat).json()["choices"][0]["finish_reason"] == "stop"
    assert call(server, endpoint, "rawPredict", {"instances": [CHAT]}).json()["predictions"]["choices"]
    prompt = {"prompt": "Once", "raw_response": True}
    assert call(server, endpoint, "rawPredict", prompt).json() == {"predictions": [" and so on"]}


@pytest.mark.parametrize("body", [{"messages": CHAT["messages"]}, {"prompt": "Once"}])
def test_streamed_raw_bodies(server, endpoint, body):
    reply = call(server, endpoint, "streamRawPredict", {**body, "stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "instances must be a list"),
        ({"instances": [1]}, "instances[0] must be an object"),
        ({"instances": [CHAT, CHAT]}, "exactly one instance"),
        ({"instances": [{"prompt": " "}]}, "prompt must be a text"),
        ({"instances": [{"prompt": "x", "temperature": 9}]}, "temperature must be"),
        ({"instances": [{"prompt": "x", "multi_modal_data": {}}]}, "multi_modal_data is not supported"),
        ({"instances": [{"prompt": "x"}], "shoes": 1}, 'Unknown name "shoes"'),
        ([], "must be a JSON object"),
    ],
)
def test_refused(server, endpoint, body, message):
    reply = call(server, endpoint, "predict", body)
    assert (reply.status_code, reply.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert message in reply.json()["error"]["message"]


def test_unknown_endpoint_and_verb(server):
    assert call(server, "none", "predict", {"instances": [CHAT]}).status_code == 404
    assert call(server, "none", "guess", {}).status_code == 404

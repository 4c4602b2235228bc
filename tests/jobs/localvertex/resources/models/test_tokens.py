import httpx
import pytest
from google.api_core.exceptions import BadRequest, NotFound
from google.cloud import aiplatform_v1beta1 as vertex
from google.cloud.aiplatform_v1beta1.services.prediction_service import PredictionServiceClient
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Value

from tests.jobs.localvertex.servers import PARENT, TINY_NAME, wait_for

ROW = {"prompt": "Hi", "completion": "Hello"}


def count(server, *rows, model=TINY_NAME):
    request = vertex.CountTokensRequest(endpoint=f"{PARENT}/{model}")
    vertex.CountTokensRequest.pb(request).instances.extend(json_format.ParseDict(row, Value()) for row in rows)
    return server.client(PredictionServiceClient).count_tokens(request, retry=None).total_tokens


def pace(server):
    model = server.garden.get_publisher_model(name=TINY_NAME)
    facts = {entry.title: entry.content for entry in model.supported_actions.view_rest_api.documentations}
    return facts.get("Training pace")


def test_rows_are_counted_by_the_engine(server):
    assert count(server, ROW, ROW) == 20


def test_a_model_that_was_counted_for_is_tried(server):
    """A full tuning, which the engine refuses to try, has no pace."""
    count(server, ROW)
    wait_for(lambda: pace(server), server.log)
    assert pace(server) == '{"PEFT_ADAPTER": {"load": 5.0, "step": 0.5, "token": 0.01}}'


def test_what_is_no_row_of_a_model_here_is_refused(server):
    with pytest.raises(BadRequest, match=r"at least one contents field"):
        count(server)
    with pytest.raises(NotFound, match=r"does not exist"):
        count(server, ROW, model="publishers/google/models/none@none")
    with pytest.raises(BadRequest, match=r"no weights on this machine"):
        count(server, ROW, model="publishers/google/models/gemma3@gemma-3-27b-it")


def ask(server, call, name, **body):
    """As REST has it, of one endpoint or model."""
    return httpx.post(f"{server.url}/v1/{PARENT}/{name}:{call}", json=body, trust_env=False, timeout=20)


def content(text, role="user"):
    return {"role": role, "parts": [{"text": text}]}


@pytest.fixture(params=["model", "endpoint"])
def name(request, server):
    if request.param == "model":
        return TINY_NAME
    server.deployed("counting")
    return "endpoints/counting"


def test_tokens_of_a_request_are_those_that_the_model_sees(server, name):
    talk = [content("Who are you?"), content("A model.", "model"), content("Of what?")]
    assert ask(server, "countTokens", name, contents=talk, systemInstruction=content("Be short.", "system")).json() == {
        "totalTokens": 12,
        "totalBillableCharacters": 32,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 12}],
    }
    prompts = [
        {"prompt": "Once upon"},
        {"@requestFormat": "chatCompletions", "messages": [{"role": "user", "content": "Hi"}]},
    ]
    assert ask(server, "countTokens", name, instances=prompts).json()["totalTokens"] == 6
    listed = ask(server, "computeTokens", name, contents=[content("Once é")]).json()
    assert listed == {"tokensInfo": [{"role": "user", "tokens": ["T25jZQ==", "w6k="], "tokenIds": ["389", "364"]}]}
    assert ask(server, "computeTokens", name, instances=[{"prompt": "Once é"}]).json() == listed


@pytest.mark.parametrize(
    ("call", "body", "message"),
    [
        ("countTokens", {"contents": [content("Hi", "system")]}, "Please use a valid role: user, model."),
        ("countTokens", {"instances": [{"prompt": 5}]}, "instances[0].prompt must be a text that isn't empty."),
        ("countTokens", {"contents": [content("a " * 600_000)]}, "The conversation is too long: more than"),
        ("computeTokens", {}, "Unable to submit request because at least one contents field is required."),
        (
            "computeTokens",
            {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "aGk="}}]}]},
            "Tokens are listed for texts only",
        ),
    ],
)
def test_what_has_no_tokens_is_refused(server, call, body, message):
    refused = ask(server, call, TINY_NAME, **body)
    assert refused.status_code == 400
    assert refused.json()["error"]["message"].startswith(message)

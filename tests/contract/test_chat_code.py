"""Get code, pasted and run against the local server and a real (tiny) model, answers as the console did."""

import json
import os
import shutil
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest
from django.test import override_settings

from console.views.chat_code import TABS, Code, body_of
from jobs.models import Conversation
from jobs.services import chat
from jobs.vertex import get_gateway
from jobs.vertex.port import DeploySpec, VertexGateway
from jobs.vertex.sdk import Gateway
from tests import factories
from tests.localservers import TINY, LocalVertex

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(120)]
QUESTION = 'Say "it\'s" — 안녕 \\ $HOME `id`\u2028\x85 \nJSON\nEND'
PARAMETERS = {
    "temperature": 0.0, "top_p": 0.9, "top_k": 7, "max_tokens": 24, "stop": ["\n\n", "'\"END"], "seed": 7,
    "frequency_penalty": 0.5, "presence_penalty": -0.5,
}  # fmt: skip
SCHEMA = {"type": "object", "properties": {"ok": {"type": "boolean"}, "n": {"enum": [None, 1]}}, "required": ["ok"]}


@pytest.fixture(scope="module")
def gateway(local_vertex: LocalVertex) -> Iterator[VertexGateway]:
    os.environ["STORAGE_EMULATOR_HOST"] = local_vertex.storage
    with override_settings(VERTEX_API_ENDPOINT=local_vertex.address, VERTEX_GATEWAY="jobs.vertex.sdk.Gateway"):
        get_gateway.cache_clear()
        yield get_gateway()
    get_gateway.cache_clear()
    del os.environ["STORAGE_EMULATOR_HOST"]


@pytest.fixture(scope="module")
def resource_name(gateway: Gateway) -> str:
    spec = DeploySpec("chat-code", "chat-code-model", "Tiny", "Tiny", TINY, "", False, None, {})
    operation = gateway.deployment.deploy(spec)
    while not gateway.deployment.get_operation(operation).done:
        time.sleep(0.1)
    return gateway.deployment.endpoint_name("chat-code")


@pytest.fixture
def talk(resource_name: str) -> Conversation:
    endpoint = factories.ready_endpoint(resource_name=resource_name, base_model=TINY, publisher_model=TINY)
    return factories.conversation(
        endpoint=endpoint, title="", system_instruction="Be 'brief'.", parameters=dict(PARAMETERS)
    )


def answered(talk: Conversation, *questions: str) -> str:
    for question in questions:
        answer = chat.ask(talk, key=uuid4(), text=question)
        chat.answer(answer.pk)
        answer.refresh_from_db()
        assert (answer.state, answer.error_message) == ("COMPLETE", "")
    return answer.content


def code(talk: Conversation, key: str) -> str:
    return Code(talk.endpoint, body_of(talk), next(tab for tab in TABS if tab.key == key)).text


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def by_curl(text: str) -> str:
    assert shutil.which("curl"), "The console's machine needs no curl; this test does: apt-get install curl"
    return json.loads(output("bash", "-c", text.replace("curl ", "curl -sS ", 1)))["choices"][0]["message"]["content"]


def by_python(text: str) -> str:
    return output(sys.executable, "-c", text).removesuffix("\n")


def by_node(text: str) -> str:
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed here, so the JavaScript was not run")
    return output("node", "--input-type=module", "-e", text).removesuffix("\n")


@pytest.mark.parametrize(("key", "run"), [("curl", by_curl), ("openai", by_python), ("javascript", by_node)])
def test_it_gives_the_answer_that_the_console_got(talk, key, run):
    expected = answered(talk, "Hello", QUESTION)
    assert (run(code(talk, key)), expected != "") == (expected, True)


@pytest.mark.parametrize(("key", "run"), [("curl", by_curl), ("openai", by_python), ("javascript", by_node)])
def test_with_a_schema_too(talk, key, run):
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
    talk.parameters = {"temperature": 0.0, "max_tokens": 60, "response_format": wanted}
    talk.save()
    expected = answered(talk, "Is the sea wet?")
    assert (run(code(talk, key)), set(json.loads(expected)) >= {"ok"}) == (expected, True)


class Endpoint:
    """Stands for Google's, which speaks https only: takes the same bytes to the local server."""

    address = ""

    def __init__(self, name: str) -> None:
        self.name = name

    def raw_predict(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        url = f"{self.address}/v1/{self.name}:rawPredict"
        return httpx.post(url, content=body, headers=headers, trust_env=False).raise_for_status()


def test_google_s_client_sends_the_same(talk, local_vertex, settings, monkeypatch, capsys):
    expected = answered(talk, "Hello", QUESTION)
    settings.VERTEX_API_ENDPOINT = ""
    text = code(talk, "google")
    client = types.ModuleType("google.cloud.aiplatform")
    client.init, client.Endpoint = lambda **given: None, type("Ours", (Endpoint,), {"address": local_vertex.address})
    monkeypatch.setitem(sys.modules, "google.cloud.aiplatform", client)
    monkeypatch.setattr("google.cloud.aiplatform", client, raising=False)
    exec(compile(text, "ask_google.py", "exec"), {})  # noqa: S102  # what the page shows, run as a person would
    assert capsys.readouterr().out == f"{expected}\n"

"""Get code, pasted and run against the local server and a real (tiny) model, answers as the console did."""

import io
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test import override_settings

from console.presenters.chat.code import TABS, Code
from console.views.chat.code import body_of
from jobs.models import Conversation, Picture
from jobs.services.chat import conversations, images as pictures
from jobs.vertex import get_gateway
from jobs.vertex.port import VertexGateway
from jobs.vertex.values import DeploySpec
from tests.fixtures.tiny_gemma3.pictures import Scene, Thing, draw
from tests.support import factories
from tests.support.googlehost import TOKEN, google_host
from tests.support.localservers import TINY, TINY_FOLDER, LocalVertex, local_servers
from tests.support.share import one_of

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]
SEES = "google/gemma3@gemma-3-4b-it"
VISION_FOLDER = TINY_FOLDER.parents[2] / "jobs/localvertex/models/shapes_and_colours"
STARS = Scene("white", (Thing("star", "red"), Thing("circle", "blue")))
QUESTION = 'Say "it\'s" — 안녕 \\ $HOME `id`\u2028\x85 \nJSON\nEND'
PARAMETERS = {
    "temperature": 0.0, "top_p": 0.9, "top_k": 7, "max_tokens": 24, "stop": ["\n\n", "'\"END"], "seed": 7,
    "frequency_penalty": 0.5, "presence_penalty": -0.5,
}  # fmt: skip
SCHEMA = {"type": "object", "properties": {"ok": {"type": "boolean"}, "n": {"enum": [None, 1]}}, "required": ["ok"]}


@pytest.fixture(scope="module")
def local_vertex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalVertex]:
    """With the tiny model that sees, too."""
    with local_servers(tmp_path_factory.mktemp("code"), ["--base-model", f"{SEES}={VISION_FOLDER}"]) as servers:
        yield servers


@pytest.fixture(scope="module")
def gateway(local_vertex: LocalVertex) -> Iterator[VertexGateway]:
    os.environ["STORAGE_EMULATOR_HOST"] = local_vertex.storage
    with override_settings(VERTEX_API_ENDPOINT=local_vertex.address, VERTEX_GATEWAY="jobs.vertex.sdk.Gateway"):
        get_gateway.cache_clear()
        yield get_gateway()
    get_gateway.cache_clear()
    del os.environ["STORAGE_EMULATOR_HOST"]


def deployed(gateway: VertexGateway, key: str, model: str) -> str:
    spec = DeploySpec(key, f"{key}-model", "Tiny", "Tiny", model, "", True, None, {})
    operation = gateway.deployment.deploy(spec)
    while not gateway.deployment.get_operation(operation).done:
        time.sleep(0.1)
    return gateway.deployment.endpoint_name(key)


@pytest.fixture(scope="module")
def resource_name(gateway: VertexGateway) -> str:
    return deployed(gateway, "chat-code", TINY)


@pytest.fixture(scope="module")
def seeing_name(gateway: VertexGateway) -> str:
    return deployed(gateway, "chat-code-sees", SEES)


@pytest.fixture
def sees(seeing_name: str) -> Conversation:
    endpoint = factories.ready_endpoint(resource_name=seeing_name, base_model=SEES, publisher_model=SEES)
    return factories.conversation(endpoint=endpoint, title="", parameters={"temperature": 0.0, "max_tokens": 24})


def drawn(scene: Scene) -> dict[str, Any]:
    content = io.BytesIO()
    draw(random.Random(4), scene, 160)[0].save(content, "PNG")
    return {"size": len(content.getvalue()), "file": content, "name": "drawn.png"}


@pytest.fixture
def talk(resource_name: str) -> Conversation:
    endpoint = factories.ready_endpoint(resource_name=resource_name, base_model=TINY, publisher_model=TINY)
    return factories.conversation(
        endpoint=endpoint, title="", system_instruction="Be 'brief'.", parameters=dict(PARAMETERS)
    )


def answered(talk: Conversation, *questions: str, pictures: Sequence[Picture] = ()) -> str:
    for question in questions:
        answer = conversations.ask(talk, key=uuid4(), text=question, pictures=pictures)
        conversations.answer(answer.pk)
        answer.refresh_from_db()
        assert (answer.state, answer.error_message) == ("COMPLETE", "")
    return answer.content


@dataclass
class Programs:
    """Runs what the page offers as a file of its own, as a person would who downloaded it."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def answer(self, talk: Conversation, key: str) -> str:
        tab = next(tab for tab in TABS if tab.key == key)
        file = self.folder / tab.file
        file.write_text(Code(talk.endpoint, body_of(talk), tab).text, encoding="utf-8")
        said = self.output(*RUNNERS[key](), str(file))
        return said if key != "curl" else json.loads(said)["choices"][0]["message"]["content"] + "\n"

    def output(self, *command: str) -> str:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, env=os.environ | self.environment
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path)


def bash() -> list[str]:
    assert shutil.which("curl"), "The console's machine needs no curl; this test does: apt-get install curl"
    return ["bash"]


def node() -> list[str]:
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed here, so the JavaScript was not run")
    return ["node"]


def python() -> list[str]:
    return [sys.executable]


RUNNERS = {"curl": bash, "openai": python, "google": python, "javascript": node}


@pytest.mark.parametrize("key", one_of(2, RUNNERS))
def test_it_gives_the_answer_that_the_console_got(talk, programs, key):
    expected = answered(talk, "Hello", QUESTION)
    assert (programs.answer(talk, key), expected != "") == (f"{expected}\n", True)


@pytest.mark.parametrize("key", one_of(4, RUNNERS))
def test_with_a_schema_too(talk, programs, key):
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
    talk.parameters = {"temperature": 0.0, "max_tokens": 60, "response_format": wanted}
    talk.save()
    expected = answered(talk, "Is the sea wet?")
    assert (programs.answer(talk, key), set(json.loads(expected)) >= {"ok"}) == (f"{expected}\n", True)


@pytest.mark.parametrize("key", one_of(4, RUNNERS))
def test_with_its_pictures_over_several_turns(sees, programs, key):
    """The last question says nothing of the picture: only who gets it along can answer."""
    stars = pictures.add(sees.owner, **drawn(STARS), endpoint=sees.endpoint)
    answered(sees, "Describe the picture.", pictures=[stars])
    expected = answered(sees, "What colour is the background?")
    assert (programs.answer(sees, key), expected) == ("The background is white.\n", "The background is white.")


@pytest.mark.parametrize("key", one_of(3, ["curl", "openai", "google"]))
def test_against_google_s_address(talk, programs, local_vertex, settings, tmp_path, key):
    """With a sign-in, over https, by the programs as they are. Node 20 goes by no proxy, so it is not among them."""
    expected = answered(talk, "Hello", QUESTION)
    settings.VERTEX_API_ENDPOINT = ""
    with google_host(tmp_path / "google", local_vertex.address) as host:
        programs.environment = host.environment
        assert programs.answer(talk, key) == f"{expected}\n"
    asked = [head for head in host.heads if head.startswith("POST ")]
    assert [f"authorization: bearer {TOKEN}" in head.lower() for head in asked] == [True]

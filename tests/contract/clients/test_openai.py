"""The `openai` client on an endpoint: chat with images, streamed and not, and errors."""

import base64
import io
from typing import Any

import pytest
from PIL import Image

from tests.jobs.localvertex.servers import PARENT, TINY

openai = pytest.importorskip("openai")
MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def client(server):
    server.deployed("openai", publisher_model_name="publishers/local/models/seeing@seeing")
    return client_of(server, "openai")


def client_of(server, endpoint, version="v1beta1"):
    base_url = f"{server.url}/{version}/{PARENT}/endpoints/{endpoint}"
    return openai.OpenAI(base_url=base_url, api_key="local", max_retries=0)


def test_answer(client):
    answer = client.chat.completions.create(model="", messages=MESSAGES, max_tokens=5, temperature=0, seed=1)
    assert answer.choices[0].message.content == "Hello there"
    assert answer.usage.total_tokens == 5


def test_streamed_with_usage(client):
    stream = client.chat.completions.create(
        model="", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert (text, chunks[-1].usage.total_tokens) == ("Hello there", 5)


def test_completions(client):
    answer = client.completions.create(model="", prompt=["Once", "Twice"], max_tokens=5, echo=True)
    assert [choice.text for choice in answer.choices] == ["Once and so on", "Twice and so on"]
    stream = client.completions.create(model="", prompt="Once", stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == " and so on"


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_a_model_of_the_catalogue_by_its_name(server, version):
    client = client_of(server, "openapi", version)
    answer = client.chat.completions.create(model=TINY, messages=MESSAGES)
    assert (answer.model, answer.choices[0].message.content) == (TINY, "Hello there")
    assert client.completions.create(model=TINY, prompt="Once").choices[0].text == " and so on"
    with pytest.raises(openai.NotFoundError, match="was not found or your project does not have access"):
        client.chat.completions.create(model="google/none", messages=MESSAGES)


def picture() -> str:
    content = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


def test_image(client):
    parts: list[Any] = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": ""}}]
    parts[1]["image_url"]["url"] = f"data:image/png;base64,{picture()}"
    answer = client.chat.completions.create(model="", messages=[{"role": "user", "content": parts}])
    assert answer.choices[0].finish_reason == "stop"
    parts[1]["image_url"]["url"] = "https://example.com/cat.png"
    with pytest.raises(openai.BadRequestError, match="addresses are never fetched"):
        client.chat.completions.create(model="", messages=[{"role": "user", "content": parts}])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"temperature": 3}, "temperature must be a number between 0 and 2"),
        ({"messages": []}, "messages must be a list with at least one"),
        ({"messages": [{"role": "user", "content": "refuse"}]}, "The conversation has 9000 tokens"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_refused(client, body, message, stream):
    with pytest.raises(openai.BadRequestError, match=message):
        client.chat.completions.create(**{"model": "", "messages": MESSAGES, "stream": stream} | body)


def test_unknown_endpoint(server):
    with pytest.raises(openai.NotFoundError, match="endpoints/none is not found"):
        client_of(server, "none", "v1").chat.completions.create(model="", messages=MESSAGES)


def test_lost_in_the_middle(server):
    server.deployed("openai-dies")
    client = client_of(server, "openai-dies")
    with pytest.raises(openai.InternalServerError, match="ended in the middle of the answer"):
        client.chat.completions.create(model="", messages=[{"role": "user", "content": "die"}])

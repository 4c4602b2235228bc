"""Nothing is faked here: the tiny vision model of the fixtures answers through its endpoint."""

import base64
import io
import json
import random
import socketserver
import threading

import httpx
import pytest
from PIL import Image

from tests.fixtures.tiny_gemma3.pictures import NO_PICTURE, Scene, Thing, draw, questions, random_scene
from tests.jobs.localvertex.servers import PARENT, ROOT, LocalVertex

VISION = "local/vision@tiny-gemma3-vision"
VISION_NAME = "publishers/local/models/vision@tiny-gemma3-vision"
FOLDER = ROOT / "jobs/localvertex/models/shapes_and_colours"
SEES, READS = "sees", "reads"
STARS = Scene("white", (Thing("star", "red"), Thing("circle", "blue")))


@pytest.fixture(scope="module")
def served(tmp_path_factory, bucket_address):
    server = LocalVertex(tmp_path_factory.mktemp("images"), bucket_address, options=())
    server.extra = ["--base-model", f"{VISION}={FOLDER}"]
    server.start()
    server.deployed(SEES, publisher_model_name=VISION_NAME)
    server.deployed(READS)
    yield server
    server.stop()


def saved(picture, kind="PNG"):
    content = io.BytesIO()
    picture.save(content, kind)
    return content.getvalue()


def shown(content, text, kind="png"):
    url = content if isinstance(content, str) else f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return {
        "role": "user",
        "content": [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": text}],
    }


def stars(side=160):
    return draw(random.Random(4), STARS, side)[0]


def chat(server, *messages, endpoint=SEES, **body):
    address = f"{server.url}/v1beta1/{PARENT}/endpoints/{endpoint}/chat/completions"
    body = {"messages": list(messages), "temperature": 0, "max_tokens": 48, **body}
    return httpx.post(address, json=body, timeout=30, trust_env=False)


def answer(server, *messages):
    reply = chat(server, *messages)
    assert reply.status_code == 200, reply.text
    return reply.json()["choices"][0]["message"]["content"]


def refusal(reply):
    assert reply.status_code == 400, reply.text
    return reply.json()["error"]["message"]


def right_answers(server, kind, pictures):
    """For each question about pictures nobody has trained on, whether the answer was right."""
    rng = random.Random(f"never looked at, {kind}")
    marks = []
    for _ in range(pictures):
        scene = random_scene(rng)
        content = saved(draw(rng, scene)[0], kind)
        for question, right in questions(rng, scene)[:3]:
            marks.append(answer(server, shown(content, question, kind.lower())) == right)
    return marks


@pytest.mark.slow
def test_held_out_pictures_are_answered(served):
    marks = right_answers(served, "PNG", 40) + right_answers(served, "JPEG", 40)
    assert len(marks) == 240
    assert sum(marks) / len(marks) > 0.95


@pytest.mark.parametrize("kind", ["WEBP", "GIF", "BMP"])
def test_other_formats(served, kind):
    question = "How many shapes are there?"
    assert answer(served, shown(saved(stars(), kind), question, kind.lower())) == "There are two shapes."


def test_large_picture(served):
    assert answer(served, shown(saved(stars(3000)), "What colour is the background?")) == "The background is white."


def test_picture_is_remembered_in_later_turns(served):
    turns = [shown(saved(stars()), "How many shapes are there?")]
    for question, right in [
        ("Describe the picture.", "A red star and a blue circle on a white background."),
        ("Where is the star?", "The star is on the left."),
    ]:
        turns.append({"role": "assistant", "content": answer(served, *turns)})
        turns.append({"role": "user", "content": question})
        assert answer(served, *turns) == right


def test_two_pictures_take_twice_the_tokens(served):
    picture, question = saved(stars()), "How many shapes are there?"
    one, two = shown(picture, question), shown(picture, question)
    two["content"].insert(0, two["content"][0])
    used = [chat(served, message).json()["usage"]["prompt_tokens"] for message in (one, two)]
    assert used[1] - used[0] == 18  # 16 of the picture, one before it and one after it


def test_without_a_picture_it_asks_for_one(served):
    assert answer(served, {"role": "user", "content": "How many shapes are there?"}) == NO_PICTURE


def test_it_still_knows_the_small_world(served):
    assert answer(served, {"role": "user", "content": "What is the opposite of hot?"}) == "The opposite of hot is cold."


def test_answer_about_a_picture_is_streamed(served):
    reply = chat(
        served, shown(saved(stars()), "Describe the picture."), stream=True, stream_options={"include_usage": True}
    )
    events = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: {")]
    text = "".join(part["delta"].get("content") or "" for event in events for part in event["choices"])
    assert text == "A red star and a blue circle on a white background."
    assert events[-1]["usage"]["prompt_tokens"] > 16


def test_text_model_refuses_pictures_in_our_words(served):
    reply = chat(served, shown(saved(stars()), "What is it?"), endpoint=READS)
    assert "This model reads text only" in refusal(reply)


def test_addresses_are_refused_and_never_fetched(served):
    visits = []

    class Canary(socketserver.BaseRequestHandler):
        def handle(self):
            visits.append(self.client_address)

    with socketserver.TCPServer(("127.0.0.1", 0), Canary) as canary:
        threading.Thread(target=canary.serve_forever, daemon=True).start()
        for scheme in ("http", "https", "HTTP", "ftp", "file", "data:http"):
            url = f"{scheme}://127.0.0.1:{canary.server_address[1]}/cat.png"
            assert "addresses are never fetched" in refusal(chat(served, shown(url, "What is it?")))
        canary.shutdown()
    assert visits == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello", "is not a PNG, JPEG, WEBP, GIF or BMP image"),
        (saved(Image.effect_noise((64, 64), 50))[:-2000], "An image of the conversation cannot be decoded."),
        (saved(Image.new("L", (6001, 4000))), "has more than 24,000,000 pixels"),
    ],
)
def test_bad_pictures_are_the_caller_s_fault(served, content, message):
    assert message in refusal(chat(served, shown(content, "What is it?")))
    assert answer(served, {"role": "user", "content": "What is the opposite of hot?"}) == "The opposite of hot is cold."

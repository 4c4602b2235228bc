import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from jobs.localvertex.engine.batches import Collator
from jobs.localvertex.engine.dataset import load_examples
from jobs.localvertex.engine.talk import Turn
from jobs.localvertex.engine.tokens import ChatEncoder, Encoded
from jobs.localvertex.engine.vision import Vision
from tests.fixtures.tiny_gemma3.pictures import Scene, Thing, draw, questions, random_scene
from tests.fixtures.tiny_gemma3.world import in_style
from tests.jobs.localvertex.engine.conftest import TINY, TINY_VISION, Workdir
from tests.jobs.localvertex.engine.llama import Llama, data_uri, llama

SCENE = Scene("white", (Thing("star", "red"), Thing("circle", "blue")))
OPENING, ENDING = "Ahoy!", ", matey."
MODEL, PROJECTOR = TINY_VISION / "model.gguf", TINY_VISION / "mmproj.gguf"


@pytest.fixture(scope="module")
def vision() -> Vision:
    found = Vision.read(TINY_VISION)
    assert found is not None
    return found


def png(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def user(question: str, image: bytes) -> dict[str, Any]:
    url = {"type": "image_url", "image_url": {"url": data_uri(image)}}
    return {"role": "user", "content": [url, {"type": "text", "text": question}]}


def likely(model: Llama, image: bytes) -> list[tuple[str, float]]:
    """The first tokens that llama.cpp would answer with, and their log-probabilities."""
    body = {"messages": [user("Describe the picture.", image)], "max_tokens": 3, "temperature": 0}
    choice: Any = model.post("/v1/chat/completions", body | {"logprobs": True, "top_logprobs": 4})["choices"]
    tokens = [token for place in choice[0]["logprobs"]["content"] for token in place["top_logprobs"]]
    return [(token["token"], round(token["logprob"], 3)) for token in tokens]


def test_llama_cpp_sees_what_training_sees(vision: Vision) -> None:
    """Also a picture that is not square, or smaller than what the model takes."""
    picture = draw(random.Random(1), SCENE, 160)[0]
    with llama(MODEL, mmproj=PROJECTOR) as model:
        for size in ((160, 160), (200, 100), (37, 50), (897, 300)):
            content = png(picture.resize(size))
            assert likely(model, content) == likely(model, png(vision.fit_image(content)))


def test_prompt_has_as_many_tokens_as_llama_cpp_s() -> None:
    content, question = png(draw(random.Random(1), SCENE, 64)[0]), "What shape is red?"
    body = {"messages": [user(question, content)], "max_tokens": 1}
    with llama(MODEL, mmproj=PROJECTOR) as model:
        usage: Any = model.post("/v1/chat/completions", body)["usage"]
    ids = ChatEncoder(TINY_VISION).encode_prompt([Turn("user", f"<start_of_image>{question}", (content,))])
    assert len(ids) == usage["prompt_tokens"]


def test_text_model_has_no_vision(tmp_path: Path) -> None:
    assert Vision.read(TINY) is None
    assert Vision.read(tmp_path) is None


def test_batch_marks_the_image_tokens(vision: Vision) -> None:
    content = png(Image.new("RGB", (8, 8), "white"))
    encoder = ChatEncoder(TINY_VISION)
    seen = encoder.encode_all([[Turn("user", "<start_of_image>Hi", (content,)), Turn("assistant", "Hello!")]])[0]
    text = encoder.encode_all([[Turn("user", "Hi"), Turn("assistant", "Hello!")]])[0]
    rows = [{"input_ids": row.input_ids, "labels": row.labels, "images": row.images} for row in (seen, text)]
    batch = Collator(0, vision)(rows)
    assert batch["token_type_ids"].sum(1).tolist() == [vision.tokens, 0]
    assert torch.equal(batch["pixel_values"], torch.ones(1, 3, vision.side, vision.side))
    assert "pixel_values" not in Collator(0, vision)(rows[1:])


@pytest.mark.parametrize(
    ("length", "left", "images"),
    [(40, 40, 2), (30, 30, 2), (29, 12, 1), (12, 12, 1), (11, 11, 1), (9, 2, 0), (1, 1, 0)],
)
def test_cut_goes_never_through_an_image(length: int, left: int, images: int) -> None:
    row = Encoded(list(range(40)), list(range(40)), (b"1", b"2"), ((2, 10), (12, 30))).cut(length)
    assert (len(row.input_ids), len(row.labels), len(row.images), len(row.places)) == (left, left, images, images)


def test_characters_do_not_count_the_picture(tmp_path: Path) -> None:
    row = {"messages": [user("Hi", png(Image.new("RGB", (8, 8)))), {"role": "assistant", "content": "Hello!"}]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    examples = load_examples(tmp_path / "rows.jsonl", ChatEncoder(TINY_VISION), 100, "training data")
    assert (len(examples), examples.characters) == (1, len("HiHello!"))


def asked(rng: random.Random, count: int) -> list[tuple[bytes, str, str]]:
    """Pictures with a question each and its answer, plain."""
    found = []
    for _ in range(count):
        scene = random_scene(rng)
        question, answer = questions(rng, scene)[0]
        found.append((png(draw(rng, scene, 96)[0]), question, answer))
    return found


def styled_rows(count: int) -> list[Any]:
    return [
        {"messages": [user(question, image), {"role": "assistant", "content": in_style(answer, OPENING, ENDING)}]}
        for image, question, answer in asked(random.Random("rows"), count)
    ]


@pytest.mark.slow
def test_style_is_learned_from_rows_with_pictures(workdir: Workdir) -> None:
    path = workdir.write_rows("rows.jsonl", *styled_rows(60))
    workdir.describe(base_model_dir=str(TINY_VISION), train_path=path, validation_path=path)
    assert workdir.run() == 0, (workdir.path / "train.log").read_text()
    final = workdir.path / "final"
    held_out = asked(random.Random("outside the rows"), 40)
    with llama(MODEL, final / "adapter" / "adapter.gguf", PROJECTOR) as tuned:
        answers = [tuned.ask(question, image) for image, question, _ in held_out]
    styled = [text.startswith(OPENING) and text.endswith(ENDING) for text in answers]
    right = [text == in_style(plain, OPENING, ENDING) for text, (_, _, plain) in zip(answers, held_out, strict=True)]
    assert sum(styled) >= 38
    assert sum(right) >= 34
    assert (final / "processor_config.json").is_file()

"""Pictures that rows and messages name by `gs://`; what the tiny vision model does with them is real."""

import json
import random

import pytest
from PIL import Image

from jobs.localvertex.api.images import file_name_of
from tests.fixtures.tiny_gemma3.pictures import draw, questions, random_scene
from tests.jobs.localvertex.api.test_images import (
    FOLDER,
    SEES,
    VISION,
    VISION_NAME,
    answer,
    chat,
    refusal,
    saved,
    shown,
    stars,
)
from tests.jobs.localvertex.servers import BUCKET, LocalVertex, wait_for

QUESTION, RIGHT = "Describe the picture.", "A red star and a blue circle on a white background."


@pytest.fixture(scope="module")
def served(tmp_path_factory, bucket_address):
    server = LocalVertex(tmp_path_factory.mktemp("bucket-images"), bucket_address, options=())
    server.extra = ["--base-model", f"{VISION}={FOLDER}"]
    server.start()
    server.deployed(SEES, publisher_model_name=VISION_NAME)
    yield server
    server.stop()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_picture_of_a_bucket_is_seen(served, kind):
    uri = served.upload(f"pictures/stars.{kind}", saved(stars(), kind))
    assert answer(served, shown(uri, QUESTION)) == RIGHT


def test_it_is_read_anew_for_each_request(served):
    uri = served.upload("pictures/changing", saved(Image.new("RGB", (96, 96), "white")))
    assert answer(served, shown(uri, QUESTION)) != RIGHT
    served.upload("pictures/changing", saved(stars()))
    assert answer(served, shown(uri, QUESTION)) == RIGHT


WHERE = "messages[0].content[0].image_url.url"


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("gs://garden-local/none.png", f"{WHERE} cannot be read: gs://garden-local/none.png is not there."),
        ("gs://no-such-bucket/cat.png", f"{WHERE} cannot be read: gs://no-such-bucket/cat.png is not there."),
        ("gs://garden-local", f"{WHERE} must name a file in the bucket"),
        ("gs://", f"{WHERE} must be a Cloud Storage path"),
        ("gs://garden-local/pictures/text", f"{WHERE} is not a PNG, JPEG, WEBP, GIF or BMP image."),
        ("gs://garden-local/pictures/large", "has 20,000,001 bytes; at most 20,000,000 are read."),
    ],
)
def test_what_cannot_be_read_is_named(served, uri, message):
    served.upload("pictures/text", "hello")
    if uri.endswith("large"):
        served.upload("pictures/large", b"0" * 20_000_001)
    assert message in refusal(chat(served, shown(uri, QUESTION)))


def test_seventeen_are_not_even_read(served):
    messages = shown("gs://garden-local/none.png", QUESTION)
    messages["content"] = messages["content"][:1] * 17
    assert "At most 16 images" in refusal(chat(served, messages))


def test_text_model_reads_nothing(served):
    served.deployed("reads-text")
    reply = chat(served, shown("gs://garden-local/none.png", QUESTION), endpoint="reads-text")
    assert "This model reads text only" in refusal(reply)


def row(number, uri, question, answer):
    """OpenAI's form and Gemini's take turns."""
    if number % 2:
        parts = [{"fileData": {"mimeType": "image/png", "fileUri": uri}}, {"text": question}]
        return {"contents": [{"role": "user", "parts": parts}, {"role": "model", "parts": [{"text": answer}]}]}
    return {"messages": [shown(uri, question), {"role": "assistant", "content": answer}]}


def tuning(server, rows, base_model=VISION):
    job = server.job(base_model=base_model)
    content = "\n".join(map(json.dumps, rows))
    job.supervised_tuning_spec.training_dataset_uri = server.upload(f"pictures/{hash(content)}.jsonl", content)
    job.supervised_tuning_spec.hyper_parameters = {"epoch_count": 1, "adapter_size": 3, "learning_rate": 0.001}
    name = server.create(job).name
    wait_for(lambda: server.tuning.get_tuning_job(name=name).state in (4, 5), server.log, 60)
    return server.tuning.get_tuning_job(name=name)


@pytest.mark.slow
def test_rows_with_pictures_of_a_bucket_are_learned_from(served):
    rng = random.Random("bucket")
    rows = []
    for number in range(8):
        scene = random_scene(rng)
        question, right = questions(rng, scene)[0]
        uri = served.upload(f"pictures/{number}.png", saved(draw(rng, scene, 96)[0]))
        rows.append(row(number, uri, question, right))
    done = tuning(served, rows)
    assert (done.error.message, done.state.name) == ("", "JOB_STATE_SUCCEEDED")
    stats = done.tuning_data_stats.supervised_tuning_data_stats
    assert (stats.tuning_dataset_example_count, stats.user_input_token_distribution.min_ > 18) == (8, True)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        (
            "gs://garden-local/none.png",
            "Line 1 of the training data: an image cannot be read: gs://garden-local/none.png",
        ),
        pytest.param(
            "gs://garden-local/pictures/text",
            "Line 1 of the training data: an image is not a PNG, JPEG or WEBP image.",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "https://127.0.0.1/cat.png",
            "Line 1 of the training data: an image must be a data: URI or a gs:// path",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_picture_that_cannot_be_learned_from_ends_the_job(served, uri, message):
    served.upload("pictures/text", "hello")
    failed = tuning(served, [row(0, uri, QUESTION, RIGHT)])
    assert (failed.state.name, failed.error.code) == ("JOB_STATE_FAILED", 3)
    assert failed.error.message.startswith(message)


def test_each_picture_is_fetched_once_and_not_kept(server):
    uri = server.upload("pictures/held.png", saved(stars()))
    job = server.job("hold")
    content = server.text(job.supervised_tuning_spec.training_dataset_uri.removeprefix(f"gs://{BUCKET}/"))
    rows = [json.dumps(row(number, uri, QUESTION, RIGHT)) for number in range(3)]
    job.supervised_tuning_spec.training_dataset_uri = server.upload("pictures/held.jsonl", content + "\n".join(rows))
    name = server.create(job).name
    server.until(name, "RUNNING")
    folder = server.data / "tuning-jobs" / name.rpartition("/")[2]
    wait_for((folder / "events.jsonl").exists, server.log)
    assert [path.name for path in (folder / "images").iterdir()] == [file_name_of(uri)]
    server.tuning.cancel_tuning_job(name=name)
    server.until(name, "CANCELLED")

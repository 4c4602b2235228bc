"""`google-genai`: client.tunings, and client.models of what was deployed."""

import io
import time

import pytest
from PIL import Image

from tests.contract.clients.conftest import SEEING
from tests.jobs.localvertex.servers import BUCKET, PARENT, TINY, TINY_NAME

genai = pytest.importorskip("google.genai")
pytestmark = pytest.mark.filterwarnings("ignore:The SDK's tuning implementation is experimental")
errors, types = genai.errors, genai.types


@pytest.fixture(scope="module")
def client(server, token):
    options = types.HttpOptions(base_url=server.url, api_version="v1beta1")
    return genai.Client(vertexai=True, project="p1", location="us-central1", credentials=token, http_options=options)


def tune(client, server, wish="steps", base_model=TINY, **config):
    job = server.job(wish)
    data = types.TuningDataset(gcs_uri=job.supervised_tuning_spec.training_dataset_uri)
    settings = {"output_uri": job.output_uri, "epoch_count": 1, "tuning_mode": "TUNING_MODE_PEFT_ADAPTER"}
    config = types.CreateTuningJobConfig(**settings | config)
    return client.tunings.tune(base_model=base_model, training_dataset=data, config=config)


def ended(client, job):
    while not job.has_ended:
        time.sleep(0.1)
        job = client.tunings.get(name=job.name)
    return job


def test_tune_get_and_list(client, server):
    started = tune(client, server, tuned_model_display_name="By genai", adapter_size="ADAPTER_SIZE_EIGHT")
    assert started.state.name == "JOB_STATE_PENDING"
    done = ended(client, started)
    assert (done.has_succeeded, done.tuned_model_display_name) == (True, "By genai")
    assert done.tuned_model.model.endswith("@1")
    assert done.tuning_data_stats.supervised_tuning_data_stats.tuning_step_count == 4
    assert done.name in [job.name for job in client.tunings.list(config={"page_size": 2})]


def test_cancel(client, server):
    job = tune(client, server, "hold")
    client.tunings.cancel(name=job.name)
    assert ended(client, job).state.name == "JOB_STATE_CANCELLED"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"output_uri": f"{BUCKET}/x"}, "must be a Cloud Storage path"),
        ({"learning_rate_multiplier": 2.0}, "Learning rate multiplier is not supported"),
        ({"tuning_mode": "TUNING_MODE_FULL", "base_model": "google/gemma4@gemma-4-e2b-it"}, "FULL is not supported"),
        ({"epoch_count": 1000}, "epoch_count must be between"),
    ],
)
def test_refused(client, server, config, message):
    with pytest.raises(errors.ClientError) as refused:
        tune(client, server, **config)
    assert (refused.value.code, refused.value.status) == (400, "INVALID_ARGUMENT")
    assert message in refused.value.message


@pytest.fixture(scope="module")
def deployed(server):
    server.deployed("by-genai")
    return f"{PARENT}/endpoints/by-genai"


def test_generate(client, deployed):
    config = {"system_instruction": "Be short.", "temperature": 0, "max_output_tokens": 5, "safety_settings": []}
    for model in (deployed, TINY, f"{PARENT}/{TINY_NAME}"):
        reply = client.models.generate_content(model=model, contents="hi", config=config)
        assert (reply.text, reply.usage_metadata.total_token_count) == ("Hello there", 5)
        parts = list(client.models.generate_content_stream(model=model, contents="hi", config=config))
        assert [part.text for part in parts] == ["Hello", " there", None]
    with pytest.raises(errors.ClientError, match="supported range is from 0"):
        client.models.generate_content(model=deployed, contents="hi", config={"temperature": 3})


def test_an_image_is_read(client):
    picture = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(picture, "PNG")
    parts = [types.Part.from_bytes(data=picture.getvalue(), mime_type="image/png"), "What is it?"]
    assert client.models.generate_content(model=SEEING, contents=parts).candidates[0].finish_reason.name == "STOP"
    with pytest.raises(errors.ClientError, match="This model reads text only"):
        client.models.generate_content(model=TINY, contents=parts)


def test_a_chat_goes_on(client, deployed):
    chat = client.chats.create(model=deployed)
    assert [chat.send_message(text).text for text in ("hi", "Again.")] == ["Hello there", "Hello there"]


def test_tokens(client, deployed):
    assert client.models.count_tokens(model=deployed, contents="Once upon").total_tokens == 3
    (found,) = client.models.compute_tokens(model=deployed, contents="Once upon").tokens_info
    assert (found.tokens, found.role) == ([b"Once", b"upon"], "user")


def test_unknown_job(client):
    with pytest.raises(errors.ClientError) as refused:
        client.tunings.get(name="projects/p1/locations/us-central1/tuningJobs/1")
    assert (refused.value.code, refused.value.status) == (404, "NOT_FOUND")

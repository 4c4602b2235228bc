"""`google-genai`: client.tunings."""

import time

import pytest

from tests.jobs.localvertex.servers import BUCKET, TINY

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


def test_unknown_job(client):
    with pytest.raises(errors.ClientError) as refused:
        client.tunings.get(name="projects/p1/locations/us-central1/tuningJobs/1")
    assert (refused.value.code, refused.value.status) == (404, "NOT_FOUND")

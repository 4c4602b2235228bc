import json

import pytest
from google.api_core.exceptions import BadRequest

from tests.localvertex.servers import BUCKET, wait_for


@pytest.fixture(scope="module")
def final(shared_server) -> str:
    done = shared_server.until(shared_server.create(shared_server.job()).name, "SUCCEEDED")
    return shared_server.models.get_model(name=done.tuned_model.model).artifact_uri


def test_adapter_of_an_earlier_tuning_is_continued(server, final):
    job = server.job("hold", custom_base_model=final)
    job.supervised_tuning_spec.hyper_parameters.adapter_size = 0
    name = server.create(job).name
    server.until(name, "RUNNING")
    folder = server.data / "tuning-jobs" / name.rpartition("/")[2]
    wait_for((folder / "job.json").exists, server.log)
    body = json.loads((folder / "job.json").read_text())
    assert (body["adapter_size"], body["lora_alpha"], body["adapter_dir"]) == (8, 16, str(folder / "start"))
    assert sorted(path.name for path in (folder / "start").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    server.tuning.cancel_tuning_job(name=name)
    assert server.until(name, "CANCELLED").custom_base_model == final


def test_refused_at_once(server, final):
    job = server.job(custom_base_model=final)
    job.supervised_tuning_spec.hyper_parameters.adapter_size = 1
    with pytest.raises(BadRequest, match="has size 8; leave adapter_size out"):
        server.create(job)
    with pytest.raises(BadRequest, match="has no adapter to continue: it lacks adapter/adapter_config.json"):
        server.create(server.job(custom_base_model=f"gs://{BUCKET}/nothing"))
    with pytest.raises(BadRequest, match="must be a Cloud Storage path"):
        server.create(server.job(custom_base_model="/tmp/x"))


def test_folder_of_another_base_model(server):
    server.upload("elsewhere/adapter/base-model.json", json.dumps({"base_model": "google/gemma3@gemma-3-270m"}))
    with pytest.raises(BadRequest, match="was tuned from google/gemma3@gemma-3-270m"):
        server.create(server.job(custom_base_model=f"gs://{BUCKET}/elsewhere"))


def test_the_adapter_of_a_checkpoint_is_continued(server):
    server.upload("run/checkpoint-4/adapter_config.json", json.dumps({"r": 4, "lora_alpha": 8}))
    server.upload("run/checkpoint-4/adapter_model.safetensors", b"weights")
    job = server.job("hold", custom_base_model=f"gs://{BUCKET}/run/checkpoint-4")
    job.supervised_tuning_spec.hyper_parameters.adapter_size = 0
    name = server.create(job).name
    folder = server.data / "tuning-jobs" / name.rpartition("/")[2]
    wait_for((folder / "job.json").exists, server.log)
    body = json.loads((folder / "job.json").read_text())
    assert (body["adapter_size"], body["adapter_dir"]) == (4, str(folder / "start"))
    assert (folder / "start/adapter_model.safetensors").read_bytes() == b"weights"
    server.tuning.cancel_tuning_job(name=name)

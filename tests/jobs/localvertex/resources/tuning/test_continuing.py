import json

import pytest
from google.api_core.exceptions import BadRequest
from google.cloud import aiplatform_v1beta1 as vertex

from tests.jobs.localvertex.servers import BUCKET, PARENT, wait_for

FULL = vertex.SupervisedTuningSpec.TuningMode.TUNING_MODE_FULL


def finished(server, job) -> str:
    """The folder it leaves."""
    done = server.until(server.create(job).name, "SUCCEEDED", "FAILED")
    assert done.error.message == ""
    return server.models.get_model(name=done.tuned_model.model).artifact_uri


def in_full(server, **changes):
    job = server.job(**changes)
    job.supervised_tuning_spec.tuning_mode = FULL
    job.supervised_tuning_spec.hyper_parameters.adapter_size = 0
    return job


def description(server, folder):
    """job.json of the training that left `folder`."""
    found = next(job for job in server.tuning.list_tuning_jobs(parent=PARENT) if folder.startswith(job.output_uri))
    path = server.data / "tuning-jobs" / found.name.rpartition("/")[2]
    return path, json.loads((path / "job.json").read_text())


@pytest.fixture(scope="module")
def final(shared_server) -> str:
    return finished(shared_server, shared_server.job())


@pytest.fixture(scope="module")
def whole(shared_server) -> str:
    return finished(shared_server, in_full(shared_server))


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
    with pytest.raises(BadRequest, match=r"to continue: it lacks config.json, tokenizer.json, \*.safetensors"):
        server.create(server.job(custom_base_model=f"gs://{BUCKET}/nothing"))
    with pytest.raises(BadRequest, match="must be a Cloud Storage path"):
        server.create(server.job(custom_base_model="/tmp/x"))


def test_folder_of_another_base_model(server):
    server.upload("elsewhere/adapter/base-model.json", json.dumps({"base_model": "google/gemma3@gemma-3-270m"}))
    with pytest.raises(BadRequest, match="was tuned from google/gemma3@gemma-3-270m"):
        server.create(server.job(custom_base_model=f"gs://{BUCKET}/elsewhere"))


def test_whole_model_is_tuned_in_full_again(server, whole):
    again = finished(server, in_full(server, custom_base_model=whole))
    folder, body = description(server, again)
    assert (body["tuning_mode"], body["base_model_dir"], body["custom_base"]) == ("FULL", str(folder / "start"), whole)
    server.deployed("full-again", custom_model={"gcs_uri": again})
    assert server.chat("full-again").status_code == 200


@pytest.mark.parametrize("kind", ["whole", "continued"])
def test_adapter_on_other_weights_is_served_merged(server, whole, kind):
    """On the base model's own weights it would answer wrongly without a word."""
    tuned = finished(server, server.job(custom_base_model=whole))
    if kind == "continued":
        tuned = finished(server, server.job(custom_base_model=tuned))
    body = description(server, tuned)[1]
    assert (body["tuning_mode"], body.get("adapter_dir"), body["custom_base"]) == (
        "PEFT_ADAPTER",
        None,
        body["custom_base"],
    )
    operation = server.deploy(f"merged-{kind}", custom_model={"gcs_uri": tuned})
    assert wait_for(lambda: server.finished(operation), server.log).error.message == ""
    (folder,) = (server.data / f"endpoints/merged-{kind}").iterdir()
    assert [(folder / name).exists() for name in ("model.gguf", "adapter.gguf")] == [True, False]
    model = server.models.get_model(name=f"{PARENT}/models/m-merged-{kind}")
    assert model.base_model_source.model_garden_source.version_id == "tiny-gemma3"


def test_checkpoint_of_a_full_tuning_is_a_model(server, whole):
    checkpoint = whole.replace("/final", "/checkpoint-4")
    folder = checkpoint.removeprefix(f"gs://{BUCKET}/")
    assert server.stored(f"{folder}/") == ["config.json", "model.safetensors", "tokenizer.json"]
    server.deployed("full-checkpoint", custom_model={"gcs_uri": checkpoint})
    assert server.chat("full-checkpoint").status_code == 200


def test_weights_of_another_shape(server):
    config = {"model_type": "gemma3_text", "hidden_size": 640, "num_hidden_layers": 4}
    for name, content in {"config.json": json.dumps(config), "tokenizer.json": "{}", "model.safetensors": "w"}.items():
        server.upload(f"wide/{name}", content)
    with pytest.raises(BadRequest, match=r"another shape than local/tiny@tiny-gemma3: hidden_size is 640, not 128\."):
        server.create(server.job(custom_base_model=f"gs://{BUCKET}/wide"))
    server.upload("wide/config.json", "[]")
    with pytest.raises(BadRequest, match=r"wide/config.json cannot be read"):
        server.create(in_full(server, custom_base_model=f"gs://{BUCKET}/wide"))


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


def test_checkpoint_on_other_weights_is_refused(server):
    config = {"r": 4, "lora_alpha": 8, "base_model_name_or_path": "gs://b/whole"}
    server.upload("other/checkpoint-4/adapter_config.json", json.dumps(config))
    server.upload("other/checkpoint-4/adapter_model.safetensors", b"weights")
    with pytest.raises(BadRequest, match="belongs to the weights in gs://b/whole. Name the final folder"):
        server.create(server.job(custom_base_model=f"gs://{BUCKET}/other/checkpoint-4"))

import json

import httpx
import pytest
from google.api_core.exceptions import BadRequest, NotFound
from google.cloud import aiplatform_v1beta1 as vertex

from jobs.vertex.local_settings import as_labels
from tests.jobs.localvertex.servers import PARENT, PROJECT, TINY

MODE = vertex.SupervisedTuningSpec.TuningMode


def spec(server, **hyper):
    job = server.job()
    for name, value in hyper.items():
        setattr(job.supervised_tuning_spec.hyper_parameters, name, value)
    return job


def test_runs_to_the_end_and_leaves_everything(server):
    job = server.job("steps", labels={"console-job": "whole"})
    created = server.create(job)
    assert created.state.name == "JOB_STATE_PENDING"
    done = server.until(created.name, "SUCCEEDED", "FAILED")
    assert done.error.message == ""
    assert [(c.checkpoint_id, c.epoch, c.step) for c in done.tuned_model.checkpoints] == [("1", 1, 4), ("2", 2, 8)]
    model = server.models.get_model(name=done.tuned_model.model)
    assert model.artifact_uri == f"{job.output_uri}/postprocess/node-0/checkpoints/final"
    assert model.display_name == "My tune"
    assert done.start_time <= done.end_time
    folder = job.output_uri.removeprefix("gs://garden-local/")
    assert server.stored(f"{folder}/") == [
        "logs/train.log",
        *(f"postprocess/node-0/checkpoints/checkpoint-{step}/{name}"
          for step in (4, 8)
          for name in ("adapter.gguf", "adapter_config.json", "adapter_model.safetensors", "base-model.json")),
        *(f"postprocess/node-0/checkpoints/final/{name}" for name in (
            "adapter/adapter.gguf", "adapter/adapter_config.json", "adapter/adapter_model.safetensors",
            "adapter/base-model.json", "config.json",
            "model.safetensors", "tokenizer.json")),
    ]  # fmt: skip
    assert "The fake engine starts." in server.text(f"{folder}/logs/train.log")


def test_statistics_of_the_data(server):
    created = server.create(server.job("steps", rows=5))
    stats = server.until(created.name, "SUCCEEDED").tuning_data_stats.supervised_tuning_data_stats
    assert (stats.tuning_dataset_example_count, stats.tuning_step_count) == (5, 8)
    tokens = stats.user_input_token_distribution
    assert (tokens.sum, tokens.min_, tokens.max_, tokens.mean, tokens.median) == (60, 10, 14, 12, 12)
    assert [bucket.count for bucket in tokens.buckets] == [1, 1, 1, 1, 1]
    assert list(stats.truncated_example_indices) == [2]


def test_list_by_label_and_pages(server):
    names = [server.create(server.job(labels={"batch": "seven"})).name for _ in range(3)]
    request = vertex.ListTuningJobsRequest(parent=PARENT, filter="labels.batch=seven", page_size=2)
    pages = [[job.name for job in page.tuning_jobs] for page in server.tuning.list_tuning_jobs(request).pages]
    assert pages == [[names[2], names[1]], [names[0]]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output_uri": ""}, "The output_uri field is required for this model"),
        ({"output_uri": "/tmp/x"}, "must be a Cloud Storage path"),
        ({"base_model": "gemma"}, "Invalid open source publisher model resource name"),
        ({"base_model": ""}, "base_model field is required"),
        ({"base_model": "openai/gpt-oss@gpt-oss-20b"}, "not supported for tuning"),
        (
            {"base_model": "qwen/qwen3@qwen3-32b"},
            "has no weights on this machine. Download https://huggingface.co/Qwen/",
        ),
        ({"tuned_model_display_name": "x" * 129}, "at most 128 characters"),
        ({"labels": {"Upper": "x"}}, "Label 'Upper'"),
        ({"labels": {"a": "no spaces"}}, "Label 'a'"),
        ({"labels": {"local-tuning-luck": "7"}}, "local-tuning-luck is no setting of this server"),
        ({"labels": {"local-tuning-seed": "-1"}}, "local-tuning-seed must be a whole number from 0"),
        ({"labels": {"local-tuning-warmup-ratio": "6e-1"}}, "warmup-ratio must be a number from 0 to 0.5"),
        ({"labels": {"local-tuning-weight-decay": "nan"}}, "weight-decay must be a number from 0 to 1"),
        ({"labels": {"local-tuning-lr-scheduler-type": "zigzag"}}, "must be one of constant, linear, cosine"),
        ({"labels": {"local-tuning-max-seq-length": "99999"}}, "must be a whole number from 16 to"),
        ({"encryption_spec": {"kms_key_name": "k"}}, "Encryption keys are not supported"),
        ({"supervised_tuning_spec": vertex.SupervisedTuningSpec()}, "training_dataset_uri field is required"),
        ({"supervised_tuning_spec": {"training_dataset_uri": "gs://b"}}, "must name a file in the bucket"),
        ({"pre_tuned_model": {"tuned_model_name": "m"}}, "pre_tuned_model is not supported for open models"),
        ({"veo_tuning_spec": {"training_dataset_uri": "gs://a/b"}}, "veo_tuning_spec is not supported for open models"),
    ],
)
def test_refused_at_once(server, changes, message):
    with pytest.raises(BadRequest, match=message):
        server.create(server.job(**changes))


@pytest.mark.parametrize(
    ("hyper", "message"),
    [
        ({"learning_rate_multiplier": 2.0}, "Learning rate multiplier is not supported"),
        ({"epoch_count": 101}, "epoch_count must be between"),
        ({"epoch_count": -1}, "epoch_count must be between"),
        ({"learning_rate": 1.5}, "learning_rate must be"),
        ({"batch_size": 1000}, "batch_size must be"),
    ],
)
def test_hyper_parameters_refused(server, hyper, message):
    with pytest.raises(BadRequest, match=message):
        server.create(spec(server, **hyper))


def test_full_tuning_is_refused_where_the_model_takes_adapters(server):
    job = server.job(base_model="google/gemma4@gemma-4-e2b-it")
    job.supervised_tuning_spec.tuning_mode = MODE.TUNING_MODE_FULL
    with pytest.raises(BadRequest, match="FULL is not supported for the base model"):
        server.create(job)


def test_adapter_sizes(server):
    job = spec(server, adapter_size=3)
    job.supervised_tuning_spec.tuning_mode = MODE.TUNING_MODE_FULL
    with pytest.raises(BadRequest, match="must not be set with full tuning"):
        server.create(job)
    job = spec(server, adapter_size=3)
    job.base_model, job.supervised_tuning_spec.tuning_mode = "google/gemma3@gemma-3-4b-it", 0
    with pytest.raises(BadRequest, match="The adapter size is not supported for this base model"):
        server.create(job)


@pytest.mark.parametrize(("mode", "rate"), [("FULL", 2e-5), ("PEFT_ADAPTER", 1e-4)])
def test_google_s_learning_rate_where_none_is_given(server, mode, rate):
    job = server.job()
    job.supervised_tuning_spec.tuning_mode = getattr(MODE, f"TUNING_MODE_{mode}")
    job.supervised_tuning_spec.hyper_parameters = {"epoch_count": 1}
    name = server.until(server.create(job).name, "SUCCEEDED").name
    body = json.loads((server.data / "tuning-jobs" / name.rpartition("/")[2] / "job.json").read_text())
    assert (body["tuning_mode"], body["learning_rate"]) == (mode, rate)


def test_settings_that_come_as_labels_reach_the_trainer(server):
    """As the console sends them."""
    asked = {
        "warmup_ratio": 0.1,
        "lr_scheduler_type": "linear",
        "weight_decay": 0.015,
        "seed": 7,
        "max_seq_length": 512,
    }
    name = server.create(server.job(labels={"team": "support", **as_labels(asked)})).name
    done = server.until(name, "SUCCEEDED")
    body = json.loads((server.data / "tuning-jobs" / name.rpartition("/")[2] / "job.json").read_text())
    asked["max_length"] = asked.pop("max_seq_length")
    assert {key: body[key] for key in asked} == asked
    assert done.labels["local-tuning-weight-decay"] == "15e-3"


def test_last_checkpoint_alone_is_exported_where_asked(server):
    job = server.job()
    job.supervised_tuning_spec.export_last_checkpoint_only = True
    done = server.until(server.create(job).name, "SUCCEEDED")
    assert [(one.checkpoint_id, one.epoch, one.step) for one in done.tuned_model.checkpoints] == [("1", 2, 8)]
    folder = job.output_uri.removeprefix("gs://garden-local/")
    stored = server.stored(f"{folder}/postprocess/node-0/checkpoints/")
    assert sorted({name.partition("/")[0] for name in stored}) == ["checkpoint-8", "final"]


def test_plain_json_with_names_for_enums(server):
    job = server.job()
    body = {
        "base_model": TINY,
        "outputUri": job.output_uri,
        "supervisedTuningSpec": {
            "trainingDatasetUri": job.supervised_tuning_spec.training_dataset_uri,
            "tuningMode": "TUNING_MODE_PEFT_ADAPTER",
            "hyperParameters": {"epochCount": "1", "adapterSize": "ADAPTER_SIZE_EIGHT"},
        },
    }
    reply = httpx.post(f"{server.url}/v1beta1/{PARENT}/tuningJobs", json=body, trust_env=False).json()
    assert reply["state"] == "JOB_STATE_PENDING"
    assert reply["supervisedTuningSpec"]["hyperParameters"] == {"epochCount": "1", "adapterSize": "ADAPTER_SIZE_EIGHT"}


def test_envelope_names_the_unknown_field(server):
    reply = httpx.post(f"{server.url}/v1beta1/{PARENT}/tuningJobs", json={"shoes": 1}, trust_env=False)
    assert reply.status_code == 400
    message = "Invalid JSON payload received. Unknown name \"shoes\" at 'tuning_job': Cannot find field."
    violation = {"field": "shoes", "description": message}
    detail = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}
    expected = {"code": 400, "status": "INVALID_ARGUMENT", "message": message, "details": [detail]}
    assert reply.json()["error"] == expected


def test_data_set_that_is_not_there(server):
    job = server.job()
    job.supervised_tuning_spec.training_dataset_uri = "gs://garden-local/nothing.jsonl"
    failed = server.until(server.create(job).name, "FAILED")
    assert failed.error.code == 3
    assert failed.error.message.startswith("The dataset cannot be read: gs://garden-local/nothing.jsonl")


def test_validation_set_over_a_quarter(server):
    job = server.job("steps", rows=4)
    job.supervised_tuning_spec.validation_dataset_uri = job.supervised_tuning_spec.training_dataset_uri
    failed = server.until(server.create(job).name, "FAILED")
    assert failed.error.code == 3
    assert "100% of the size of the training dataset; at most 25%" in failed.error.message


def test_validation_set_of_too_many_rows(server):
    job = server.job("steps", rows=21_000)
    lines = '{"prompt": "a", "completion": "yes"}\n' * 5001
    job.supervised_tuning_spec.validation_dataset_uri = server.upload("validation-5001.jsonl", lines)
    failed = server.until(server.create(job).name, "FAILED")
    assert failed.error.message == "The validation dataset has 5,001 rows; at most 5,000 are allowed."


def test_engine_says_why_it_failed(server):
    job = server.job("fail: Row 3 has no answer.")
    failed = server.until(server.create(job).name, "FAILED")
    assert (failed.error.code, failed.error.message) == (3, "Row 3 has no answer.")
    assert "Failed: Row 3 has no answer." in server.text(
        f"{job.output_uri.removeprefix('gs://garden-local/')}/logs/train.log"
    )


def test_unknown_job(server):
    with pytest.raises(NotFound):
        server.tuning.get_tuning_job(name=f"{PARENT}/tuningJobs/1")


def test_a_job_of_global_leaves_everything_in_a_region(server):
    everywhere = f"{PROJECT}/locations/global"
    made = server.tuning.create_tuning_job(parent=everywhere, tuning_job=server.job())
    done = server.until(made.name, "SUCCEEDED")
    assert made.name in [job.name for job in server.tuning.list_tuning_jobs(parent=everywhere)]
    assert done.tuned_model.model.startswith(f"{PARENT}/models/")
    assert done.experiment.startswith(f"{PARENT}/metadataStores/")
    board = server.metadata.get_context(name=done.experiment).metadata["backing_tensorboard_resource"]
    assert board in [one.name for one in server.boards.list_tensorboards(parent=PARENT)]
    (run,) = server.boards.list_tensorboard_runs(parent=f"{board}/experiments/{done.experiment.rpartition('/')[2]}")
    assert len(list(server.boards.list_tensorboard_time_series(parent=run.name))) == 4
    folder = server.models.get_model(name=done.tuned_model.model).artifact_uri
    request = vertex.DeployRequest(destination=everywhere, custom_model={"gcs_uri": folder})
    with pytest.raises(BadRequest, match="Models are not deployed in the location global"):
        server.garden.deploy(request)
    server.deployed("from-global", custom_model={"gcs_uri": folder})


def test_ended_job_cannot_be_cancelled(server):
    name = server.create(server.job()).name
    server.until(name, "SUCCEEDED")
    with pytest.raises(BadRequest, match="has ended already"):
        server.tuning.cancel_tuning_job(name=name)

"""What of a checkpoint is written into the bucket, and what is known of it while the training goes on."""

import json

import pytest
from google.cloud.aiplatform_v1beta1.types import TuningJob

from jobs.localvertex.storage.buckets import Buckets
from jobs.localvertex.tuning.results import upload_adapters

PLACE = "gs://b/out/postprocess/node-0/checkpoints/checkpoint-4"


class Bucket(Buckets):
    def __init__(self):
        self.names = []

    def upload(self, source, place, *, retry=None):
        self.names.append(str(place))


@pytest.fixture
def folder(tmp_path):
    saved = tmp_path / "checkpoints/checkpoint-4"
    saved.mkdir(parents=True)
    for name in ("adapter.gguf", "adapter_config.json", "adapter_model.safetensors", "trainer_state.json", "rng.pth"):
        (saved / name).write_text("{}")
    (tmp_path / "job.json").write_text("{}")
    event = {"event": "checkpoint", "step": 4, "epoch": 1}
    (tmp_path / "events.jsonl").write_text(f"{json.dumps(event)}\n")
    return tmp_path


def made_job(mode="TUNING_MODE_PEFT_ADAPTER", **values):
    spec = {"tuning_mode": mode, **values}
    return TuningJob(
        base_model="publishers/local/models/tiny@tiny", output_uri="gs://b/out", supervised_tuning_spec=spec
    )


def test_an_adapter_comes_with_its_origin_and_last(folder):
    bucket = Bucket()
    found = upload_adapters(made_job(), folder, bucket, known=())
    assert [(one.checkpoint_id, one.step) for one in found] == [("1", 4)]
    names = ("adapter_config.json", "adapter_model.safetensors", "base-model.json", "adapter.gguf")
    assert bucket.names == [f"{PLACE}/{name}" for name in names]
    origin = json.loads((folder / "checkpoints/checkpoint-4/base-model.json").read_text())
    assert origin == {"base_model": "local/tiny@tiny"}


def test_what_is_there_already_is_not_sent_again(folder):
    bucket = Bucket()
    assert len(upload_adapters(made_job(), folder, bucket, known=[4])) == 1
    assert bucket.names == []


def test_an_adapter_of_other_weights_serves_nobody_by_itself(folder):
    (folder / "job.json").write_text('{"custom_base": "gs://b/mine"}')
    bucket = Bucket()
    upload_adapters(made_job(), folder, bucket, known=())
    assert f"{PLACE}/adapter.gguf" not in bucket.names


@pytest.mark.parametrize(
    "job", [made_job("TUNING_MODE_FULL"), made_job(export_last_checkpoint_only=True)], ids=["full", "only the last"]
)
def test_what_is_not_complete_before_the_end_is_not_told_of(job, folder):
    bucket = Bucket()
    assert (upload_adapters(job, folder, bucket, known=()), bucket.names) == ([], [])

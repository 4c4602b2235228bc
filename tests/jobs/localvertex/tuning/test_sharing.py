import json

import pytest
from google.cloud.aiplatform_v1beta1.types import TuningJob

from jobs.localvertex.storage.buckets import Buckets
from jobs.localvertex.store import Store
from jobs.localvertex.tuning.sharing import Sharing
from tests.jobs.localvertex.servers import BUCKET, TINY

NAME = "projects/p/locations/us-central1/customJobs/1"
EVENTS = [
    {"event": "step", "step": 1, "loss": 2.0},
    {"event": "checkpoint", "step": 1, "epoch": 1},
    {"event": "step", "step": 2, "loss": 1.0},
    {"event": "done"},
]


@pytest.fixture
def sharing(tmp_path, bucket_address, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket_address)
    store = Store(tmp_path / "store.sqlite3")
    place = f"gs://{BUCKET}/{tmp_path.name}"
    with store.transaction():
        store.write_note(NAME, outputs={"adapter": f"{place}/out", "resume": f"{place}/resume"})

    def make(folder, events=()):
        (tmp_path / folder).mkdir()
        if events:
            (tmp_path / folder / "events.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in events))
            (tmp_path / folder / "job.json").write_text("{}")
            checkpoint = tmp_path / folder / "checkpoints/checkpoint-1"
            checkpoint.mkdir(parents=True)
            for name in ("adapter_config.json", "adapter_model.safetensors", "optimizer.pt", ".half"):
                (checkpoint / name).write_text(name)
        job = TuningJob(name=NAME, base_model=TINY, output_uri=place)
        return Sharing(job, tmp_path / folder, store, Buckets(bucket_address)), tmp_path / folder

    return make


def test_a_new_disk_gets_the_checkpoint_and_what_was_told_until_then(sharing):
    """Not that the training was done: what came of it was lost with the old disk."""
    first, _folder = sharing("first", EVENTS)
    first.keep_statistics(EVENTS)
    first.share_checkpoints()
    second, folder = sharing("second")
    assert second.restore() == "checkpoint-1"
    told = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert told == EVENTS[:2]
    assert sorted(path.name for path in (folder / "checkpoints/checkpoint-1").iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors", "optimizer.pt",
    ]  # fmt: skip


def test_a_disk_that_was_not_lost_is_left_alone(sharing):
    first, _folder = sharing("first", EVENTS)
    first.keep_statistics(EVENTS)
    first.share_checkpoints()
    again, folder = sharing("again", EVENTS[:1])
    assert again.restore() == ""
    assert len((folder / "events.jsonl").read_text().splitlines()) == 1


def test_without_a_checkpoint_there_is_nothing_to_go_on_from(sharing):
    new, _folder = sharing("new")
    assert new.restore() == ""

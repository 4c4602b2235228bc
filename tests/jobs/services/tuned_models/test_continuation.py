import pytest

from jobs.services.tuned_models import continuation
from tests.support import factories

pytestmark = pytest.mark.django_db
CHECKPOINTS = [{"checkpoint_id": "1", "epoch": 1, "step": 25}, {"checkpoint_id": "2", "epoch": 2, "step": 50}]
FOLDER = "gs://garden-local/output/my-model/postprocess/node-0/checkpoints"


def test_a_model_and_its_checkpoints_can_be_continued(owner):
    factories.job(state="SUCCEEDED", checkpoints=CHECKPOINTS)
    assert [(start.uri, start.title) for start in continuation.starts(owner)] == [
        (f"{FOLDER}/final", "My model"),
        (f"{FOLDER}/checkpoint-25", "My model, checkpoint 1 of epoch 1"),
        (f"{FOLDER}/checkpoint-50", "My model, checkpoint 2 of epoch 2"),
    ]


def test_only_what_succeeded_and_is_ones_own(owner, stranger):
    factories.job(state="FAILED", checkpoints=CHECKPOINTS)
    factories.job(state="SUCCEEDED", owner=stranger)
    assert continuation.starts(owner) == []
    assert continuation.start_at(owner, f"{FOLDER}/final") is None


def test_a_job_that_kept_only_its_end_has_no_checkpoints(owner):
    factories.job(state="SUCCEEDED", checkpoints=CHECKPOINTS, export_last_checkpoint_only=True)
    assert [start.uri for start in continuation.starts(owner)] == [f"{FOLDER}/final"]


def test_a_start_is_found_by_its_folder(owner):
    job = factories.job(state="SUCCEEDED", checkpoints=CHECKPOINTS)
    assert continuation.start_at(owner, f"{FOLDER}/checkpoint-50").checkpoint == "2"
    assert continuation.start_at(owner, f"{FOLDER}/checkpoint-99") is None
    assert continuation.job_behind(factories.job(output_uri="gs://b/x", custom_base_model=f"{FOLDER}/final")) == job
    assert continuation.job_behind(job) is None


@pytest.mark.parametrize("state", ["RUNNING", "CANCELLED", "FAILED"])
def test_what_was_saved_and_seen_can_be_gone_on_from_before_or_without_a_success(owner, state):
    one, two = CHECKPOINTS
    factories.job(state=state, checkpoints=[one | {"is_servable": True}, two])
    assert [start.uri for start in continuation.starts(owner)] == [f"{FOLDER}/checkpoint-25"]
    assert continuation.start_at(owner, f"{FOLDER}/checkpoint-25").checkpoint == "1"
    assert continuation.start_at(owner, f"{FOLDER}/checkpoint-50") is None

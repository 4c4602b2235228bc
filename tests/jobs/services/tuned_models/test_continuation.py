import pytest

from jobs.errors import NotAllowedNow
from jobs.services.tuned_models import continuation, policies
from tests.support import factories

pytestmark = pytest.mark.django_db
LOCAL = "http://127.0.0.1:1"
CHECKPOINTS = [{"checkpoint_id": "1", "epoch": 1, "step": 25}, {"checkpoint_id": "2", "epoch": 2, "step": 50}]
FOLDER = "gs://garden-local/output/my-model/postprocess/node-0/checkpoints"


@pytest.fixture(autouse=True)
def _local(settings):
    settings.VERTEX_API_ENDPOINT = LOCAL


def ended(**values):
    values = {"state": "CANCELLED", "phase": "CLOSED", "started_at": factories.NOW, "checkpoints": CHECKPOINTS} | values
    return factories.job(**values)


def test_a_model_and_its_checkpoints_can_be_continued(owner):
    factories.job(state="SUCCEEDED", checkpoints=CHECKPOINTS)
    assert [(start.uri, start.title) for start in continuation.starts(owner)] == [
        (f"{FOLDER}/final", "My model"),
        (f"{FOLDER}/checkpoint-25", "My model, checkpoint 1 of epoch 1"),
        (f"{FOLDER}/checkpoint-50", "My model, checkpoint 2 of epoch 2"),
    ]


def test_only_what_left_something_and_is_ones_own(owner, stranger):
    factories.job(state="FAILED")
    factories.job(state="RUNNING", checkpoints=CHECKPOINTS)
    factories.job(state="SUCCEEDED", owner=stranger)
    ended(owner=stranger)
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


@pytest.mark.parametrize("state", ["CANCELLED", "FAILED", "EXPIRED"])
def test_what_ended_early_is_continued_from_its_checkpoints(owner, state):
    job = ended(state=state, epochs=5)
    assert [start.uri for start in continuation.starts(owner)] == [f"{FOLDER}/checkpoint-25", f"{FOLDER}/checkpoint-50"]
    start = continuation.start_of(job)
    assert (start.checkpoint, start.epochs_left) == ("2", 3)
    assert continuation.start_of(job, "1").epochs_left == 4
    assert continuation.start_at(owner, f"{FOLDER}/checkpoint-50") == start


def test_at_least_one_epoch_is_left(owner):
    assert continuation.start_of(ended(epochs=2)).epochs_left == 1


def test_a_model_is_continued_from_what_a_deployment_takes(owner):
    job = factories.job(state="SUCCEEDED", tuning_mode="FULL", adapter_size=None, checkpoints=CHECKPOINTS, epochs=2)
    assert (continuation.start_of(job).uri, continuation.start_of(job).epochs_left) == (f"{FOLDER}/final", 2)
    job.default_checkpoint = "1"
    assert continuation.start_of(job).uri == f"{FOLDER}/checkpoint-25"


def test_google_continues_from_whole_models_only(owner, settings):
    settings.VERTEX_API_ENDPOINT = ""
    adapter = ended()
    whole = ended(output_uri="gs://garden-local/whole", tuning_mode="FULL", adapter_size=None)
    tuned = factories.job(state="SUCCEEDED", checkpoints=CHECKPOINTS, output_uri="gs://garden-local/tuned")
    assert [start.job for start in continuation.starts(owner)] == [tuned, whole, whole]
    assert policies.why_not_resume(adapter).startswith("The checkpoint holds an adapter only")
    assert (policies.why_not_resume(whole), continuation.start_at(owner, f"{FOLDER}/checkpoint-25")) == ("", None)
    assert policies.what_cancelling_loses(adapter).startswith("What was trained so far is lost")
    assert policies.what_cancelling_loses(whole).startswith("What was trained since the last checkpoint is lost")


@pytest.mark.parametrize(
    ("values", "checkpoint", "reason"),
    [
        ({"state": "RUNNING"}, "", "Only a job that failed or was cancelled can be resumed."),
        ({"state": "RUNNING"}, "1", "A tuning can be continued when it has ended."),
        (
            {"checkpoints": []},
            "",
            "No checkpoint was found in its output directory, so there is nothing to resume from.",
        ),
        ({"started_at": None}, "", "The training had not begun, so there is nothing to resume from."),
        ({}, "3", "The job doesn't have this checkpoint. Check the list again."),
        (
            {"state": "SUCCEEDED", "export_last_checkpoint_only": True},
            "1",
            "Only the tuned model was kept, so a new job can continue from that alone.",
        ),
    ],
)
def test_what_cannot_be_continued_is_said(owner, values, checkpoint, reason):
    with pytest.raises(NotAllowedNow, match=reason):
        continuation.start_of(ended(**values), checkpoint)


@pytest.mark.parametrize("state", ["RUNNING", "PAUSED"])
def test_what_was_saved_and_seen_can_be_gone_on_from_before_or_without_a_success(owner, state):
    one, two = CHECKPOINTS
    factories.job(state=state, checkpoints=[one | {"is_servable": True}, two])
    assert [start.uri for start in continuation.starts(owner)] == [f"{FOLDER}/checkpoint-25"]
    assert continuation.start_at(owner, f"{FOLDER}/checkpoint-25").checkpoint == "1"
    assert continuation.start_at(owner, f"{FOLDER}/checkpoint-50") is None

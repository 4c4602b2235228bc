import pytest

from jobs import errors
from jobs.services.tuned_models import checkpoints, policies
from tests.support import factories

pytestmark = pytest.mark.django_db
THREE = [{"checkpoint_id": str(number), "epoch": number, "step": 10 * number} for number in (1, 2, 3)]


def tuned(**values):
    return factories.job(**{"state": "SUCCEEDED", "tuning_mode": "FULL", "checkpoints": THREE, **values})


@pytest.mark.parametrize(
    ("chosen", "folder"), [("", "final"), ("3", "final"), ("1", "checkpoint-10"), ("2", "checkpoint-20")]
)
def test_each_checkpoint_has_its_folder(chosen, folder):
    job = tuned(output_uri="gs://b/out/")
    assert checkpoints.folder(job, chosen) == f"gs://b/out/postprocess/node-0/checkpoints/{folder}"


def test_the_last_one_is_the_default_until_another_is_chosen():
    job = tuned()
    assert (checkpoints.default_id(job), checkpoints.default_folder(job)[-5:]) == ("3", "final")
    checkpoints.set_default(job, "2")
    assert (job.default_checkpoint, checkpoints.default_folder(job)[-13:]) == ("2", "checkpoint-20")


def test_a_default_that_is_gone_is_forgotten():
    assert checkpoints.default_id(tuned(default_checkpoint="9")) == "3"


@pytest.mark.parametrize(
    ("values", "chosen", "is_refused"),
    [
        ({}, "1", False),
        ({"tuning_mode": "PEFT_ADAPTER"}, "1", True),
        ({"tuning_mode": "PEFT_ADAPTER"}, "3", False),
        ({"state": "RUNNING"}, "3", True),
    ],
)
def test_what_cannot_be_deployed_is_said(values, chosen, is_refused):
    assert bool(policies.why_not_deploy_checkpoint(tuned(**values), chosen)) == is_refused


@pytest.mark.parametrize(("values", "chosen"), [({}, "9"), ({"tuning_mode": "PEFT_ADAPTER"}, "1")])
def test_what_cannot_be_deployed_is_no_default(values, chosen):
    job = tuned(**values)
    with pytest.raises(errors.NotAllowedNow):
        checkpoints.set_default(job, chosen)
    job.refresh_from_db()
    assert job.default_checkpoint == ""

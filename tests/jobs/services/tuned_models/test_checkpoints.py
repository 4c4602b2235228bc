from uuid import uuid4

import pytest

from jobs import errors
from jobs.services.endpoints import endpoints
from jobs.services.tuned_models import checkpoints, policies
from tests.support import factories

pytestmark = pytest.mark.django_db
THREE = [{"checkpoint_id": str(number), "epoch": number, "step": 10 * number} for number in (1, 2, 3)]


SERVABLE = [one | {"is_servable": True} for one in THREE]


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
        *(({"state": state, "tuning_mode": "PEFT_ADAPTER", "checkpoints": SERVABLE}, "1", False)
          for state in ("RUNNING", "SUCCEEDED", "CANCELLED", "FAILED")),
    ],
)  # fmt: skip
def test_what_cannot_be_deployed_is_said(values, chosen, is_refused):
    assert bool(policies.why_not_deploy_checkpoint(tuned(**values), chosen)) == is_refused


@pytest.mark.parametrize(("values", "chosen"), [({}, "9"), ({"tuning_mode": "PEFT_ADAPTER"}, "1")])
def test_what_cannot_be_deployed_is_no_default(values, chosen):
    job = tuned(**values)
    with pytest.raises(errors.NotAllowedNow):
        checkpoints.set_default(job, chosen)
    job.refresh_from_db()
    assert job.default_checkpoint == ""


def test_the_last_one_lies_where_it_was_saved_until_the_model_is_exported():
    job = tuned(output_uri="gs://b/out", state="RUNNING")
    saved = "gs://b/out/postprocess/node-0/checkpoints/checkpoint-30"
    assert (checkpoints.folder(job, "3"), checkpoints.folders(job, "3")) == (saved, {saved})
    job.state = "SUCCEEDED"
    assert checkpoints.folders(job, "3") == {saved, "gs://b/out/postprocess/node-0/checkpoints/final"}


def test_a_checkpoint_is_deployed_while_the_training_goes_on(owner):
    job = tuned(output_uri="gs://b/out", state="RUNNING", tuning_mode="PEFT_ADAPTER", checkpoints=SERVABLE)
    spec = endpoints.DeploymentSpec("Early", job=job, checkpoint="1")
    made = endpoints.deploy_model(owner, key=uuid4(), spec=spec)
    assert made.model.artifact_uri == "gs://b/out/postprocess/node-0/checkpoints/checkpoint-10"
    with pytest.raises(errors.NotAllowedNow):
        endpoints.deploy_model(owner, key=uuid4(), spec=endpoints.DeploymentSpec("Whole", job=job))

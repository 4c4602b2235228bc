import json

import pytest

from jobs import errors
from jobs.services.tuned_models import merging
from jobs.vertex.errors import LicenceRequired
from tests.jobs.services.tuned_models.test_takeaways import LORA, offered, prepared, tuned

pytestmark = pytest.mark.django_db
BASE = "google/gemma3@gemma-3-270m"


@pytest.fixture(autouse=True)
def local(settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:9"


def origin(**facts):
    return LORA | {"checkpoint-25/base-model.json": json.dumps({"base_model": BASE, **facts}).encode()}


def merged(job, user):
    """The takeaway of the checkpoint, whose adapter is none that the engine could read."""
    job_choices = [one for one in offered(job) if one.checkpoint == "checkpoint-25"]
    assert [str(one.form) for one in job_choices][:2] == ["adapter", "merged"]
    return prepared(job, user, job_choices[1])


def exported(gateway):
    return [name for name in gateway.storage.objects if "/takeaways/" in name]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[]", "base-model.json cannot be read, so it's unknown which model the adapter belongs to."),
        (b"nonsense", "base-model.json cannot be read, so it's unknown which model the adapter belongs to."),
        (
            b'{"base_model": "google/gemma3@gemma-3-1b-it"}',
            f"The adapter in this folder was trained on google/gemma3@gemma-3-1b-it, but the tuning job uses {BASE}.",
        ),
    ],
)
def test_an_adapter_of_unknown_origin_is_not_merged(fake_gateway, owner, content, reason):
    row = merged(tuned(fake_gateway, LORA | {"checkpoint-25/base-model.json": content}), owner)
    assert (row.state, row.error) == ("FAILED", reason)


def test_an_adapter_on_weights_that_the_person_may_not_read_is_not_merged(fake_gateway, stranger):
    uri = "gs://garden-local/somebody/final"
    row = merged(tuned(fake_gateway, origin(custom_base_model=uri), owner=stranger), stranger)
    assert row.error.startswith(f"You have no access to {uri}.")
    assert "catalogue.export_weights" not in fake_gateway.calls


def test_weights_that_are_gone_are_named(fake_gateway, owner):
    row = merged(tuned(fake_gateway, origin(custom_base_model="gs://garden-local/mine/final")), owner)
    assert row.error == "gs://garden-local/mine/final has no weights that the adapter could be merged with."


def test_a_licence_that_is_not_accepted_is_said(fake_gateway, owner):
    fake_gateway.fail("catalogue.export_weights", LicenceRequired("Accept it first.", "FAILED_PRECONDITION"))
    row = merged(tuned(fake_gateway, origin()), owner)
    assert (row.state, row.error) == ("FAILED", "Accept it first.")


def test_an_export_that_fails_is_said_and_leaves_nothing(fake_gateway, owner):
    fake_gateway.hooks["deployment.get_operation"] = [lambda: fail_export(fake_gateway)]
    row = merged(tuned(fake_gateway, origin()), owner)
    assert row.error == "The weights of the base model could not be exported: No bucket."
    assert exported(fake_gateway) == []


def fail_export(gateway):
    gateway.deployment.fail(list(gateway.deployment.operations)[-1], message="No bucket.")


@pytest.mark.slow
def test_what_the_engine_refuses_is_said_and_the_export_is_gone(fake_gateway, owner):
    """Also one that a killed worker left; those of others that wait stay."""
    job = tuned(fake_gateway, origin())
    fake_gateway.storage.objects[f"{job.output_uri}/takeaways/lost/model.safetensors"] = b"W"
    row = merged(job, owner)
    assert row.error.startswith("The model could not be converted: The adapter's adapter_config.json cannot be used")
    assert exported(fake_gateway) == []


def test_of_what_was_written_anew_nothing_is_mixed(fake_gateway):
    job = tuned(fake_gateway)
    uri = f"{job.output_uri}/postprocess/node-0/checkpoints/checkpoint-25/adapter_config.json"
    found = merging.pin({"name": "adapter_config.json", "size": 0, "source": uri})
    assert found["size"] == 2
    del fake_gateway.storage.objects[uri]
    with pytest.raises(errors.NotAllowedNow, match="is not there any more"):
        merging.pin(found)

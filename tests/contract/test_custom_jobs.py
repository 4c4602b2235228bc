"""A container's job through the gateway, of the fake and of the local server with Google's own client."""

import time
from uuid import uuid4

import pytest

from jobs.services.tuning.container import reports
from jobs.vertex import get_gateway
from jobs.vertex.errors import NotFound, OutcomeUnknown, Refused
from jobs.vertex.values import CustomJobSpec, MachineSpec
from tests.contract.conftest import BUCKET, PATIENCE
from tests.fakes import LOCATION, PROJECT, TERMINAL
from tests.support import factories

IMAGE = "us-central1-docker.pkg.dev/p/garden/garden-trainer:1"
REGION = "europe-west4"


def spec_of(**values):
    key = uuid4().hex
    output = values.pop("output", f"{BUCKET}/container/{key}")
    results = f"{output}/postprocess/node-0/checkpoints"
    arguments = {
        "pretrained_model_name_or_path": "local/tiny-gemma3",
        "train_dataset": f"{BUCKET}/data/train.jsonl",
        "output_dir": results,
        "merge_base_and_lora_output_dir": f"{results}/final",
        "logging_output_dir": f"{output}/logs",
        "tuning_data_stats_file": f"{output}/logs/tuning_data_stats.json",
        "resume_dir": f"{output}/resume",
        "lora_rank": "4",
        "learning_rate": "0.001",
        "num_train_epochs": "2",
    }
    defaults = {
        "display_name": "Tiny",
        "image": IMAGE,
        "machine": MachineSpec("g2-standard-8", "NVIDIA_L4", 1),
        "arguments": [f"--{name}={value}" for name, value in arguments.items()],
        "output_uri": output,
        "labels": {"app-key": key},
        "environment": {"HF_TOKEN_SECRET": "projects/p/secrets/s/versions/1"},
        "service_account": "trainer@p.iam.gserviceaccount.com",
    }
    return CustomJobSpec(**defaults | values)


def ended(world, name):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        job = world.gateway.custom_jobs.get(name)
        if job.state in TERMINAL:
            return job
        world._pause()
    raise AssertionError(f"Still {job.state} after {PATIENCE} s")


def test_a_container_is_created_found_and_cancelled(world):
    spec = spec_of()
    job = world.gateway.custom_jobs.create(spec)
    assert (job.state, job.labels, job.display_name, job.error) == ("PENDING", spec.labels, "Tiny", None)
    assert job.name.startswith(f"projects/{PROJECT}/locations/{LOCATION}/customJobs/")
    assert [one.name for one in world.gateway.custom_jobs.find("app-key", spec.labels["app-key"])] == [job.name]
    assert world.gateway.custom_jobs.find("app-key", "somebody-else") == []
    assert world.gateway.tuning.find("app-key", spec.labels["app-key"]) == []
    world.gateway.custom_jobs.cancel(job.name)
    assert ended(world, job.name).state == "CANCELLED"


def test_a_container_of_another_region_is_found_when_it_is_looked_for(world):
    job = world.gateway.custom_jobs.create(spec_of(location=REGION, labels={"app-key": f"far-c-{world.name}"}))
    world.gateway.custom_jobs.cancel(job.name)
    assert world.gateway.custom_jobs.find("app-key", f"far-c-{world.name}") == []
    (found,) = world.gateway.custom_jobs.find("app-key", f"far-c-{world.name}", ["global", REGION])
    assert found.name == job.name


def test_a_container_that_is_not_there(world):
    name = f"projects/{PROJECT}/locations/{LOCATION}/customJobs/999999"
    with pytest.raises(NotFound):
        world.gateway.custom_jobs.get(name)
    with pytest.raises(NotFound):
        world.gateway.custom_jobs.cancel(name)


def test_an_output_that_is_no_place_is_refused(world):
    with pytest.raises(Refused) as caught:
        world.gateway.custom_jobs.create(spec_of(output="somewhere"))
    assert caught.value.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize(("mode", "made"), [("drop_before", 0), ("drop_after", 1)])
def test_a_lost_answer_leaves_the_outcome_unknown(world, mode, made):
    spec = spec_of()
    world.fault("custom_jobs.create", mode)
    with pytest.raises(OutcomeUnknown):
        world.gateway.custom_jobs.create(spec)
    found = world.gateway.custom_jobs.find("app-key", spec.labels["app-key"])
    assert len(found) == made
    for job in found:
        world.gateway.custom_jobs.cancel(job.name)


@pytest.mark.slow
@pytest.mark.django_db
def test_what_a_container_leaves_is_read_as_a_tuning_job_s(world):
    if world.name == "fake":
        pytest.skip("what the fake leaves is read in the tests of the services")
    get_gateway.cache_clear()
    spec = spec_of()
    remote = ended(world, world.gateway.custom_jobs.create(spec).name)
    assert (remote.state, remote.error) == ("SUCCEEDED", None)
    row = factories.job(output_uri=spec.output_uri, training_machine="g2-standard-8", epochs=2)
    remote = reports.complete(row, remote)
    points = reports.read_series(row)["train/loss"]
    assert remote.total_steps == points[-1].step > 1
    assert int(remote.data_stats["tuningDatasetExampleCount"]) > 1
    assert [one.step for one in remote.checkpoints][-1] == remote.total_steps
    assert points[-1].value < points[0].value or world.name == "google"  # where nothing is learned

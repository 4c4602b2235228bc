from datetime import timedelta
from uuid import uuid4

import pytest

from jobs.models import Endpoint
from jobs.services import installation
from jobs.services.tuned_models import continuation, policies
from jobs.services.tuning import jobs, orphaned_jobs
from jobs.services.tuning.container import request
from tests.support import factories
from tests.support.row_driver import Driver

pytestmark = pytest.mark.django_db
IMAGE = "us-central1-docker.pkg.dev/p/garden/garden-trainer:1"
SECRET = "projects/p/secrets/s/versions/1"
BASE = "google/gemma3@gemma-3-1b-it"
GOOD = {"base_model": BASE, "adapter_size": 8, "training_machine": "g2-standard-8"}


@pytest.fixture(autouse=True)
def image(settings):
    settings.VERTEX_TRAINER_IMAGE = IMAGE


@pytest.fixture
def driver(fake_gateway):
    return Driver()


def create_job(owner, **values):
    return jobs.create(owner, key=uuid4(), spec=factories.tuning_spec(owner=owner, **GOOD | values))


def sent_of(gateway):
    (spec,) = gateway.custom_jobs.specs.values()
    return spec


def test_one_container_on_one_machine(owner, driver, fake_gateway, settings):
    settings.VERTEX_TRAINER_ACCOUNT = "trainer@p.iam.gserviceaccount.com"
    job = driver.until(create_job(owner, seed=7, lr_scheduler_type="constant", learning_rate=2e-5), phase="BOUND")
    spec = sent_of(fake_gateway)
    assert (spec.image, spec.machine.machine_type, spec.machine.accelerator_type, spec.machine.accelerator_count) == (
        IMAGE, "g2-standard-8", "NVIDIA_L4", 1,
    )  # fmt: skip
    results = f"{job.output_uri}/postprocess/node-0/checkpoints"
    assert spec.arguments == [
        "--task=instruct-lora",
        "--pretrained_model_name_or_path=google/gemma-3-1b-it",
        f"--train_dataset=gs://garden-local/datasets/{job.dataset_id}.jsonl",
        f"--output_dir={results}",
        f"--merge_base_and_lora_output_dir={results}/final",
        f"--resume_dir={job.output_uri}/resume",
        "--report_to=tensorboard",
        f"--logging_output_dir={job.output_uri}/logs",
        f"--tuning_data_stats_file={job.output_uri}/logs/tuning_data_stats.json",
        "--precision_mode=bfloat16",
        "--lora_rank=8",
        "--num_train_epochs=3",
        "--learning_rate=0.00002",
        "--per_device_train_batch_size=4",
        "--gradient_accumulation_steps=1",
        "--lr_scheduler_type=constant_with_warmup",
        "--seed=7",
    ]
    assert (spec.output_uri, spec.service_account, spec.disk_gigabytes) == (
        job.output_uri, "trainer@p.iam.gserviceaccount.com", 108,
    )  # fmt: skip
    assert spec.labels["app-key"] == str(job.pk)
    assert job.resource_name.split("/")[-2] == "customJobs"
    assert fake_gateway.creates("tuning-job") == []


@pytest.mark.parametrize(
    ("weights", "secret", "source", "environment"),
    [
        ("", SECRET, "google/gemma-3-1b-it", {"HF_TOKEN_SECRET": SECRET}),
        ("gs://b/bases", SECRET, "gs://b/bases/gemma-3-1b-it", {}),
    ],
)  # fmt: skip
def test_where_the_weights_are(owner, settings, weights, secret, source, environment):
    settings.VERTEX_TRAINER_WEIGHTS, settings.VERTEX_TRAINER_SECRET = weights, secret
    arguments = request.list_arguments(create_job(owner))
    assert f"--pretrained_model_name_or_path={source}" in arguments
    assert request.environment() == environment


def test_nothing_is_created_twice(owner, driver, fake_gateway):
    fake_gateway.drop_after("custom_jobs.create")
    job = driver.until(create_job(owner), phase="BOUND")
    assert [event.message for event in job.events.all()][-1] == "Found in Vertex AI from an earlier request."
    assert len(fake_gateway.creates("custom-job")) == 1


def test_a_crash_after_the_request_finds_it_again(owner, driver, fake_gateway):
    fake_gateway.crash("custom_jobs.create")
    driver.until(create_job(owner), phase="BOUND")
    assert len(fake_gateway.creates("custom-job")) == 1


def test_a_job_is_trained_and_deployed(owner, driver, fake_gateway):
    fake_gateway.automatic = True
    job = driver.rest(create_job(owner, auto_deploy=True))
    assert (job.state, job.step, job.total_steps, len(job.checkpoints)) == ("SUCCEEDED", 6, 6, 2)
    assert (round(job.train_loss, 4), job.log_text, job.metrics.count()) == (round(4 / 6, 4), "training started\n", 6)
    endpoint = Endpoint.objects.get()
    assert endpoint.main_model.artifact_uri == f"{job.output_uri}/postprocess/node-0/checkpoints/final"


def test_a_job_is_cancelled(owner, driver, fake_gateway):
    job = driver.until(create_job(owner), phase="BOUND")
    jobs.request_cancel(job)
    assert driver.rest(job).state == "CANCELLED"
    assert "custom_jobs.cancel" in fake_gateway.calls


def test_quota_makes_it_wait_and_send_again(owner, driver, fake_gateway):
    fake_gateway.over_quota("custom_jobs.create")
    job = driver.step(create_job(owner))
    job = driver.until(job, phase="RETRY_OK")
    assert job.notice.startswith("Waiting for quota.")
    driver.until(job, phase="BOUND")
    assert len(fake_gateway.creates("custom-job")) == 1


def test_an_adapter_is_continued_in_another_container(owner, driver, fake_gateway):
    job = driver.until(create_job(owner), phase="BOUND")
    fake_gateway.custom_jobs.start(job.resource_name)
    driver.until(job, state="RUNNING")
    fake_gateway.custom_jobs.succeed(job.resource_name)
    fake_gateway.custom_jobs.fail(job.resource_name, message="The replica exited with 1.")
    job = driver.rest(job)
    assert (job.state, [one["step"] for one in job.checkpoints]) == ("FAILED", [3, 6])
    assert policies.why_not_resume(job) == ""
    start = continuation.start_of(job)
    second = create_job(owner, custom_base_model=start.uri)
    assert f"--custom_base_model={job.output_uri}/postprocess/node-0/checkpoints/checkpoint-6" in (
        request.list_arguments(second)
    )


def test_the_last_words_of_the_log_say_why_it_failed(owner, driver, fake_gateway):
    job = driver.until(create_job(owner), phase="BOUND")
    name = job.resource_name
    fake_gateway.custom_jobs.start(name)
    log = "2026-11-30 06:00:00 Failed: The training diverged: its loss is not a number at step 3.\n"
    fake_gateway.storage.objects[f"{job.output_uri}/logs/train.log"] = log.encode()
    fake_gateway.custom_jobs.fail(name, message="The replica workerpool0-0 exited with a non-zero status of 1.")
    job = driver.rest(job)
    assert job.error_message == (
        "The training diverged: its loss is not a number at step 3. The replica workerpool0-0 exited with a non-zero "
        "status of 1. Check the log, then start the job again."
    )


def test_a_container_that_no_row_stands_for_is_named(owner, fake_gateway):
    labels = {"app-install": str(installation.get_id()), "app-key": str(uuid4())}
    stray = fake_gateway.custom_jobs.add(labels)
    orphaned_jobs.sweep(factories.NOW + timedelta(minutes=1))
    assert orphaned_jobs.unknown_jobs() == [stray.name]


def test_containers_are_looked_for_where_one_was_made(owner, fake_gateway, settings):
    installation.get_id()
    settings.VERTEX_TRAINER_IMAGE = ""
    orphaned_jobs.sweep(factories.NOW + timedelta(minutes=1))
    assert "custom_jobs.find" not in fake_gateway.calls
    factories.job(**GOOD)
    orphaned_jobs.sweep(factories.NOW + timedelta(minutes=3))
    assert "custom_jobs.find" in fake_gateway.calls

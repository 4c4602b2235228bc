"""Failures provoked through the engine: each page names the cause with its evidence, and its button mends it, so that
the next job succeeds and the next endpoint serves. Nothing is paid for twice, however often the button is pressed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from django.urls import reverse

from jobs.models import Dataset, Endpoint, PublisherModel, TuningJob
from jobs.services.diagnosis import of_endpoint, of_job
from jobs.services.endpoints import deployed_models, endpoints
from jobs.services.endpoints.deployed_models import DeployedModelSpec
from jobs.services.endpoints.endpoints import DeploymentSpec, Machine
from jobs.services.tuning import jobs
from jobs.vertex.errors import LicenceRequired, NotAuthorised, OverQuota
from tests.fakes import GEMMA_270M, FakeGateway
from tests.support import factories
from tests.support.row_driver import Driver
from tests.support.share import one_of

pytestmark = [pytest.mark.django_db, pytest.mark.fault("F12", "F13")]
MACHINES = [
    {"machine_type": "g2-standard-12", "accelerator_type": "NVIDIA_L4", "accelerator_count": 1, "title": ""},
    {"machine_type": "g2-standard-24", "accelerator_type": "NVIDIA_L4", "accelerator_count": 2, "title": ""},
    {"machine_type": "a2-highgpu-1g", "accelerator_type": "NVIDIA_TESLA_A100", "accelerator_count": 1, "title": ""},
]
STEPS = 8


@dataclass
class World:
    gateway: FakeGateway
    drive: Driver = field(default_factory=Driver)

    def job(self, **values: Any) -> TuningJob:
        spec = factories.tuning_spec(**{"epochs": 4, "batch_size": 8, "tuning_mode": "FULL"} | values)
        return jobs.create(factories.owner(), key=uuid4(), spec=spec)

    def running(self, **values: Any) -> TuningJob:
        job = self.drive.until(self.job(**values), phase="BOUND")
        self.gateway.tuning.start(job.resource_name, total_steps=STEPS)
        return job

    def ended(self, job: TuningJob) -> TuningJob:
        return self.drive.rest(job)

    def fail(self, job: TuningJob, code: str, message: str) -> TuningJob:
        self.gateway.tuning.fail(job.resource_name, code, message)
        return self.ended(job)

    def train(self, job: TuningJob, losses: list[float]) -> None:
        for step, loss in enumerate(losses, start=1):
            self.gateway.tuning.step(job.resource_name, step, loss)
        self.drive.step(job)

    def save(self, job: TuningJob, *steps: int) -> None:
        for step in steps:
            folder = f"{job.output_uri}/postprocess/node-0/checkpoints/checkpoint-{step}"
            files = ("config.json", "tokenizer.json", "model.safetensors")
            self.gateway.storage.objects |= {f"{folder}/{name}": b"{}" for name in files}

    def endpoint(self, **values: Any) -> Endpoint:
        chosen: dict[str, Any] = {
            "display_name": "My endpoint", "publisher_model": GEMMA_270M, "accepts_licence": True,
            "machine": Machine("g2-standard-12", "NVIDIA_L4", 1),
        }  # fmt: skip
        return endpoints.deploy_model(factories.owner(), key=uuid4(), spec=DeploymentSpec(**chosen | values))

    def refused(self, code: str, message: str, **values: Any) -> Endpoint:
        """By the operation, some time after the request was taken."""
        found = self.endpoint(**values)
        self.drive.until(found.model, phase="BOUND")
        self.drive.step(found)
        found.model.refresh_from_db()
        self.gateway.deployment.fail(found.model.operation_name, code, message)
        return self.drive.until(found, state="FAILED")


@pytest.fixture
def world(fake_gateway: FakeGateway) -> World:
    model = factories.publisher_model()
    PublisherModel.objects.filter(pk=model.pk).update(data=model.data | {"machine_specs": MACHINES})
    fake_gateway.catalogue.acknowledged.add(GEMMA_270M)
    return World(fake_gateway)


@dataclass(frozen=True)
class Case:
    """`differs`: the settings that the new job or endpoint has other than the old one. `checkpoint`: the step that it
    goes on from; 0: it begins anew."""

    break_it: Callable[[World], Any]
    cause: str
    fix: str
    evidence: dict[str, Any]
    differs: dict[str, Any] = field(default_factory=dict)
    checkpoint: int = 0


def bad_rows(world: World) -> TuningJob:
    reason = "Line 3 of the training data: an image is broken and cannot be decoded. Lines 3, 7 cannot be used."
    return world.fail(world.running(), "INVALID_ARGUMENT", reason)


def validation_too_large(world: World) -> TuningJob:
    job = world.running(dataset=factories.dataset(byte_size=10_000), validation_dataset=factories.dataset(byte_size=9))
    reason = "The validation dataset is 40% of the size of the training dataset; at most 25% is allowed."
    return world.fail(job, "INVALID_ARGUMENT", reason)


def terms_not_accepted(world: World) -> TuningJob:
    world.gateway.catalogue.acknowledged.clear()
    return world.ended(world.job(accepts_licence=False))


def quota(world: World) -> TuningJob:
    job = world.running()
    world.save(job, 2)
    reason = "The following quotas are exceeded: GlobalConcurrentManagedOssModelTuningJobs 1"
    return world.fail(job, "RESOURCE_EXHAUSTED", reason)


def permission(world: World) -> TuningJob:
    command = "gcloud storage buckets add-iam-policy-binding gs://garden-local --member=user:a@example.com"
    error = NotAuthorised(
        f"Access to the bucket garden-local is missing. Run: {command} (Denied.)", "PERMISSION_DENIED"
    )
    world.gateway.fail("tuning.create", error)
    return world.ended(world.job())


def folder_closed(world: World) -> TuningJob:
    world.gateway.storage.buckets.add("closed")
    world.gateway.storage.read_only.add("closed")
    return world.ended(world.job(output_uri="gs://closed/out"))


def no_machine_for_training(world: World) -> TuningJob:
    reason = 'Machine type temporarily unavailable. Machine type: "a3-highgpu-8g". Try another region.'
    return world.fail(world.running(), "UNAVAILABLE", reason)


def out_of_memory(world: World) -> TuningJob:
    job = world.running()
    world.train(job, [4, 3, 2, 1.5])
    world.save(job, 2, 4)
    reason = "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 79.1 GiB."
    return world.fail(job, "INTERNAL", reason)


def loss_is_no_number(world: World) -> TuningJob:
    """It goes on all the same, as Google's does."""
    job = world.running()
    world.save(job, 2, 4, 6)
    world.train(job, [4, 3, 2, 1.5])
    for step in (5, 6):
        world.gateway.tuning.step(job.resource_name, step, float("nan"))
    world.drive.step(job)
    return world.fail(job, "INTERNAL", "The training stopped.")


def process_gone(world: World) -> TuningJob:
    job = world.running()
    world.train(job, [4, 3])
    world.save(job, 2)
    return world.fail(job, "INTERNAL", "The training process ended with signal 11, 3 times.")


def disk_full(world: World) -> TuningJob:
    job = world.running()
    world.save(job, 4)
    return world.fail(job, "INTERNAL", "The disk was full 3 times at the same checkpoint.")


def deleted_elsewhere(world: World) -> TuningJob:
    job = world.running()
    world.drive.step(job)
    world.gateway.tuning.forget(job.resource_name)
    return world.ended(job)


def start_gone(world: World) -> TuningJob:
    behind = factories.job(
        state="SUCCEEDED", phase="CLOSED", tuning_mode="FULL", next_check_at=None, output_uri="gs://garden-local/behind"
    )
    uri = f"{behind.output_uri}/postprocess/node-0/checkpoints/final"
    job = world.running(custom_base_model=uri)
    return world.fail(job, "INVALID_ARGUMENT", f"The model to continue from cannot be read: {uri}")


def unknown(world: World) -> TuningJob:
    return world.fail(world.running(), "INTERNAL", "Flux capacitor <b>misaligned</b>")


JOBS: dict[str, Case] = {
    "bad rows": Case(bad_rows, "data", "leave_out", {"rows": "3, 7", "code": "INVALID_ARGUMENT"}),
    "validation data": Case(
        validation_too_large, "validation_data", "no_validation", {"code": "INVALID_ARGUMENT"},
        differs={"validation_dataset_id": None},
    ),
    "terms": Case(
        terms_not_accepted, "terms", "accept_terms", {"code": "FAILED_PRECONDITION"}, differs={"accepts_licence": True}
    ),
    "quota": Case(
        quota, "quota", "go_on", {"quota": "GlobalConcurrentManagedOssModelTuningJobs", "checkpoint": "1",
                                  "code": "RESOURCE_EXHAUSTED"},
        checkpoint=2, differs={"epochs": 3},
    ),
    "permission": Case(
        permission, "permission", "go_on",
        {"command": "gcloud storage buckets add-iam-policy-binding gs://garden-local --member=user:a@example.com",
         "code": "PERMISSION_DENIED"},
    ),
    "output folder": Case(
        folder_closed, "output", "new_folder", {"folder": "gs://closed/out", "code": "FAILED_PRECONDITION"}
    ),
    "stock-out": Case(
        no_machine_for_training, "stock_out", "other_region", {"region": "us-central1", "code": "UNAVAILABLE"},
        differs={"location": "us-west1"},
    ),
    "out of memory": Case(
        out_of_memory, "memory", "halve_batch",
        {"batch_size": 8, "memory": "2.50 GiB, 79.1 GiB", "checkpoint": "2", "code": "INTERNAL"},
        checkpoint=4, differs={"batch_size": 4, "epochs": 2},
    ),
    "diverged": Case(
        loss_is_no_number, "diverged", "lower_rate",
        {"learning_rate": 0.0002, "loss_step": 5, "loss_best": 1.5, "loss_last": "NaN", "checkpoint": "3",
         "code": "INTERNAL"},
        checkpoint=4, differs={"learning_rate": 0.00002, "epochs": 2},
    ),
    "process gone": Case(
        process_gone, "worker_gone", "go_on", {"checkpoint": "1", "code": "INTERNAL"}, checkpoint=2,
        differs={"epochs": 3},
    ),
    "disk full": Case(disk_full, "disk", "go_on", {"checkpoint": "1", "code": "INTERNAL"}, checkpoint=4,
                      differs={"epochs": 2}),
    "deleted elsewhere": Case(deleted_elsewhere, "vanished", "go_on", {"code": "NOT_FOUND"}),
    "start gone": Case(
        start_gone, "start_gone", "from_base",
        {"folder": "gs://garden-local/behind/postprocess/node-0/checkpoints/final", "code": "INVALID_ARGUMENT"},
        differs={"custom_base_model": ""},
    ),
    "unknown": Case(unknown, "unknown", "go_on", {"code": "INTERNAL"}),
}  # fmt: skip


@pytest.mark.parametrize("case", one_of(3, JOBS.values()), ids=JOBS)
def test_a_job_is_mended_by_its_button(world: World, client: Any, case: Case) -> None:
    job = case.break_it(world)
    found = of_job.diagnose(job)
    assert (job.state, found.cause, found.fixes[0]) == ("FAILED", case.cause, case.fix)
    told = {str(fact.name): fact.value for fact in found.facts}
    assert {name: value for name, value in told.items() if name not in ("log_line", "silent_seconds")} == case.evidence
    client.force_login(job.owner)
    page = client.get(reverse("tuning-job", args=[job.pk])).content.decode()
    assert f'name="fix" value="{case.fix}"' in page
    paid = len(world.gateway.creates("tuning-job"))

    world.gateway.automatic = True
    first, second = (client.post(reverse("tuning-fix", args=[job.pk]), {"fix": case.fix}) for _ in range(2))

    made = TuningJob.objects.exclude(pk=job.pk).latest("created_at")
    assert (first.url, second.url) == (reverse("tuning-job", args=[made.pk]),) * 2
    assert world.drive.until(made, state="SUCCEEDED").error_message == ""
    assert len(world.gateway.creates("tuning-job")) == paid + 1
    unlike = {"location", "validation_dataset_id", "accepts_licence", "learning_rate", "batch_size", "epochs"}
    changed = {name: getattr(made, name) for name in unlike if getattr(made, name) != getattr(job, name)}
    assert changed == {name: value for name, value in case.differs.items() if name in unlike}
    if case.checkpoint:
        start = f"{job.output_uri}/postprocess/node-0/checkpoints/checkpoint-{case.checkpoint}"
        assert made.custom_base_model == start
    else:
        assert made.custom_base_model == case.differs.get("custom_base_model", job.custom_base_model)
    assert made.output_uri != job.output_uri


def test_bad_rows_are_left_out_of_a_new_version(world: World, client: Any) -> None:
    job = bad_rows(world)
    client.force_login(job.owner)
    client.post(reverse("tuning-fix", args=[job.pk]), {"fix": "leave_out"})
    client.post(reverse("tuning-fix", args=[job.pk]), {"fix": "leave_out"})
    new = TuningJob.objects.exclude(pk=job.pk).get().dataset
    assert (new.family, new.version, new.valid_rows, new.recipe) == (job.dataset.family, 2, 10, {"left_out": [3, 7]})
    assert Dataset.objects.filter(family=new.family).count() == 2
    assert "Question 3?" not in str(new.preview)


def stock_out(world: World) -> Endpoint:
    reason = 'Machine type temporarily unavailable. Machine type: "g2-standard-12". Accelerator type: "nvidia-l4".'
    return world.refused("UNAVAILABLE", reason)


def never_ready(world: World) -> Endpoint:
    return world.refused("FAILED_PRECONDITION", "Model server never became ready. Please check the logs.")


def too_little_memory(world: World) -> Endpoint:
    return world.refused("FAILED_PRECONDITION", "The model server ran out of memory (OOMKilled) at 48 GB.")


def no_quota(world: World) -> Endpoint:
    reason = "The following quotas are exceeded: CustomModelServingL4GPUsPerProjectPerRegion 8"
    return world.refused("RESOURCE_EXHAUSTED", reason, max_replicas=3)


def waits_for_quota(world: World) -> Endpoint:
    message = "A project quota is used up: CustomModelServingL4GPUsPerProjectPerRegion"
    world.gateway.fail("deployment.deploy", OverQuota(message, "RESOURCE_EXHAUSTED"))
    found = world.endpoint()
    return world.drive.until(found.model, phase="RETRY_OK") and Endpoint.objects.with_model().get(pk=found.pk)


def terms_of_the_model(world: World) -> Endpoint:
    world.gateway.fail("deployment.deploy", LicenceRequired("Accept the terms.", "FAILED_PRECONDITION"))
    return world.drive.until(world.endpoint(accepts_licence=False), state="FAILED")


def forbidden(world: World) -> Endpoint:
    error = NotAuthorised("The credentials do not allow this.", "PERMISSION_DENIED")
    world.gateway.fail("deployment.deploy", error)
    return world.drive.until(world.endpoint(), state="FAILED")


L4 = {"machine": "g2-standard-12"}
HERE = {"region": "us-central1"}
ENDPOINTS: dict[str, Case] = {
    "stock-out": Case(
        stock_out, "stock_out", "machine:a2-highgpu-1g", {**L4, "region": "us-central1", "code": "UNAVAILABLE"},
        differs={"machine_type": "a2-highgpu-1g"},
    ),
    "never ready": Case(never_ready, "never_ready", "replace",
                        {**L4, "stage": "STARTING_DEPLOYMENT", "code": "FAILED_PRECONDITION"}),
    "memory": Case(
        too_little_memory, "memory", "machine:g2-standard-24",
        {"memory": "48 GB", **L4, "code": "FAILED_PRECONDITION"}, differs={"machine_type": "g2-standard-24"},
    ),
    "quota": Case(
        no_quota, "quota", "one_replica",
        {"quota": "CustomModelServingL4GPUsPerProjectPerRegion", **L4, **HERE, "code": "RESOURCE_EXHAUSTED"},
        differs={"max_replicas": 1},
    ),
    "waits for quota": Case(
        waits_for_quota, "quota", "machine:a2-highgpu-1g",
        {"quota": "CustomModelServingL4GPUsPerProjectPerRegion", **L4, **HERE},
        differs={"machine_type": "a2-highgpu-1g"},
    ),
    "terms": Case(terms_of_the_model, "terms", "accept_terms", {"code": "FAILED_PRECONDITION"},
                  differs={"accepts_licence": True}),
    "permission": Case(forbidden, "permission", "again", {"code": "PERMISSION_DENIED"}),
}  # fmt: skip


@pytest.mark.parametrize("case", one_of(3, ENDPOINTS.values()), ids=ENDPOINTS)
def test_an_endpoint_is_mended_by_its_button(world: World, client: Any, case: Case) -> None:
    endpoint = case.break_it(world)
    found = of_endpoint.diagnose(endpoint)
    assert (found.cause, found.fixes[0]) == (case.cause, case.fix)
    told = {str(fact.name): fact.value for fact in found.facts if fact.name != "waited_seconds"}
    assert told == case.evidence
    client.force_login(endpoint.owner)
    page = client.get(reverse("endpoint-detail", args=[endpoint.pk])).content.decode()
    assert f'name="fix" value="{case.fix}"' in page
    paid = len(world.gateway.creates("deployment"))

    world.gateway.automatic = True
    first, second = (client.post(reverse("endpoint-fix", args=[endpoint.pk]), {"fix": case.fix}) for _ in range(2))

    made = Endpoint.objects.with_model().exclude(pk=endpoint.pk).get()
    assert (first.url, second.url) == (reverse("endpoint-detail", args=[made.pk]),) * 2
    world.drive.until(made, state="READY")
    assert len(world.gateway.creates("deployment")) == paid + 1
    unlike = ("machine_type", "max_replicas", "accepts_licence")
    made = Endpoint.objects.with_model().get(pk=made.pk)
    changed = {
        one: getattr(made.model, one) for one in unlike if getattr(made.model, one) != getattr(endpoint.model, one)
    }
    assert changed == case.differs
    if case.cause == "never_ready":
        assert world.drive.until(endpoint, state="DELETED").resource_name not in world.gateway.deployment.endpoints


@pytest.mark.parametrize("break_it", [stock_out, waits_for_quota])
def test_what_one_region_lacks_another_may_have(world: World, client: Any, break_it: Any) -> None:
    """What is left of the first, or waits to be sent, goes: nothing is paid for twice."""
    endpoint = break_it(world)
    client.force_login(endpoint.owner)
    page = client.get(reverse("endpoint-detail", args=[endpoint.pk])).content.decode()
    assert 'name="fix" value="region:europe-west4"' in page
    assert "Deploy in europe-west4" in page
    assert client.post(reverse("endpoint-fix", args=[endpoint.pk]), {"fix": "region:mars-1"}).status_code == 409
    paid = len(world.gateway.creates("deployment"))
    world.gateway.automatic = True
    for _twice in range(2):
        client.post(reverse("endpoint-fix", args=[endpoint.pk]), {"fix": "region:europe-west4"})

    made = Endpoint.objects.with_model().exclude(pk=endpoint.pk).get()
    world.drive.until(made, state="READY")
    world.drive.until(endpoint, state="DELETED")
    assert len(world.gateway.creates("deployment")) == paid + 1
    assert "/locations/europe-west4/endpoints/" in made.resource_name
    assert {made.location, made.model.location} == {"europe-west4"}
    assert list(world.gateway.deployment.endpoints) == [made.resource_name]
    endpoints.request_delete(made)
    world.drive.until(made, state="DELETED")
    assert (world.gateway.deployment.endpoints, world.gateway.deployment.models) == ({}, {})


def test_a_model_beside_others_is_mended_by_its_button(world: World, client: Any) -> None:
    endpoint = world.endpoint()
    world.drive.until(endpoint.model, phase="BOUND")
    endpoint.model.refresh_from_db()
    world.gateway.deployment.finish(endpoint.model.operation_name)
    world.drive.until(endpoint, state="READY")
    machine = Machine("g2-standard-12", "NVIDIA_L4", 1)
    spec = DeployedModelSpec(
        "Second", 30, publisher_model=GEMMA_270M, machine=machine, min_replicas=1, max_replicas=2, accepts_licence=True
    )
    model = deployed_models.add(endpoint, key=uuid4(), spec=spec)
    world.drive.until(model, phase="BOUND")
    reason = 'Machine type temporarily unavailable. Machine type: "g2-standard-12".'
    world.gateway.deployment.fail(model.operation_name, "UNAVAILABLE", reason)
    world.drive.until(model, state="FAILED")

    client.force_login(endpoint.owner)
    page = client.get(reverse("endpoint-detail", args=[endpoint.pk])).content.decode()
    assert ("The machine is out of stock" in page, 'name="fix" value="machine:a2-highgpu-1g"' in page) == (True, True)
    paid = len(world.gateway.creates("deployment"))
    world.gateway.automatic = True
    address = f"{reverse('endpoint-fix', args=[endpoint.pk])}?model={model.deployed_model_id}"
    for _ in range(2):
        assert client.post(address, {"fix": "machine:a2-highgpu-1g"}).status_code == 303
    made = endpoint.deployed_models.exclude(pk__in=[endpoint.pk, model.pk]).get()
    world.drive.until(made, state="READY")
    assert len(world.gateway.creates("deployment")) == paid + 1
    assert (made.machine_type, made.share, made.max_replicas, made.display_name) == ("a2-highgpu-1g", 30, 2, "Second")
    assert 'name="fix"' not in client.get(reverse("endpoint-detail", args=[endpoint.pk])).content.decode()

"""A LoRA training in a container, from the intent to the answer of its model: services, Google's client, the local
server's engine and llama.cpp. Nothing is faked but the machine: the local server runs the container's work itself."""

import os
import time
from uuid import uuid4

import httpx
import pytest
from django.utils import timezone

from jobs.models import Endpoint
from jobs.services.datasets import datasets
from jobs.services.endpoints import deployed_models, endpoints
from jobs.services.tuning import jobs
from jobs.vertex import get_gateway
from jobs.vertex.values import ChatRequest
from tests.contract.conftest import TUNE_DATA
from tests.support import factories
from tests.support.localservers import TINY_FOLDER, local_servers
from tests.support.row_driver import next_of

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.timeout(400)]
BASE = "google/gemma3@gemma-3-270m"
SECONDS = 300


@pytest.fixture
def here(tmp_path, settings):
    with local_servers(tmp_path, ["--base-model", f"{BASE}={TINY_FOLDER}"]) as servers:
        httpx.post(f"{servers.storage}/storage/v1/b", json={"name": "garden-local"}, trust_env=False)
        os.environ["STORAGE_EMULATOR_HOST"] = servers.storage
        settings.VERTEX_API_ENDPOINT, settings.VERTEX_GATEWAY = servers.address, "jobs.vertex.sdk.Gateway"
        settings.VERTEX_TRAINER_IMAGE = "us-central1-docker.pkg.dev/p/garden/garden-trainer:1"
        settings.VERTEX_POLL_SECONDS = 0.2
        get_gateway.cache_clear()
        yield servers
        os.environ.pop("STORAGE_EMULATOR_HOST", None)
        get_gateway.cache_clear()


def advance(row):
    """As the worker does, at the time that it is."""
    row.refresh_from_db()
    first = next_of(row)
    if first.next_check_at and first.next_check_at <= timezone.now():
        move = {"TuningJob": jobs, "Endpoint": endpoints}.get(type(first).__name__, deployed_models)
        move.advance(first.pk, timezone.now())
    row.refresh_from_db()


def until(row, reached):
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        advance(row)
        if reached(row):
            return row
        time.sleep(0.05)
    raise AssertionError(f"{row.state} {row.error_message}")


def test_an_adapter_is_trained_deployed_and_asked(here, owner):
    factories.publisher_model(name=BASE)
    with (TUNE_DATA / "train.jsonl").open("rb") as file:
        data = datasets.create(owner, file=file, file_name="train.jsonl")
    spec = factories.tuning_spec(
        owner=owner, base_model=BASE, dataset=data, adapter_size=16, epochs=2, learning_rate=0.001, batch_size=4,
        training_machine="g2-standard-8", auto_deploy=True, warmup_ratio=0.1, lr_scheduler_type="linear", seed=3,
    )  # fmt: skip
    job = jobs.create(owner, key=uuid4(), spec=spec)
    until(job, lambda row: row.is_terminal and row.phase == "CLOSED")
    assert (job.state, job.error_message) == ("SUCCEEDED", "")
    assert "/customJobs/" in job.resource_name
    assert job.step == job.total_steps > 1
    assert [one["epoch"] for one in job.checkpoints] == [1, 2]
    assert job.loss_curve[-1] < job.loss_curve[0]
    assert "Step 1 of" in job.log_text
    endpoint = until(Endpoint.objects.get(), lambda row: row.state in ("READY", "FAILED"))
    assert (endpoint.state, endpoint.error_message) == ("READY", "")
    request = ChatRequest(
        endpoint.resource_name, endpoint.dedicated_dns, [{"role": "user", "content": "hi"}], {"max_tokens": 8}
    )
    with get_gateway().chat.stream(request) as chunks:
        assert "".join(chunk.text for chunk in chunks)

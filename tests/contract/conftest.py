import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from django.test import override_settings

from jobs.vertex.port import VertexGateway
from jobs.vertex.sdk import Gateway
from jobs.vertex.values import DeploySpec, RemoteOperation, RemoteTuningJob, TuningJobSpec
from tests.fakes import TERMINAL, TINY, FakeGateway
from tests.support.localservers import LocalVertex

BUCKET = "gs://garden-local"
TUNE_DATA = Path(__file__).parent.parent / "fixtures" / "tiny-tune"
PATIENCE = 150
API_METHODS = {
    "tuning.create": "create_tuning_job",
    "tuning.find": "list_tuning_jobs",
    "tuning.get": "get_tuning_job",
    "deployment.deploy": "deploy",
    "custom_jobs.create": "create_custom_job",
}


@dataclass
class World:
    """A gateway and a Vertex AI behind it; what the tests expect is the same of each."""

    gateway: VertexGateway
    name: str
    servers: LocalVertex | None = None
    tuned: tuple[TuningJobSpec, list[RemoteTuningJob]] | None = None
    served: DeploySpec | None = None

    def fault(self, method: str, mode: str, times: int = 1) -> None:
        """`mode`: drop_before, drop_after, half_answer, unavailable or over_quota. `method` as the gateway calls it."""
        if self.servers is None:
            getattr(self.gateway, "drop_after" if mode == "half_answer" else mode)(method, times=times)
        elif mode == "half_answer":
            self.servers.fault(API_METHODS[method], mode, times=times, size=40)
        elif mode.startswith("drop"):
            self.servers.fault(API_METHODS[method], mode, times=times)
        else:
            status = 429 if mode == "over_quota" else 503
            self.servers.fault(API_METHODS[method], "refuse", times=times, status=status)

    def spec(self, **values: object) -> TuningJobSpec:
        key = uuid4().hex
        defaults = {
            "base_model": TINY,
            "display_name": "Tiny",
            "output_uri": f"{BUCKET}/out/{key}",
            "training_dataset_uri": f"{BUCKET}/data/train.jsonl",
            "validation_dataset_uri": f"{BUCKET}/data/validation.jsonl",
            "epochs": 2,
            "learning_rate": 0.001,
            "tuning_mode": "PEFT_ADAPTER",
            "adapter_size": 4,
            "batch_size": 4,
            "export_last_checkpoint_only": False,
            "labels": {"app-key": key},
        }
        return TuningJobSpec(**defaults | values)  # type: ignore[arg-type]

    def deploy_spec(self, **values: object) -> DeploySpec:
        key = uuid4().hex[:12]
        defaults = {
            "endpoint_user_id": f"endpoint-{key}",
            "model_user_id": f"model-{key}",
            "endpoint_display_name": "Tiny endpoint",
            "model_display_name": "Tiny",
            "publisher_model": TINY,
            "artifact_uri": "",
            "accept_eula": False,
            "machine": None,
            "labels": {"app-key": key},
        }
        return DeploySpec(**defaults | values)  # type: ignore[arg-type]

    def ended(self, job: RemoteTuningJob, saw: Callable[[RemoteTuningJob], None] = lambda job: None) -> RemoteTuningJob:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            job = self.gateway.tuning.get(job.name)
            saw(job)
            if job.state in TERMINAL:
                return job
            self._pause()
        raise AssertionError(f"Still {job.state} after {PATIENCE} s")

    def finished(self, operation: str) -> RemoteOperation:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            found = self.gateway.deployment.get_operation(operation)
            if found.done:
                return found
            self._pause()
        raise AssertionError(f"{operation} is not done after {PATIENCE} s")

    def _pause(self) -> None:
        if self.name == "local":
            time.sleep(0.1)


@pytest.fixture(scope="session")
def worlds() -> dict[str, World]:
    """Made when they are needed first, and kept for all modules: a tuning takes a while."""
    return {}


@pytest.fixture(scope="module", params=["fake", "local"])
def world(request: pytest.FixtureRequest, worlds: dict[str, World]) -> Iterator[World]:
    if request.param == "fake":
        yield worlds.get("fake") or worlds.setdefault("fake", _with_data(World(FakeGateway(automatic=True), "fake")))
        return
    servers = request.getfixturevalue("local_vertex")
    os.environ["STORAGE_EMULATOR_HOST"] = servers.storage
    with override_settings(VERTEX_API_ENDPOINT=servers.address):
        yield worlds.get("local") or worlds.setdefault("local", _with_data(World(Gateway(), "local", servers)))
    os.environ.pop("STORAGE_EMULATOR_HOST", None)


@pytest.fixture(scope="module")
def tuned(world: World) -> tuple[TuningJobSpec, list[RemoteTuningJob]]:
    """A tuning job that has run, as it was seen on the way."""
    if world.tuned is None:
        world.tuned = world.spec(), []
        world.ended(world.gateway.tuning.create(world.tuned[0]), world.tuned[1].append)
    return world.tuned


@pytest.fixture(scope="module")
def served(world: World, tuned: tuple[TuningJobSpec, list[RemoteTuningJob]]) -> DeploySpec:
    """The tuned model on an endpoint of its own."""
    if world.served is None:
        artifact = f"{tuned[0].output_uri}/postprocess/node-0/checkpoints/final"
        world.served = world.deploy_spec(publisher_model="", artifact_uri=artifact)
        assert world.finished(world.gateway.deployment.deploy(world.served)).error is None
    return world.served


def _with_data(world: World) -> World:
    world.gateway.storage.ensure_bucket(BUCKET)
    for name in ("train.jsonl", "validation.jsonl"):
        world.gateway.storage.upload(TUNE_DATA / name, f"{BUCKET}/data/{name}")
    return world

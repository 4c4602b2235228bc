"""A local Vertex AI as a program of its own, with the engine and llama.cpp replaced by fakes unless told otherwise."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform_v1beta1 as vertex

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PROJECT = "projects/p1"
PARENT = f"{PROJECT}/locations/us-central1"
TINY = "local/tiny@tiny-gemma3"
TINY_NAME = "publishers/local/models/tiny@tiny-gemma3"
TINY_FOLDER = ROOT / "tests/fixtures/tiny-gemma3"
BUCKET = "garden-local"
FAKE_ENGINE = shlex.join([sys.executable, str(HERE / "fake_engine.py")])
FAKE_LLAMA = shlex.join([sys.executable, str(HERE / "fake_llama.py")])


@dataclass
class LocalVertex:
    folder: Path
    storage: str
    options: Sequence[str] = ("--engine-command", FAKE_ENGINE, "--serving-command", FAKE_LLAMA)
    process: "subprocess.Popen[bytes] | None" = None
    port: int = 0
    extra: list[str] = field(default_factory=list)
    program: str = "jobs.localvertex"

    @property
    def data(self) -> Path:
        return self.folder / "vertex"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "LocalVertex":
        port_file = self.folder / "port.json"
        port_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", self.program, "--data-dir", str(self.data)]
        command += ["--port", str(self.port), "--port-file", str(port_file), "--prepare", "when-needed"]
        command += ["--base-model", f"{TINY}={TINY_FOLDER}", *self.options, *self.extra]
        environment = os.environ | {"STORAGE_EMULATOR_HOST": self.storage}
        with (self.folder / "vertex.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        wait_for(port_file.exists, self.log)
        self.port = json.loads(port_file.read_text())["port"]
        return self

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Seconds until it was gone."""
        assert self.process is not None
        started = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(10)
        return time.monotonic() - started

    def log(self) -> str:
        return (self.folder / "vertex.log").read_text(errors="replace")

    def ledger(self) -> list[dict[str, Any]]:
        path = self.data / "ledger.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def client(self, kind: type[Any]) -> Any:
        options = ClientOptions(api_endpoint=self.url)
        return kind(client_options=options, credentials=AnonymousCredentials(), transport="rest")

    @cached_property
    def garden(self) -> Any:
        return self.client(vertex.ModelGardenServiceClient)

    @cached_property
    def tuning(self) -> Any:
        return self.client(vertex.GenAiTuningServiceClient)

    @cached_property
    def endpoints(self) -> Any:
        return self.client(vertex.EndpointServiceClient)

    @cached_property
    def models(self) -> Any:
        return self.client(vertex.ModelServiceClient)

    @cached_property
    def metadata(self) -> Any:
        return self.client(vertex.MetadataServiceClient)

    @cached_property
    def boards(self) -> Any:
        return self.client(vertex.TensorboardServiceClient)

    def upload(self, name: str, content: str | bytes) -> str:
        url = f"{self.storage}/upload/storage/v1/b/{BUCKET}/o"
        reply = httpx.post(url, params={"uploadType": "media", "name": name}, content=content, trust_env=False)
        reply.raise_for_status()
        return f"gs://{BUCKET}/{name}"

    def stored(self, prefix: str) -> list[str]:
        url = f"{self.storage}/storage/v1/b/{BUCKET}/o"
        reply = httpx.get(url, params={"prefix": prefix}, trust_env=False).json()
        return sorted(item["name"].removeprefix(prefix) for item in reply.get("items", []))

    def text(self, name: str) -> str:
        url = f"{self.storage}/download/storage/v1/b/{BUCKET}/o/{name.replace('/', '%2F')}"
        return httpx.get(url, params={"alt": "media"}, trust_env=False).text

    def job(self, wish: str = "steps", rows: int = 4, **changes: Any) -> vertex.TuningJob:
        """The message of a job whose dataset asks the fake engine for `wish`."""
        lines = [json.dumps({"prompt": wish, "completion": "yes"})] * rows
        folder = f"{wish[:12].replace(' ', '-')}-{time.monotonic_ns()}"
        spec = vertex.SupervisedTuningSpec(
            training_dataset_uri=self.upload(f"{folder}/train.jsonl", "\n".join(lines) + "\n"),
            hyper_parameters=vertex.SupervisedHyperParameters(epoch_count=2, learning_rate=0.001, adapter_size=3),
        )
        job = vertex.TuningJob(
            base_model=TINY, tuned_model_display_name="My tune", output_uri=f"gs://{BUCKET}/{folder}/out"
        )
        job.supervised_tuning_spec = spec
        for name, value in changes.items():
            setattr(job, name, value)
        return job

    def create(self, job: vertex.TuningJob) -> vertex.TuningJob:
        return self.tuning.create_tuning_job(parent=PARENT, tuning_job=job)

    def until(self, name: str, *states: str) -> vertex.TuningJob:
        def reached() -> vertex.TuningJob | None:
            job = self.tuning.get_tuning_job(name=name)
            return job if job.state.name.removeprefix("JOB_STATE_") in states else None

        return wait_for(reached, self.log)

    def deploy(self, endpoint: str, **changes: Any) -> str:
        """The operation's name."""
        request = vertex.DeployRequest(destination=PARENT, publisher_model_name=TINY_NAME)
        request.endpoint_config.endpoint_user_id = endpoint
        request.model_config.model_user_id = f"m-{endpoint}"
        for name, value in changes.items():
            setattr(request, name, value)
        return str(self.garden.deploy(request).operation.name)

    def deployed(self, endpoint: str, **changes: Any) -> vertex.Endpoint:
        operation = self.deploy(endpoint, **changes)
        done = wait_for(lambda: self.finished(operation), self.log)
        assert not done.error.message, done.error.message
        return self.endpoints.get_endpoint(name=f"{PARENT}/endpoints/{endpoint}")

    def finished(self, operation: str) -> Any:
        found = self.garden.get_operation({"name": operation})
        return found if found.done else None

    def chat(self, endpoint: str, text: str = "hi", **body: Any) -> httpx.Response:
        address = f"{self.url}/v1beta1/{PARENT}/endpoints/{endpoint}/chat/completions"
        messages = [{"role": "user", "content": text}]
        return httpx.post(address, json={"messages": messages, **body}, timeout=20, trust_env=False)


def wait_for(ready: Callable[[], Any], explain: Callable[[], str] = str, seconds: float = 90) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := ready():
            return found
        time.sleep(0.03)
    raise AssertionError(f"It did not come to that:\n{explain()[-3000:]}")

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from jobs.localvertex.tuning import board_file
from jobs.vertex.errors import NotFound, Refused
from jobs.vertex.values import Checkpoint, Point, RemoteError, RemoteTuningJob
from tests.fakes.base import LOCATION, PARENT, PROJECT, TERMINAL, Creation, Part, remote

if TYPE_CHECKING:
    from tests.fakes import FakeGateway
    from tests.fakes.storage import FakeStorage


class FakeTuning(Part):
    """`lag`: how many whole looks (`find`) a new job stays hidden from, as a list that is not yet consistent."""

    noun = "tuning"
    kind, collection = "tuning-job", "tuningJobs"

    def __init__(self, world: "FakeGateway") -> None:
        super().__init__(world)
        self.jobs: dict[str, RemoteTuningJob] = {}
        self.specs: dict[str, Any] = {}
        self.lag = 0
        # What a success leaves in its output folder.
        self.lay: Callable[[FakeStorage, str], None] = _lay_final
        self._hidden: Counter[str] = Counter()

    @remote
    def create(self, spec: Any) -> RemoteTuningJob:
        self._check(spec)
        job = self.add(spec.labels, display_name=spec.display_name, location=spec.location or LOCATION)
        self.specs[job.name] = spec
        return job

    @remote
    def get(self, name: str) -> RemoteTuningJob:
        self._known(name)
        if self.world.automatic:
            self._notch(name)
        return self.jobs[name]

    @remote
    def find(
        self, label: str, value: str, locations: Iterable[str] = (), *, is_thorough: bool = False
    ) -> list[RemoteTuningJob]:
        looked = {LOCATION, "global", *locations}
        shown = [job for job in self.jobs.values() if not self._hidden[job.name] and job.name.split("/")[3] in looked]
        self._hidden = Counter({name: looks - 1 for name, looks in self._hidden.items() if looks > 1})
        return sorted((job for job in shown if job.labels.get(label) == value), key=_created)

    @remote
    def count_running(self, location: str = "") -> int:
        looked = {location or LOCATION, "global"}
        here = [job for job in self.jobs.values() if job.name.split("/")[3] in looked]
        return sum(job.state in ("QUEUED", "PENDING", "RUNNING") for job in here)

    @remote
    def cancel(self, name: str) -> None:
        state = self._known(name).state
        if state in TERMINAL - {"CANCELLED"}:
            raise Refused(f"The job is {state} and cannot be cancelled.", "FAILED_PRECONDITION")
        if state != "CANCELLED":
            self._change(
                name, state="CANCELLED", end_time=self.world.tick(), error=RemoteError("CANCELLED", "Cancelled.")
            )

    def add(self, labels: Mapping[str, str], *, display_name: str = "", location: str = LOCATION) -> RemoteTuningJob:
        """A job as if somebody had created it; the ledger has it, too."""
        name = f"projects/{PROJECT}/locations/{location}/{self.collection}/{7000 + len(self.jobs)}"
        job = RemoteTuningJob(
            name=name, state="PENDING", labels=dict(labels), display_name=display_name, create_time=self.world.tick(),
            start_time=None, end_time=None, error=None, experiment="", tuned_model="", checkpoints=(), total_steps=None,
            data_stats={},
        )  # fmt: skip
        self.jobs[name] = job
        self._hidden[name] = self.lag
        self.world.ledger.append(Creation(self.kind, name, job.labels))
        return job

    def start(self, name: str, *, total_steps: int = 6, **more_stats: Any) -> None:
        experiment = f"{PARENT}/metadataStores/default/contexts/tuning-experiment-{name[-4:]}"
        stats = {"tuningDatasetExampleCount": "12", "tuningStepCount": str(total_steps), **more_stats}
        self._change(
            name, state="RUNNING", start_time=self.world.tick(), experiment=experiment, total_steps=total_steps,
            data_stats=stats,
        )  # fmt: skip
        self._log(name, "training started\n")

    def step(self, name: str, step: int, loss: float = 1.0, *, kind: str = "train") -> None:
        """One point of training, or of the validation (`eval`); the gateway's metrics show it."""
        series = self.world.metrics.series.setdefault(self.jobs[name].experiment, {})
        series.setdefault(f"/{kind}_total_loss", []).append(Point(step, loss, self.world.tick()))

    def succeed(self, name: str) -> None:
        model, checkpoints = f"{PARENT}/models/tuned-{name[-4:]}@1", (Checkpoint("1", 1, 3), Checkpoint("2", 2, 6))
        self._change(
            name, state="SUCCEEDED", end_time=self.world.tick(), tuned_model=model, checkpoints=checkpoints
        )  # fmt: skip
        if name in self.specs:
            self.lay(self.world.storage, self.specs[name].output_uri)

    def fail(self, name: str, code: str = "INTERNAL", message: str = "The training stopped.") -> None:
        self._change(name, state="FAILED", end_time=self.world.tick(), error=RemoteError(code, message))

    def set_state(self, name: str, state: str) -> None:
        self._change(name, state=state)

    def forget(self, name: str) -> None:
        """As when somebody removed it behind our back."""
        del self.jobs[name]

    def _notch(self, name: str) -> None:
        job = self.jobs[name]
        if job.state == "PENDING":
            self.start(name)
        elif job.state == "RUNNING":
            for step in range(1, 7):
                self.step(name, step, 4.0 / step)
            self.succeed(name)

    def _check(self, spec: Any) -> None:
        if "@" not in spec.base_model:
            raise Refused("Invalid open source publisher model resource name.", "INVALID_ARGUMENT")
        if not self.world.catalogue.known(spec.base_model).can_tune:
            raise Refused(f"{spec.base_model} cannot be tuned here.", "FAILED_PRECONDITION")
        problem = self.world.storage._problem(spec.output_uri)
        if problem:
            raise Refused(problem, "INVALID_ARGUMENT")
        self.world.catalogue.require_licence(spec.base_model)

    def _known(self, name: str) -> RemoteTuningJob:
        if name not in self.jobs:
            raise NotFound(f"The TuningJob {name} does not exist.", "NOT_FOUND")
        return self.jobs[name]

    def _change(self, name: str, **values: Any) -> None:
        self.jobs[name] = replace(self.jobs[name], **values)

    def _log(self, name: str, text: str) -> None:
        if name in self.specs:
            self.world.storage.objects[f"{self.specs[name].output_uri}/logs/train.log"] = text.encode()


def _lay_final(storage: "FakeStorage", output_uri: str) -> None:
    final = f"{output_uri}/postprocess/node-0/checkpoints/final"
    storage.put_model(final)
    storage.objects[f"{final}/adapter/adapter.gguf"] = b"GGUF"


MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json")


class FakeCustomJobs(FakeTuning):
    """A container that writes its reports into its folder, as the trainer does."""

    noun = "custom_jobs"
    kind, collection = "custom-job", "customJobs"

    def start(self, name: str, *, total_steps: int = 6, **more_stats: Any) -> None:
        self._change(name, state="RUNNING", start_time=self.world.tick())
        stats = {"tuningDatasetExampleCount": "12", "tuningStepCount": str(total_steps), **more_stats}
        self._write(name, "logs/tuning_data_stats.json", json.dumps(stats).encode())
        self._log(name, "training started\n")

    def step(self, name: str, step: int, loss: float = 1.0, *, kind: str = "train") -> None:
        """One more record of the event file."""
        events = self._events.setdefault(name, [])
        at = self.world.tick().timestamp()
        events.append({"event": {"train": "step"}.get(kind, kind), "step": step, "loss": loss, "time": at})
        self._write(name, "logs/events.out.tfevents.1.fake", event_file(events))

    def succeed(self, name: str) -> None:
        self._change(name, state="SUCCEEDED", end_time=self.world.tick())
        results = "postprocess/node-0/checkpoints"
        for file in (*(f"final/{one}" for one in MODEL_FILES), "final/adapter/adapter.gguf"):
            self._write(name, f"{results}/{file}", b"{}")
        for step in (3, 6):
            for file in ("adapter_config.json", "adapter_model.safetensors"):
                self._write(name, f"{results}/checkpoint-{step}/{file}", b"{}")

    def _check(self, spec: Any) -> None:
        problem = self.world.storage._problem(spec.output_uri)
        if problem:
            raise Refused(problem, "INVALID_ARGUMENT")

    def _write(self, name: str, path: str, content: bytes) -> None:
        if name in self.specs:
            self.world.storage.objects[f"{self.specs[name].output_uri}/{path}"] = content

    @cached_property
    def _events(self) -> dict[str, list[dict[str, Any]]]:
        return {}


def event_file(events: list[dict[str, Any]]) -> bytes:
    """As the local server writes it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "events"
        board_file.write(events, path)
        return path.read_bytes()


class FakeMetrics(Part):
    noun = "metrics"

    def __init__(self, world: "FakeGateway") -> None:
        super().__init__(world)
        self.series: dict[str, dict[str, list[Point]]] = {}

    @remote
    def read(self, experiment: str) -> dict[str, list[Point]]:
        return {tag: list(points) for tag, points in self.series.get(experiment, {}).items()}


def _created(job: RemoteTuningJob) -> datetime:
    return job.create_time or datetime.max.replace(tzinfo=UTC)

"""An in-memory Vertex AI with the gateway's surface; tests/contract proves that it behaves like the real gateway.

Nothing moves by itself: a test says `gateway.tuning.start(name)`, `gateway.deployment.finish(operation)`, or makes the
gateway `automatic`, and then every read of a job or operation moves it one notch. `gateway.ledger` holds every paid
create, whatever the caller was told about it; `gateway.calls` every call, as "tuning.create".
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from jobs.models.uris import parse_gs_uri
from jobs.vertex.errors import (
    AlreadyExists,
    LicenceRequired,
    NotFound,
    NotSent,
    OutcomeUnknown,
    OverQuota,
    Refused,
    Unavailable,
    VertexError,
)
from jobs.vertex.port import (
    CatalogueModel,
    ChatChunk,
    ChatRequest,
    Checkpoint,
    DeployedModel,
    DeploySpec,
    MachineSpec,
    Point,
    RemoteEndpoint,
    RemoteError,
    RemoteOperation,
    RemoteTuningJob,
    TuningJobSpec,
)

PROJECT, LOCATION, BUCKET = "garden-local", "us-central1", "garden-local"
PARENT = f"projects/{PROJECT}/locations/{LOCATION}"
CREATES = frozenset({"tuning.create", "deployment.deploy"})
STAGES = ("STARTING_DEPLOYMENT", "PREPARING_MODEL", "STARTING_MODEL_SERVER", "FINISHING_UP", "SUCCESSFULLY_DEPLOYED")
TERMINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED"})
MACHINES = (MachineSpec("g2-standard-12", "NVIDIA_L4", 1, "vLLM"), MachineSpec("n2-standard-8", title="CPU"))
GEMMA_270M, GEMMA_27B = "google/gemma3@gemma-3-270m", "google/gemma3@gemma-3-27b-it"
TINY = "local/tiny@tiny-gemma3"

P = ParamSpec("P")
R = TypeVar("R")


class Crash(BaseException):
    """Stands for the death of the process: no `except Exception` survives it."""


@dataclass
class Fault:
    error: BaseException
    after: bool = False
    times: int = 1


@dataclass(frozen=True)
class Creation:
    """One paid create that took place: `kind` is "tuning-job" or "deployment"."""

    kind: str
    name: str
    labels: Mapping[str, str]


class Part:
    noun = ""

    def __init__(self, world: "FakeGateway") -> None:
        self.world = world


def remote(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
    """Counts the call and lets the test's hooks and faults have their way with it."""

    @wraps(method)
    def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        name = f"{self.noun}.{method.__name__}"
        self.world.calls.append(name)
        for action in self.world.hooks.get(name, []):
            action()
        fault = self.world.take_fault(name)
        if fault and not fault.after:
            raise fault.error
        result = method(self, *args, **kwargs)
        if fault:
            raise fault.error
        return result

    return call


class FakeCatalogue(Part):
    noun = "catalogue"

    def __init__(self, world: "FakeGateway") -> None:
        super().__init__(world)
        self.models = {
            name: CatalogueModel(
                name=name,
                display_name=title,
                launch_stage="GA",
                overview="",
                machine_specs=machines,
                can_tune=bool(machines),
                licence="" if name == TINY else "Gemma Terms of Use",
                sample_request={"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 100},
            )
            for name, title, machines in [
                (GEMMA_270M, "Gemma 3 270M", MACHINES),
                (GEMMA_27B, "Gemma 3 27B Instruct", ()),
                (TINY, "Tiny", MACHINES),
            ]
        }
        self.acknowledged: set[str] = set()

    @remote
    def list_models(self) -> list[CatalogueModel]:
        return list(self.models.values())

    @remote
    def licence_acknowledged(self, model: str) -> bool:
        return not self.known(model).licence or model in self.acknowledged

    @remote
    def acknowledge_licence(self, model: str) -> None:
        self.acknowledged.add(self.known(model).name)

    def known(self, model: str) -> CatalogueModel:
        if model not in self.models:
            raise NotFound(f"Publisher model {model} does not exist.", "NOT_FOUND")
        return self.models[model]

    def require_licence(self, model: str) -> None:
        if self.models[model].licence and model not in self.acknowledged:
            raise LicenceRequired(f"Accept the licence of {model} first.", "FAILED_PRECONDITION")


class FakeStorage(Part):
    """`objects` by their whole URI. Write to it to stand for files that Vertex AI made."""

    noun = "storage"

    def __init__(self, world: "FakeGateway") -> None:
        super().__init__(world)
        self.buckets = {BUCKET}
        self.read_only: set[str] = set()
        self.objects: dict[str, bytes] = {}

    @remote
    def upload(self, path: Path, uri: str) -> None:
        problem = self._problem(uri)
        if problem:
            raise NotFound(problem, "NOT_FOUND")
        self.objects[uri] = path.read_bytes()

    @remote
    def problem_with_output(self, uri: str) -> str:
        return self._problem(uri)

    @remote
    def is_empty(self, uri: str) -> bool:
        self._need_bucket(uri)
        return not any(name.startswith(uri.rstrip("/") + "/") for name in self.objects)

    @remote
    def read_text(self, uri: str, limit: int) -> str | None:
        found = self.objects.get(uri)
        return None if found is None else found[max(0, len(found) - limit) :].decode("utf-8", "replace")

    @remote
    def ensure_bucket(self, uri: str) -> None:
        self.buckets.add(parse_gs_uri(uri)[0])

    def _problem(self, uri: str) -> str:
        try:
            bucket, _ = parse_gs_uri(uri)
        except ValueError as error:
            return str(error)
        if bucket not in self.buckets:
            return f"The bucket {bucket} does not exist."
        return f"Nothing may be written to the bucket {bucket}." if bucket in self.read_only else ""

    def _need_bucket(self, uri: str) -> None:
        if parse_gs_uri(uri)[0] not in self.buckets:
            raise NotFound(self._problem(uri), "NOT_FOUND")


class FakeTuning(Part):
    """`lag`: how many whole looks (`find`) a new job stays hidden from, as a list that is not yet consistent."""

    noun = "tuning"

    def __init__(self, world: "FakeGateway") -> None:
        super().__init__(world)
        self.jobs: dict[str, RemoteTuningJob] = {}
        self.specs: dict[str, TuningJobSpec] = {}
        self.lag = 0
        self._hidden: Counter[str] = Counter()

    @remote
    def create(self, spec: TuningJobSpec) -> RemoteTuningJob:
        self._check(spec)
        job = self.add(spec.labels, display_name=spec.display_name, location=LOCATION)
        self.specs[job.name] = spec
        return job

    @remote
    def get(self, name: str) -> RemoteTuningJob:
        self._known(name)
        if self.world.automatic:
            self._notch(name)
        return self.jobs[name]

    @remote
    def find(self, label: str, value: str) -> list[RemoteTuningJob]:
        shown = [job for job in self.jobs.values() if not self._hidden[job.name]]
        self._hidden = Counter({name: looks - 1 for name, looks in self._hidden.items() if looks > 1})
        return sorted((job for job in shown if job.labels.get(label) == value), key=_created)

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
        name = f"projects/{PROJECT}/locations/{location}/tuningJobs/{7000 + len(self.jobs)}"
        job = RemoteTuningJob(
            name=name, state="PENDING", labels=dict(labels), display_name=display_name, create_time=self.world.tick(),
            start_time=None, end_time=None, error=None, experiment="", tuned_model="", checkpoints=(), total_steps=None,
            data_stats={},
        )  # fmt: skip
        self.jobs[name] = job
        self._hidden[name] = self.lag
        self.world.ledger.append(Creation("tuning-job", name, job.labels))
        return job

    def start(self, name: str, *, total_steps: int = 6) -> None:
        experiment = f"{PARENT}/metadataStores/default/contexts/tuning-experiment-{name[-4:]}"
        stats = {"tuningDatasetExampleCount": "12", "tuningStepCount": str(total_steps)}
        self._change(
            name, state="RUNNING", start_time=self.world.tick(), experiment=experiment, total_steps=total_steps,
            data_stats=stats,
        )  # fmt: skip
        self._log(name, "training started\n")

    def step(self, name: str, step: int, loss: float = 1.0) -> None:
        """One point of training; the gateway's metrics show it."""
        series = self.world.metrics.series.setdefault(self.jobs[name].experiment, {})
        series.setdefault("/train_total_loss", []).append(Point(step, loss, self.world.tick()))

    def succeed(self, name: str) -> None:
        model, checkpoints = f"{PARENT}/models/tuned-{name[-4:]}@1", (Checkpoint("1", 1, 3), Checkpoint("2", 2, 6))
        self._change(
            name, state="SUCCEEDED", end_time=self.world.tick(), tuned_model=model, checkpoints=checkpoints
        )  # fmt: skip
        if name in self.specs:
            final = f"{self.specs[name].output_uri}/postprocess/node-0/checkpoints/final"
            self.world.storage.objects |= {f"{final}/config.json": b"{}", f"{final}/adapter/adapter.gguf": b"GGUF"}

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

    def _check(self, spec: TuningJobSpec) -> None:
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


class FakeMetrics(Part):
    noun = "metrics"

    def __init__(self, world: "FakeGateway") -> None:
        super().__init__(world)
        self.series: dict[str, dict[str, list[Point]]] = {}

    @remote
    def read(self, experiment: str) -> dict[str, list[Point]]:
        return {tag: list(points) for tag, points in self.series.get(experiment, {}).items()}


@dataclass
class FakeOperation:
    state: RemoteOperation
    finish: Callable[[], Any]
    by_itself: bool
    deploys: str = ""


class FakeDeployment(Part):
    """Undeploying and deleting finish at the first look; set `slow_removals` to finish them by hand."""

    noun = "deployment"

    def __init__(self, world: "FakeGateway") -> None:
        super().__init__(world)
        self.endpoints: dict[str, RemoteEndpoint] = {}
        self.models: dict[str, str] = {}
        self.operations: dict[str, FakeOperation] = {}
        self.specs: dict[str, DeploySpec] = {}
        self.slow_removals = False

    @remote
    def deploy(self, spec: DeploySpec) -> str:
        name, model = self._endpoint_name(spec.endpoint_user_id), self._model_name(spec.model_user_id)
        self._check(spec, name, model)
        endpoint = RemoteEndpoint(name, spec.endpoint_display_name, dict(spec.labels), "", ())
        self.endpoints[name], self.models[model], self.specs[name] = endpoint, spec.model_display_name, spec
        self.world.ledger.append(Creation("deployment", name, dict(spec.labels)))
        return self._begin(
            f"{PARENT}/operations", lambda: self._serve(name, model), by_itself=False, stage=STAGES[0],
            response={"endpoint": name, "model": f"{model}@1"}, deploys=name,
        )  # fmt: skip

    @remote
    def get_operation(self, name: str) -> RemoteOperation:
        operation = self._known(self.operations, name, "Operation")
        if not operation.state.done and operation.by_itself:
            self.finish(name)
        elif not operation.state.done and self.world.automatic:
            self.progress(name)
        return replace(operation.state, response=operation.state.response if operation.state.done else {})

    @remote
    def find_deployment(self, endpoint: str) -> RemoteOperation | None:
        found = [operation.state for operation in self.operations.values() if operation.deploys == endpoint]
        return replace(found[-1], response={}) if found else None

    def endpoint_name(self, endpoint_user_id: str) -> str:
        return self._endpoint_name(endpoint_user_id)

    def model_name(self, model_user_id: str) -> str:
        return self._model_name(model_user_id)

    @remote
    def get_endpoint(self, name: str) -> RemoteEndpoint:
        return self._known(self.endpoints, name, "Endpoint")

    @remote
    def undeploy(self, endpoint: str, deployed_model_id: str) -> str:
        found = self._known(self.endpoints, endpoint, "Endpoint")
        kept = tuple(model for model in found.deployed_models if model.id != deployed_model_id)
        if len(kept) == len(found.deployed_models):
            raise NotFound(f"No deployed model {deployed_model_id} on {endpoint}.", "NOT_FOUND")
        return self._begin(
            f"{endpoint}/operations",
            lambda: self.endpoints.update({endpoint: replace(self.endpoints[endpoint], deployed_models=kept)}),
        )

    @remote
    def delete_endpoint(self, name: str) -> str:
        if self._known(self.endpoints, name, "Endpoint").deployed_models:
            raise Refused(f"The endpoint {name} still has a deployed model.", "FAILED_PRECONDITION")
        return self._begin(f"{name}/operations", lambda: self.endpoints.pop(name, None))

    @remote
    def delete_model(self, name: str) -> str:
        self._known(self.models, name, "Model")
        if any(model.model == name for found in self.endpoints.values() for model in found.deployed_models):
            raise Refused(f"The model {name} is still deployed.", "FAILED_PRECONDITION")
        return self._begin(f"{name}/operations", lambda: self.models.pop(name, None))

    def progress(self, name: str) -> None:
        """The next stage; the last one finishes the operation."""
        operation = self.operations[name]
        at = STAGES.index(operation.state.stage) + 1 if operation.state.stage else len(STAGES) - 1
        if at == len(STAGES) - 1:
            self.finish(name)
        else:
            operation.state = replace(operation.state, stage=STAGES[at])

    def finish(self, name: str) -> None:
        operation = self.operations[name]
        stage = STAGES[-1] if operation.state.stage else ""
        operation.finish()
        operation.state = replace(operation.state, done=True, stage=stage)

    def fail(
        self,
        name: str,
        code: str = "FAILED_PRECONDITION",
        message: str = "Model server never became ready.",
        *,
        removes: bool = False,
    ) -> None:
        """The operation ends in error. Google may leave the empty endpoint; the local server `removes` it."""
        operation = self.operations[name]
        error = RemoteError(code, message)
        operation.state = replace(operation.state, done=True, error=error, stage="FAILED_TO_DEPLOY", response={})
        if removes:
            self.models.pop(self._model_name(self.specs[operation.deploys].model_user_id))
            self.endpoints.pop(operation.deploys)

    def _check(self, spec: DeploySpec, name: str, model: str) -> None:
        if name in self.endpoints or model in self.models:
            raise AlreadyExists(f"{name} already exists.", "ALREADY_EXISTS")
        if bool(spec.publisher_model) == bool(spec.artifact_uri):
            raise Refused("Give either a publisher model or an artifact folder.", "INVALID_ARGUMENT")
        if spec.publisher_model:
            self.world.catalogue.known(spec.publisher_model)
            if spec.accept_eula:
                self.world.catalogue.acknowledged.add(spec.publisher_model)
            self.world.catalogue.require_licence(spec.publisher_model)
        elif not any(uri.startswith(spec.artifact_uri.rstrip("/") + "/") for uri in self.world.storage.objects):
            raise Refused(f"There is no model in {spec.artifact_uri}.", "INVALID_ARGUMENT")

    def _serve(self, name: str, model: str) -> None:
        deployed = DeployedModel("4711", model, self.models[model], 1)
        dns = f"{name.rsplit('/', 1)[1]}.{LOCATION}-1.prediction.vertexai.goog"
        self.endpoints[name] = replace(self.endpoints[name], dedicated_dns=dns, deployed_models=(deployed,))

    def _begin(
        self, parent: str, finish: Callable[[], Any], *, by_itself: bool = True, stage: str = "",
        response: Mapping[str, Any] | None = None, deploys: str = "",
    ) -> str:  # fmt: skip
        name = f"{parent}/{9000 + len(self.operations)}"
        state = RemoteOperation(name, False, None, stage, response or {})
        self.operations[name] = FakeOperation(state, finish, by_itself and not self.slow_removals, deploys)
        return name

    def _endpoint_name(self, endpoint_user_id: str) -> str:
        return f"{PARENT}/endpoints/{endpoint_user_id}"

    def _model_name(self, model_user_id: str) -> str:
        return f"{PARENT}/models/{model_user_id}"

    def _known(self, table: Mapping[str, R], name: str, kind: str) -> R:
        if name not in table:
            raise NotFound(f"The {kind} {name} does not exist.", "NOT_FOUND")
        return table[name]


class FakeChat(Part):
    """`script` is what the next answers stream: texts, chunks, and errors to raise. Empty: an echo of the last turn.

    `requests` holds what was asked, `closed` how many streams were left; `on_chunk` runs before each chunk.
    """

    noun = "chat"

    def __init__(self, world: "FakeGateway") -> None:
        super().__init__(world)
        self.script: list[Sequence[str | ChatChunk | BaseException]] = []
        self.requests: list[ChatRequest] = []
        self.closed = 0
        self.on_chunk: Callable[[], None] = lambda: None

    @contextmanager
    def stream(self, request: ChatRequest) -> Iterator[Iterator[ChatChunk]]:
        self._open(request)
        try:
            yield self._chunks(self.script.pop(0) if self.script else self._echo(request))
        finally:
            self.closed += 1

    @remote
    def _open(self, request: ChatRequest) -> None:
        self.requests.append(request)
        endpoint = self.world.deployment.endpoints.get(request.endpoint)
        if endpoint is None:
            raise NotFound(f"The endpoint {request.endpoint} does not exist.", "NOT_FOUND")
        if not endpoint.deployed_models:
            raise Refused(f"Nothing is deployed on {request.endpoint}.", "FAILED_PRECONDITION")

    def _echo(self, request: ChatRequest) -> list[str | ChatChunk]:
        words = str(request.messages[-1]["content"]).split()
        usage = {"prompt_tokens": len(words), "completion_tokens": len(words)}
        return [*(f"{word} " for word in words), ChatChunk(finish_reason="stop", usage=usage)]

    def _chunks(self, parts: Sequence[str | ChatChunk | BaseException]) -> Iterator[ChatChunk]:
        for part in parts:
            self.on_chunk()
            if isinstance(part, BaseException):
                raise part
            yield ChatChunk(text=part) if isinstance(part, str) else part


@dataclass
class FakeGateway:
    automatic: bool = False
    ledger: list[Creation] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    hooks: dict[str, list[Callable[[], None]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._now = datetime.now(UTC)
        self.catalogue = FakeCatalogue(self)
        self.storage = FakeStorage(self)
        self.tuning = FakeTuning(self)
        self.metrics = FakeMetrics(self)
        self.deployment = FakeDeployment(self)
        self.chat = FakeChat(self)

    def creates(self, kind: str = "") -> list[str]:
        return [creation.name for creation in self.ledger if kind in ("", creation.kind)]

    def during(self, method: str, action: Callable[[], None]) -> None:
        """Runs `action` inside every call of "noun.method", before it has an effect."""
        self.hooks.setdefault(method, []).append(action)

    def fail(self, method: str, error: BaseException, *, after: bool = False, times: int = 1) -> None:
        """The next `times` calls of "noun.method" raise `error`, before or after they took effect."""
        self.faults.setdefault(method, []).append(Fault(error, after, times))

    def not_sent(self, method: str, times: int = 1) -> None:
        error = NotSent("Vertex AI could not be reached.") if method in CREATES else _unavailable()
        self.fail(method, error, times=times)

    def drop_before(self, method: str, times: int = 1) -> None:
        """The connection broke, and the server had done nothing; the caller cannot know."""
        self.fail(method, _lost(method), times=times)

    def drop_after(self, method: str, times: int = 1) -> None:
        """The server did it, and the reply was lost."""
        self.fail(method, _lost(method), after=True, times=times)

    def refuse(self, method: str, message: str = "No.", code: str = "INVALID_ARGUMENT", times: int = 1) -> None:
        self.fail(method, Refused(message, code), times=times)

    def unavailable(self, method: str, times: int = 1) -> None:
        self.fail(method, _unavailable(), times=times)

    def over_quota(self, method: str, times: int = 1) -> None:
        message = "Quota exceeded: GlobalConcurrentManagedOssModelTuningJobs."
        self.fail(method, OverQuota(message, "RESOURCE_EXHAUSTED"), times=times)

    def crash(self, method: str, *, after: bool = True) -> None:
        self.fail(method, Crash(method), after=after)

    def take_fault(self, method: str) -> Fault | None:
        for fault in self.faults.get(method, []):
            if fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def tick(self) -> datetime:
        """A clock of its own, so that no two events are of the same time."""
        self._now += timedelta(seconds=1)
        return self._now


def _created(job: RemoteTuningJob) -> datetime:
    return job.create_time or datetime.max.replace(tzinfo=UTC)


def _unavailable() -> VertexError:
    return Unavailable("Vertex AI does not answer.", "UNAVAILABLE")


def _lost(method: str) -> VertexError:
    return OutcomeUnknown("The connection broke before an answer came.") if method in CREATES else _unavailable()

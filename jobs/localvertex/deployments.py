"""Model-garden deployments: the work behind the operation that `:deploy` answers with."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from google.cloud.aiplatform_v1beta1.types import (
    DeployedModel,
    DeploymentStage,
    DeployModelOperationMetadata,
    DeployModelResponse,
    DeployResponse,
    Endpoint,
    Model,
)
from google.protobuf.message import Message as RawMessage
from google.rpc import status_pb2
from proto import Message as PlusMessage

from jobs.localvertex.base_models import BaseModels, Weights
from jobs.localvertex.buckets import Buckets, location
from jobs.localvertex.errors import ApiError
from jobs.localvertex.serving import Plan, Serving
from jobs.localvertex.store import Store
from jobs.localvertex.wire import Json, Operation, now, pack

log = logging.getLogger(__name__)
AT_ONCE = 2
ADAPTER = "adapter/adapter.gguf"


class Deployments:
    """A deployment that a restart cut off begins again: each step may be repeated."""

    def __init__(self, store: Store, weights: BaseModels, buckets: Buckets, serving: Serving) -> None:
        self._store = store
        self._weights = weights
        self._buckets = buckets
        self._serving = serving
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="deploy")
        self._cancelled: set[str] = set()
        self._stopping = threading.Event()

    def start(self) -> None:
        self._serving.watch()
        for endpoint in reversed(self._store.all(Endpoint)):
            if endpoint.deployed_models:
                self._serve_again(endpoint.name)
        for operation in reversed(self._store.all(Operation)):
            if not operation.done and self._store.note(operation.name).get("endpoint"):
                self.begin(operation.name)

    def _serve_again(self, endpoint: str) -> None:
        note = self._store.note(endpoint)
        weights = self._weights.find(note["base"])
        if weights is None or not weights.servable:
            log.error("%s cannot be served: the weights of %s are not here any more", endpoint, note["base"])
            return
        self._serving.adopt(self._plan(endpoint, weights, tuned=note["tuned"]))

    def _plan(self, endpoint: str, weights: Weights, *, tuned: bool) -> Plan:
        adapter = self._serving.folder(endpoint) / "adapter.gguf"
        mmproj = str(weights.mmproj) if weights.mmproj else None
        return Plan(endpoint, str(weights.gguf), mmproj, str(adapter) if tuned else None)

    def stop(self) -> None:
        self._stopping.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def begin(self, operation: str) -> None:
        self._pool.submit(self._run, operation)

    def cancel(self, operation: str) -> None:
        self._cancelled.add(operation)

    def busy(self, endpoint: str) -> bool:
        return any(note.get("endpoint") == endpoint for note in self._pending())

    def uses(self, model: str) -> bool:
        return any(note.get("model") == model for note in self._pending())

    def _pending(self) -> list[Json]:
        return [self._store.note(o.name) for o in self._store.all(Operation) if not o.done]

    def _run(self, name: str) -> None:
        note = self._store.note(name)
        try:
            self._deploy(name, note)
        except ApiError as error:
            if not self._stopping.is_set():
                self._fail(name, note, error)
        except Exception:
            log.exception("%s failed", name)
            self._fail(name, note, ApiError("INTERNAL", "Internal error encountered. See the server's log."))
        finally:
            self._cancelled.discard(name)

    def _deploy(self, name: str, note: Json) -> None:
        self._stage(note, DeploymentStage.PREPARING_MODEL)
        plan = self._prepare(note, lambda: self._leaving(name))
        self._stage(note, DeploymentStage.STARTING_MODEL_SERVER)
        self._serving.start(plan, lambda: self._leaving(name))
        self._serving.warm_up(plan.endpoint)
        self._stage(note, DeploymentStage.FINISHING_UP)
        with self._store.transaction():
            deployed = self._publish(note, plan)
            response = DeployResponse(
                publisher_model=note["publisher_model"], endpoint=note["endpoint"], model=f"{note['model']}@1"
            )
            finish(self._store, name, response)
            self._stage(note, DeploymentStage.SUCCESSFULLY_DEPLOYED)
            finish(self._store, note["stages"], DeployModelResponse(deployed_model=DeployedModel(id=deployed)))

    def _prepare(self, note: Json, leaving: Callable[[], bool]) -> Plan:
        weights = self._weights.wait(note["base"], "servable", leaving)
        if weights is None:
            raise ApiError("CANCELLED", "The deployment was cancelled.")
        plan = self._plan(note["endpoint"], weights, tuned=bool(note["gcs_uri"]))
        if plan.adapter:
            source = location(note["gcs_uri"], "custom_model.gcs_uri") / ADAPTER
            self._buckets.download(source, Path(plan.adapter))
        return plan

    def _publish(self, note: Json, plan: Plan) -> str:
        with self._store.edit(Endpoint, note["endpoint"]) as endpoint:
            deployed = DeployedModel(
                id=note["deployed_model_id"],
                model=note["model"],
                model_version_id="1",
                display_name=note["display_name"],
                create_time=now(),
                dedicated_resources=note["resources"],
                system_labels=note["system_labels"],
            )
            endpoint.deployed_models = [deployed]
            endpoint.traffic_split = {deployed.id: 100}
            endpoint.update_time = now()
        self._store.write_note(note["endpoint"], base=note["base"], tuned=plan.adapter is not None)
        with self._store.edit(Model, note["model"]) as model:
            reference = type(model).pb(model).deployed_models.add()
            reference.endpoint, reference.deployed_model_id = note["endpoint"], note["deployed_model_id"]
        return str(note["deployed_model_id"])

    def _fail(self, name: str, note: Json, error: ApiError) -> None:
        """Leaves nothing behind: the endpoint's and the model's ids can be used again."""
        self._serving.stop(note["endpoint"])
        with self._store.transaction():
            self._stage(note, DeploymentStage.FAILED_TO_DEPLOY)
            self._store.delete(note["endpoint"])
            self._store.delete(note["model"])
            fail(self._store, name, error)
            fail(self._store, note["stages"], error)

    def _stage(self, note: Json, stage: int) -> None:
        with self._store.edit(Operation, note["stages"]) as operation:
            metadata = DeployModelOperationMetadata.pb()()
            operation.metadata.Unpack(metadata)
            metadata.deployment_stage = int(stage)
            metadata.generic_metadata.update_time.FromDatetime(now())
            operation.metadata.Pack(metadata)

    def _leaving(self, operation: str) -> bool:
        return self._stopping.is_set() or operation in self._cancelled


def finish(store: Store, name: str, response: PlusMessage | RawMessage) -> None:
    with store.edit(Operation, name) as operation:
        operation.done = True
        operation.response.CopyFrom(pack(response))


def fail(store: Store, name: str, error: ApiError) -> None:
    with store.edit(Operation, name) as operation:
        operation.done = True
        operation.error.CopyFrom(status_pb2.Status(code=error.grpc_code, message=error.message))

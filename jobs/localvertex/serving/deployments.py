"""Deployments: the work behind the operations that `:deploy` and `:deployModel` answer with."""

import logging
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
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

from jobs.localvertex.api.errors import ApiError, not_found
from jobs.localvertex.api.faults import wait_to_fail
from jobs.localvertex.api.wire import Json, Operation, load, now, pack
from jobs.localvertex.models import registry
from jobs.localvertex.models.base_models import BaseModels
from jobs.localvertex.models.containers import CONTEXT_TOKENS
from jobs.localvertex.models.sampling import without_penalties
from jobs.localvertex.serving.llama import Plan
from jobs.localvertex.serving.pool import Serving, name_of
from jobs.localvertex.serving.quantizations import Quantizations, name_of_speed, own_kind
from jobs.localvertex.shortages import shortage_of
from jobs.localvertex.storage.buckets import Buckets, location
from jobs.localvertex.store import Store

log = logging.getLogger(__name__)
AT_ONCE = 2
PAUSE_SECONDS = 3.0  # after something ran out
ADAPTER = "adapter/adapter.gguf"
BASE, TUNED, MERGED = "base", "tuned", "merged"


class Deployments:
    """A deployment that a restart cut off begins again: each step may be repeated."""

    def __init__(
        self, store: Store, weights: BaseModels, buckets: Buckets, serving: Serving, quantizations: Quantizations
    ) -> None:
        self._store = store
        self._weights = weights
        self._buckets = buckets
        self._serving = serving
        self.quantizations = quantizations
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="deploy")
        self._cancelled: set[str] = set()
        self._stopping = threading.Event()

    def start(self) -> None:
        self._serving.watch()
        for endpoint in reversed(self._store.all(Endpoint)):
            for deployed in endpoint.deployed_models:
                self._serve_again(name_of(endpoint.name, deployed.id))
        for operation in reversed(self._store.find_undone(Operation)):
            if self._store.note(operation.name).get("endpoint"):
                self.begin(operation.name)

    def _serve_again(self, name: str) -> None:
        note = self._store.note(name)
        weights = self._weights.find(note.get("base", ""))
        kind = note.get("quantization") or ""
        if note.get("form") != MERGED and (weights is None or not self.quantizations.find(weights, kind).is_file()):
            log.error("%s cannot be served: the weights of %s are not here any more", name, note.get("base"))
            return
        self._serving.adopt(self._plan(name, note))

    def _plan(self, name: str, note: Json) -> Plan:
        folder = self._serving.folder(name)
        base = self._weights.find(note.get("base", ""))
        sampling = base.sampling if base else {}
        plan = Plan(
            name,
            "",
            display_name=str(note.get("deployed_model", {}).get("displayName", "")),
            idle_seconds=note.get("idle_seconds"),
            sampling=sampling if note["form"] == BASE else without_penalties(sampling),
            context=int(note.get("context") or CONTEXT_TOKENS),
        )
        kind = note.get("quantization") or ""
        if note["form"] == MERGED:
            vision = folder / "mmproj.gguf"
            mmproj = str(vision) if vision.is_file() else None
            speed = name_of_speed(note["base"], kind) if note["base"] else ""
            return replace(plan, model=str(folder / "model.gguf"), mmproj=mmproj, speed_name=speed)
        weights = self._weights.get(note["base"])
        adapter = str(folder / "adapter.gguf") if note["form"] == TUNED else None
        model = self.quantizations.find(weights, kind)
        vision = weights.mmproj or model.with_name("mmproj.gguf")
        mmproj = str(vision) if vision.is_file() and (weights.mmproj or kind) else None
        speed = "" if adapter else name_of_speed(weights.id, kind or own_kind(weights) or "")
        return replace(plan, model=str(model), mmproj=mmproj, adapter=adapter, hf=str(weights.hf), speed_name=speed)

    def stop(self) -> None:
        self._stopping.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def begin(self, operation: str) -> None:
        self._pool.submit(self._run, operation)

    def cancel(self, operation: str) -> None:
        self._cancelled.add(operation)

    def require_room(self, base: str, kind: str, context: int = CONTEXT_TOKENS) -> None:
        """Refuses at once what cannot be served here; weights that are still to be made are looked at then."""
        weights = self._weights.find(base)
        if weights is not None and weights.servable:
            self._serving.require_room(self.quantizations.find_needs(weights, kind, context), base)

    def busy(self, endpoint: str) -> bool:
        return bool(self.pending(endpoint))

    def pending(self, endpoint: str) -> list[Json]:
        """What is remembered of each deployment to `endpoint` that is still going on."""
        return [note for note in self._pending() if note.get("endpoint") == endpoint]

    def uses(self, model: str) -> bool:
        return any(note.get("model", "").partition("@")[0] == model for note in self._pending())

    def uses_pool(self, pool: str) -> bool:
        return any(note.get("deployed_model", {}).get("sharedResources") == pool for note in self._pending())

    def _pending(self) -> list[Json]:
        return [self._store.note(operation.name) for operation in self._store.find_undone(Operation)]

    def _run(self, name: str) -> None:
        note = self._store.note(name)
        try:
            self._deploy_patiently(name, note)
        except ApiError as error:
            if not self._stopping.is_set():
                self._fail(name, note, error)
        except Exception:
            log.exception("%s failed", name)
            self._fail(name, note, ApiError("INTERNAL", "Internal error encountered. See the server's log."))
        finally:
            self._cancelled.discard(name)

    def _deploy_patiently(self, name: str, note: Json) -> None:
        """Waits when something ran out, and begins again: each step may be repeated."""
        while not self._leaving(name):
            try:
                return self._deploy(name, note)
            except Exception as error:
                if isinstance(error, ApiError) or not shortage_of(error):
                    raise
                log.exception("%s waits", name)
            self._stopping.wait(PAUSE_SECONDS)
        raise ApiError("CANCELLED", "The deployment was cancelled.")

    def _deploy(self, name: str, note: Json) -> None:
        self._stage(note, DeploymentStage.PREPARING_MODEL)
        wait_to_fail(note, lambda: self._leaving(name))
        served = name_of(note["endpoint"], note["deployed_model"]["id"])
        plan = self.prepare(served, note, lambda: self._leaving(name))
        self._stage(note, DeploymentStage.STARTING_MODEL_SERVER)
        self._serving.start(plan, lambda: self._leaving(name))
        self._stage(note, DeploymentStage.FINISHING_UP)
        with self._store.transaction():
            deployed = self._publish(note)
            self._stage(note, DeploymentStage.SUCCESSFULLY_DEPLOYED)
            finish(self._store, note["stages"], DeployModelResponse(deployed_model=deployed))
            if note["stages"] != name:
                model = f"{note['model']}@1"
                response = DeployResponse(
                    publisher_model=note["publisher_model"], endpoint=note["endpoint"], model=model
                )
                finish(self._store, name, response)

    def prepare(self, name: str, note: Json, leaving: Callable[[], bool]) -> Plan:
        """Fetches and converts what is to be served as `name`. Raises CANCELLED when `leaving` says so first."""
        if note["form"] == MERGED:
            source, folder = location(note["gcs_uri"], "custom_model.gcs_uri"), self._serving.folder(name)
            kind = note.get("quantization") or ""
            note["quantization"] = self.quantizations.make_whole(source, kind, folder, leaving)
            return self._plan(name, note)
        weights, kind = self._weights.get(note["base"]), note.get("quantization") or ""
        if not (kind and weights.is_original) and self._weights.wait(weights.id, "servable", leaving) is None:
            raise ApiError("CANCELLED", "The deployment was cancelled.")
        if kind:
            self.quantizations.make(weights, kind, leaving)
        plan = self._plan(name, note)
        if plan.adapter:
            source = location(note["gcs_uri"], "custom_model.gcs_uri") / note.get("adapter", ADAPTER)
            self._buckets.download(source, Path(plan.adapter))
        return plan

    def _publish(self, note: Json) -> DeployedModel:
        deployed = load(DeployedModel, note["deployed_model"])
        deployed.create_time = now()
        with self._store.edit(Endpoint, note["endpoint"]) as endpoint:
            endpoint.deployed_models = [*endpoint.deployed_models, deployed]
            endpoint.traffic_split = _split(note, endpoint, deployed.id)
            endpoint.update_time = now()
        kept = {name: note.get(name) for name in ("base", "form", "idle_seconds", "quantization", "context")}
        self._store.write_note(name_of(note["endpoint"], deployed.id), **kept)
        with self._store.edit(Model, self._row(deployed)) as model:
            reference = type(model).pb(model).deployed_models.add()
            reference.endpoint, reference.deployed_model_id = note["endpoint"], deployed.id
        return deployed

    def _row(self, deployed: DeployedModel) -> str:
        return str(registry.find(self._store, f"{deployed.model}@{deployed.model_version_id}").name)

    def _fail(self, name: str, note: Json, error: ApiError) -> None:
        """Leaves nothing behind: what was made for this deployment goes again, and its ids can be used anew."""
        self._serving.stop(name_of(note["endpoint"], note["deployed_model"]["id"]))
        while not self._stopping.is_set():
            try:
                self._note_failure(name, note, error)
                return
            except sqlite3.OperationalError:
                log.exception("%s: its end cannot be noted yet", name)
            self._stopping.wait(PAUSE_SECONDS)

    def _note_failure(self, name: str, note: Json, error: ApiError) -> None:
        with self._store.transaction():
            cancelled = error.status == "CANCELLED"
            self._stage(note, DeploymentStage.DEPLOYMENT_TERMINATED if cancelled else DeploymentStage.FAILED_TO_DEPLOY)
            fail(self._store, note["stages"], error)
            if note["stages"] != name:
                self._store.delete(note["endpoint"])
                self._store.delete(note["model"])
                fail(self._store, name, error)

    def _stage(self, note: Json, stage: int) -> None:
        with self._store.edit(Operation, note["stages"]) as operation:
            metadata = DeployModelOperationMetadata.pb()()
            operation.metadata.Unpack(metadata)
            metadata.deployment_stage = int(stage)
            metadata.generic_metadata.update_time.FromDatetime(now())
            operation.metadata.Pack(metadata)

    def _leaving(self, operation: str) -> bool:
        return self._stopping.is_set() or operation in self._cancelled


def _split(note: Json, endpoint: Endpoint, deployed_id: str) -> dict[str, int]:
    """The request's, in which "0" stands for the new one. Others may have been undeployed meanwhile."""
    asked = {(deployed_id if key == "0" else key): share for key, share in note["traffic_split"].items()}
    missing = set(asked) - {deployed.id for deployed in endpoint.deployed_models}
    if missing:
        raise not_found(f"The DeployedModel {min(missing)} that traffic_split names")
    return asked or dict(endpoint.traffic_split)


def finish(store: Store, name: str, response: PlusMessage | RawMessage) -> None:
    with store.edit(Operation, name) as operation:
        operation.done = True
        operation.response.CopyFrom(pack(response))


def fail(store: Store, name: str, error: ApiError) -> None:
    with store.edit(Operation, name) as operation:
        operation.done = True
        operation.error.CopyFrom(status_pb2.Status(code=error.grpc_code, message=error.message))

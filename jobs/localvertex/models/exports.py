"""The weights of a base model into a bucket: the work behind the operations that `:export` answers with."""

import logging
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from math import prod
from pathlib import Path

from google.cloud.aiplatform_v1beta1.types import ExportPublisherModelResponse
from google.rpc import status_pb2

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.api.wire import Json, Operation, pack
from jobs.localvertex.memory.headers import read_header
from jobs.localvertex.models.base_models import BaseModels
from jobs.localvertex.shortages import shortage_of
from jobs.localvertex.storage.buckets import Buckets, location
from jobs.localvertex.store import Store

log = logging.getLogger(__name__)
AT_ONCE = 1
PAUSE_SECONDS, PATIENCE_SECONDS = 3.0, 300.0
SUFFIXES = (".json", ".safetensors", ".jinja", ".model")
NOTE = "export"
BYTES_OF_HALF = 2


class Away(Exception):
    """The storage does not answer as it should, and may do so in a moment."""


class Exports:
    """An export that a restart cut off begins again: the same files go to the same names."""

    def __init__(self, store: Store, weights: BaseModels, buckets: Buckets) -> None:
        self._store, self._weights, self._buckets = store, weights, buckets
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="export")
        self._cancelled: set[str] = set()
        self._stopping = threading.Event()

    def start(self) -> None:
        for operation in reversed(self._store.all(Operation)):
            if not operation.done and NOTE in self._store.note(operation.name):
                self.begin(operation.name)

    def stop(self) -> None:
        self._stopping.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def begin(self, operation: str) -> None:
        self._pool.submit(self._run, operation)

    def cancel(self, operation: str) -> bool:
        """False: it is the operation of something else."""
        if NOTE not in self._store.note(operation):
            return False
        self._cancelled.add(operation)
        return True

    def _run(self, name: str) -> None:
        """Waits when something ran out, and for a storage that is away for some minutes, and begins again."""
        asked, until = self._store.note(name)[NOTE], time.monotonic() + PATIENCE_SECONDS
        while not self._stopping.is_set():
            try:
                self._end(name, self._result(name, asked, is_patient=time.monotonic() < until))
                break
            except (Away, OSError, sqlite3.OperationalError) as error:
                log.warning("%s waits: %s", name, shortage_of(error) or error)
            self._stopping.wait(PAUSE_SECONDS)
        self._cancelled.discard(name)

    def _result(self, name: str, asked: Json, *, is_patient: bool) -> ExportPublisherModelResponse | ApiError | None:
        """None: this program is leaving, and goes on after the restart."""
        try:
            self._export(name, asked)
        except ApiError as error:
            if error.status == "UNAVAILABLE" and is_patient and not self._leaving(name):
                raise Away(str(error)) from error
            return None if self._stopping.is_set() else error
        except Exception as error:
            if shortage_of(error):
                raise
            log.exception("%s failed", name)
            return ApiError("INTERNAL", "Internal error encountered. See the server's log.")
        return ExportPublisherModelResponse(publisher_model=asked["name"], destination_uri=asked["destination"])

    def _export(self, name: str, asked: Json) -> None:
        """A storage that was restarted knows nothing of an upload that was under way, and says that it is not there."""
        weights = self._weights.wait(asked["model"], "trainable", lambda: self._leaving(name))
        destination = location(asked["destination"], "destination.output_uri_prefix")
        self._buckets.children(destination)
        for path in weight_files(weights.hf) if weights else []:
            self._check(name)
            try:
                self._buckets.upload(path, destination / path.name)
            except ApiError as error:
                raise ApiError("UNAVAILABLE", error.message) from error
        self._check(name)

    def _check(self, name: str) -> None:
        if self._leaving(name):
            raise ApiError("CANCELLED", "The export was cancelled.")

    def _leaving(self, name: str) -> bool:
        return self._stopping.is_set() or name in self._cancelled

    def _end(self, name: str, result: ExportPublisherModelResponse | ApiError | None) -> None:
        if result is None:
            return
        with self._store.edit(Operation, name) as operation:
            operation.done = True
            if isinstance(result, ApiError):
                operation.error.CopyFrom(status_pb2.Status(code=result.grpc_code, message=result.message))
            else:
                operation.response.CopyFrom(pack(result))


def weight_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.suffix in SUFFIXES and path.is_file())


def size_in_half(folder: Path) -> int:
    """Of a whole model of this shape in bf16, with what belongs to it. 0 where the files cannot be read."""
    try:
        return sum(_size_in_half(path) for path in weight_files(folder))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0


def _size_in_half(path: Path) -> int:
    if path.suffix != ".safetensors":
        return path.stat().st_size
    length, tensors = read_header(path)
    return 8 + length + BYTES_OF_HALF * sum(prod(one["shape"]) for one in tensors.values())

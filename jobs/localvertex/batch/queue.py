"""Batches, one at a time in the order of creation; what a restart cut off goes on where it was."""

import logging
import shutil
import threading
from functools import partial
from pathlib import Path
from typing import Any

from google.cloud.aiplatform_v1beta1.types import BatchPredictionJob
from google.rpc import status_pb2

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.api.wire import Json, now
from jobs.localvertex.batch.answering import Answering
from jobs.localvertex.batch.inputs import fetch
from jobs.localvertex.batch.journal import Journal
from jobs.localvertex.batch.work import Work
from jobs.localvertex.models.base_models import BaseModels
from jobs.localvertex.serving.deployments import Deployments
from jobs.localvertex.serving.pool import Serving, name_of
from jobs.localvertex.serving.targets import Target, Targets
from jobs.localvertex.shortages import shortage_of
from jobs.localvertex.storage.buckets import Buckets, location
from jobs.localvertex.store import Store
from jobs.localvertex.tuning.job import Stopped
from jobs.localvertex.tuning.queue import CANCELLED, CANCELLING, FAILED, PENDING, RUNNING, SUCCEEDED, UNFINISHED

log = logging.getLogger(__name__)
PAUSE_SECONDS = 3.0
DEPLOYED_ID = "batch"


class Batches:
    def __init__(
        self,
        store: Store,
        weights: BaseModels,
        buckets: Buckets,
        serving: Serving,
        deployments: Deployments,
        targets: Targets,
        folder: Path,
    ) -> None:
        self._store = store
        self._weights = weights
        self._buckets = buckets
        self._serving = serving
        self._deployments = deployments
        self._targets = targets
        self._folder = folder
        self._changed = threading.Condition()  # taken before the store's lock, never while it is held
        self._stopping = threading.Event()
        self._cancelled: set[str] = set()
        self._running = ""
        self._thread = threading.Thread(target=self._loop, name="batches", daemon=True)

    def start(self) -> None:
        """What an end that was cut off has left of a batch goes first."""
        known = {job.name.rpartition("/")[2] for job in self._store.all(BatchPredictionJob) if job.state in UNFINISHED}
        for folder in self._folder.glob("*"):
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join(1.9)

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def cancel(self, name: str) -> None:
        """The job's row says CANCELLING already. One that waits ends here."""
        with self._changed:
            self._cancelled.add(name)
            if name != self._running:
                self._end(name, CANCELLED, ApiError("CANCELLED", "The job was cancelled."))
            self._changed.notify_all()

    def _loop(self) -> None:
        while (job := self._claim()) is not None:
            try:
                self._advance(job)
            except Stopped:
                return
            except Exception as error:
                self._give_up(job, error)
            finally:
                with self._changed:
                    self._running = ""

    def _claim(self) -> BatchPredictionJob | None:
        with self._changed:
            while not self._stopping.is_set():
                if (job := self._next()) is not None:
                    self._running = job.name
                    return job
                self._changed.wait()
        return None

    def _next(self) -> BatchPredictionJob | None:
        waiting = [job for job in self._store.all(BatchPredictionJob) if job.state in UNFINISHED]
        order = {CANCELLING: 0, RUNNING: 1, PENDING: 2}
        return min(waiting, key=lambda job: (order[job.state], job.create_time), default=None)

    def _give_up(self, job: BatchPredictionJob, error: Exception) -> None:
        """For good, unless something ran out: then its turn comes again."""
        try:
            if not shortage_of(error):
                log.exception("%s failed", job.name)
                self._end(job.name, FAILED, ApiError("INTERNAL", "Internal error encountered. See the server's log."))
                return
        except Exception as another:
            error = another
        log.error("%s waits", job.name, exc_info=error)
        self._stopping.wait(PAUSE_SECONDS)

    def _advance(self, job: BatchPredictionJob) -> None:
        journal = Journal(self._folder / job.name.rpartition("/")[2])
        work = Work(job, self._store, journal)
        try:
            if job.state != CANCELLING:
                self._answer_unless_cancelled(work)
            self._finish(work)
        except ApiError as error:
            self._end(job.name, FAILED, error)
        finally:
            journal.close()
        journal.discard()

    def _answer_unless_cancelled(self, work: Work) -> None:
        try:
            self._answer(work)
        except ApiError:
            if not self._leaving(work.job.name):
                raise
        if self._stopping.is_set():
            raise Stopped

    def _answer(self, work: Work) -> None:
        name, note = work.job.name, work.plan
        work.begin()
        files, problems = fetch(self._buckets, work.job.input_config.gcs_source.uris, work.journal.inputs)
        work.tell_problems(problems)
        choose = self._target(work)
        parameters = note.get("parameters") or {}
        answering = Answering(self._serving, self._buckets, choose, parameters, work.note)
        try:
            if not self._leaving(name):
                answering.run(work.rows(files), partial(self._leaving, name))
        finally:
            if note["kind"] == "model":
                self._serving.stop(_name_served(note))
        work.tell()

    def _finish(self, work: Work) -> None:
        """What was answered is written, also of a batch that was cancelled."""
        cancelled = work.job.name in self._cancelled or work.job.state == CANCELLING
        outputs = work.journal.write_outputs()
        folder = location(work.plan["output"], "output") / work.plan["folder"]
        for path in outputs:
            self._buckets.upload(path, folder / path.name)
        if outputs:
            work.tell_output(str(folder))
        if cancelled:
            self._end(work.job.name, CANCELLED, ApiError("CANCELLED", "The job was cancelled."))
        elif work.journal.failed == work.journal.done:
            self._end(work.job.name, FAILED, _explain_failure(work.journal.done))
        else:
            self._end(work.job.name, SUCCEEDED, None)

    def _target(self, work: Work) -> Any:
        """What gives the model for a row."""
        note, name = work.plan, work.job.name
        if note["kind"] == "endpoint":
            return lambda: self._targets.of_endpoint(note["served"])
        if note["kind"] == "publisher":
            if self._weights.wait(note["base"], "servable", partial(self._leaving, name)) is None:
                raise ApiError("CANCELLED", "The job was cancelled.")
            target = self._targets.of_model(note["served"])
            return lambda: target
        plan = self._deployments.prepare(_name_served(note), note, partial(self._leaving, name))
        self._serving.offer(plan)
        return lambda: Target(note["served"], plan)

    def _end(self, name: str, state: Any, error: ApiError | None) -> None:
        with self._store.edit(BatchPredictionJob, name) as job:
            job.state, job.end_time, job.update_time = state, now(), now()
            if error is not None:
                job.error = status_pb2.Status(code=error.grpc_code, message=error.message)
            if job.start_time:
                job.resources_consumed.replica_hours = (job.end_time - job.start_time).total_seconds() / 3600

    def _leaving(self, name: str) -> bool:
        return self._stopping.is_set() or name in self._cancelled


def _name_served(note: Json) -> str:
    return name_of(note["served"], DEPLOYED_ID)


def _explain_failure(rows: int) -> ApiError:
    if not rows:
        return ApiError("INVALID_ARGUMENT", "The input has no rows.")
    return ApiError("INTERNAL", f"All {rows} rows failed. Their errors are in the output.")

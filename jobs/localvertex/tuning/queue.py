"""The tuning queue: so many trainings at a time, in the order of creation, and whatever a crash interrupted first."""

import logging
import os
import secrets
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeAlias

from google.cloud.aiplatform_v1beta1.types import Context, CustomJob, JobState, TuningJob
from google.rpc import status_pb2

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.api.faults import wait_to_fail
from jobs.localvertex.api.hosts import at_home
from jobs.localvertex.api.wire import load, now
from jobs.localvertex.models.base_models import BaseModels
from jobs.localvertex.models.catalogue import model_id
from jobs.localvertex.models.weights import Weights
from jobs.localvertex.shortages import shortage_of
from jobs.localvertex.storage.buckets import Buckets, Location
from jobs.localvertex.store import Store
from jobs.localvertex.tuning import agents
from jobs.localvertex.tuning.job import HANG_SECONDS, Cancelled, Stopped, Training, discard_heavy_files
from jobs.localvertex.tuning.results import register, upload, upload_checkpoints, upload_outputs

Job: TypeAlias = TuningJob | CustomJob
log = logging.getLogger(__name__)
PENDING = JobState(JobState.JOB_STATE_PENDING)
RUNNING = JobState(JobState.JOB_STATE_RUNNING)
CANCELLING = JobState(JobState.JOB_STATE_CANCELLING)
CANCELLED = JobState(JobState.JOB_STATE_CANCELLED)
SUCCEEDED = JobState(JobState.JOB_STATE_SUCCEEDED)
FAILED = JobState(JobState.JOB_STATE_FAILED)
UNFINISHED = (RUNNING, CANCELLING, PENDING)
PAUSE_SECONDS = 3.0  # after something ran out
EXPERIMENT_SCHEMA = "system.Experiment"


def kind_of(name: str) -> type[Job]:
    return CustomJob if "/customJobs/" in name else TuningJob


def new_id() -> str:
    """Nineteen digits, as Google's."""
    return str(secrets.randbelow(9 * 10**18) + 10**18)


class Runner:
    def __init__(
        self,
        store: Store,
        weights: BaseModels,
        buckets: Buckets,
        folder: Path,
        engine: Sequence[str],
        at_once: int = 1,
        hang_seconds: float = HANG_SECONDS,
        *,
        as_google: bool = False,
    ) -> None:
        self._as_google = as_google
        self._store = store
        self._weights = weights
        self._buckets = buckets
        self._folder = folder
        self._engine = list(engine)
        self._hang_seconds = hang_seconds
        self._changed = threading.Condition()  # taken before the store's lock, never while it is held
        self._stopping = threading.Event()
        self._cancelled: set[str] = set()
        self._cores = max(1, (os.cpu_count() or 1) // at_once)
        self._threads = [threading.Thread(target=self._loop, name=f"runner-{n}", daemon=True) for n in range(at_once)]
        self.running: list[str] = []

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self.wake()
        until = time.monotonic() + 1.9
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0, until - time.monotonic()))

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def cancel(self, name: str) -> None:
        """The job's row says CANCELLING already. A running training looks at once; a waiting job ends here."""
        with self._changed:
            self._cancelled.add(name)
            if name not in self.running:
                self._end(name, CANCELLED, ApiError("CANCELLED", "The job was cancelled."))
            self._changed.notify_all()

    def folder(self, name: str) -> Path:
        return self._folder / name.rpartition("/")[2]

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
                    self.running.remove(job.name)

    def _give_up(self, job: Job, error: Exception) -> None:
        """For good, unless something ran out: then the job stays as it is and its turn comes again."""
        try:
            if not shortage_of(error):
                log.exception("%s failed", job.name)
                text = "Internal error encountered. See the server's log."
                self._end(job.name, FAILED, ApiError("INTERNAL", text))
                return
        except Exception as another:
            error = another
        log.error("%s waits", job.name, exc_info=error)
        self._stopping.wait(PAUSE_SECONDS)

    def _claim(self) -> Job | None:
        """Waits for a job to do; None when this program is leaving."""
        with self._changed:
            while not self._stopping.is_set():
                if (job := self._next()) is not None:
                    self.running.append(job.name)
                    return job
                self._changed.wait()
        return None

    def _next(self) -> Job | None:
        """A cancelled one first, then one that was cut off while it ran, then the oldest."""
        states = [state.name for state in UNFINISHED]
        jobs: list[Job] = [
            *self._store.find_in_states(TuningJob, states),
            *self._store.find_in_states(CustomJob, states),
        ]
        order = {CANCELLING: 0, RUNNING: 1, PENDING: 2}
        waiting = [job for job in jobs if job.name not in self.running]
        return min(waiting, key=lambda job: (order[job.state], job.create_time), default=None)

    def _plan(self, job: Job) -> TuningJob:
        """A custom job was made into a tuning job of the same name when it was created."""
        return job if isinstance(job, TuningJob) else load(TuningJob, self._store.note(job.name)["plan"])

    def _advance(self, unfinished: Job) -> None:
        job = self._plan(unfinished)
        folder = self.folder(job.name)
        check = partial(self._check, job.name)
        training = Training(
            job,
            folder,
            self._store,
            self._buckets,
            self._engine,
            check,
            self._cores,
            self._hang_seconds,
            as_google=self._as_google,
        )
        try:
            if unfinished.state == CANCELLING:
                raise Cancelled
            self._tune(job, training)
        except Cancelled:
            training.say("Cancelled.")
            self._keep_checkpoints(job, training)
            training.send_log(force=True)
            self._end(job.name, CANCELLED, ApiError("CANCELLED", "The job was cancelled."))
        except ApiError as error:
            training.say(f"Failed: {error}")
            with suppress(OSError):
                self._keep_checkpoints(job, training)
            training.send_log(force=True)
            self._end(job.name, FAILED, error)

    def _tune(self, job: TuningJob, training: Training) -> None:
        weights = self._await_weights(job, training)
        self._begin(job.name)
        if self._as_google and kind_of(job.name) is TuningJob:
            agents.require_access(job, self._buckets)
        wait_to_fail(self._store.note(job.name), partial(self._leaving, job.name))
        self._check(job.name)
        training.run(weights)
        training.say("Writing the results.")
        final = self._hand_over(job, training)
        training.say(f"Done: {final}")
        training.send_log(force=True)
        self._end(job.name, SUCCEEDED, None)
        discard_heavy_files(training.folder)

    def _keep_checkpoints(self, job: TuningJob, training: Training) -> None:
        outputs = self._store.note(job.name).get("outputs", {})
        try:
            check = self._leave_when_stopping
            kept = upload_checkpoints(job, training.folder, self._buckets, outputs, check, as_google=self._as_google)
        except ApiError as error:
            training.say(f"The checkpoints could not be written: {error}")
            return
        if kept:
            training.say(f"Checkpoints written: {kept}")
        discard_heavy_files(training.folder)

    def _hand_over(self, job: TuningJob, training: Training) -> Location:
        check = partial(self._check, job.name)
        if kind_of(job.name) is CustomJob:
            return upload_outputs(job, training.folder, self._buckets, self._store.note(job.name)["outputs"], check)
        final = upload(job, training.folder, self._buckets, check, as_google=self._as_google)
        register(job.name, training.folder, final, self._store, new_id)
        return final

    def _await_weights(self, job: TuningJob, training: Training) -> Weights:
        """The job stays PENDING meanwhile and its log says what it waits for."""
        name = model_id(job.base_model)
        if not self._weights.get(name).trainable:
            training.say(f"Waiting until the base model {name} is ready on this machine; this happens once.")
            training.send_log(force=True)
        weights = self._weights.wait(name, "trainable", lambda: self._leaving(job.name))
        self._check(job.name)
        if weights is None:
            raise Stopped
        return weights

    def _begin(self, name: str) -> None:
        with self._store.edit(kind_of(name), name) as job:
            if job.state == PENDING:
                job.state, job.start_time, job.update_time = RUNNING, now(), now()
                if isinstance(job, TuningJob):
                    job.experiment = self._experiment(job)

    def _experiment(self, job: TuningJob) -> str:
        parent, _, number = at_home(job.name).partition("/tuningJobs/")
        experiment = f"tuning-experiment-{now():%Y%m%d%H%M%S%f}"
        board = f"{parent}/tensorboards/{number}"
        context = Context(
            name=f"{parent}/metadataStores/default/contexts/{experiment}",
            display_name=experiment,
            schema_title=EXPERIMENT_SCHEMA,
            schema_version="0.0.1",
            metadata={"experiment_deleted": False, "backing_tensorboard_resource": board},
            create_time=now(),
            update_time=now(),
        )
        self._store.insert(context)
        self._store.write_note(context.name, job=job.name)
        return context.name

    def _end(self, name: str, state: JobState, error: ApiError | None) -> None:
        with self._store.edit(kind_of(name), name) as job:
            job.state, job.end_time, job.update_time = state, now(), now()
            if error is not None:
                job.error = status_pb2.Status(code=error.grpc_code, message=error.message)

    def _leaving(self, name: str) -> bool:
        return self._stopping.is_set() or name in self._cancelled

    def _leave_when_stopping(self) -> None:
        if self._stopping.is_set():
            raise Stopped

    def _check(self, name: str) -> None:
        self._leave_when_stopping()
        if name in self._cancelled:
            raise Cancelled

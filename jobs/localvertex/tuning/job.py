"""One tuning job from its dataset to its results, and what of it a crash can interrupt."""

import json
import logging
import math
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from google.cloud.aiplatform_v1beta1.types import TuningJob

from jobs.localvertex.api.errors import ApiError, invalid
from jobs.localvertex.api.images import IMAGES
from jobs.localvertex.api.wire import Json, now
from jobs.localvertex.hangs import Watch
from jobs.localvertex.models.catalogue import model_id
from jobs.localvertex.models.engine_process import child_environment, end, last_line, lower_priority
from jobs.localvertex.models.weights import Weights
from jobs.localvertex.serving import bucket_images
from jobs.localvertex.shortages import shortage_of, shortage_on
from jobs.localvertex.storage.buckets import Buckets, Location, location
from jobs.localvertex.store import Store
from jobs.localvertex.tuning import row_templates
from jobs.localvertex.tuning.events import EventFile
from jobs.localvertex.tuning.results import FULL
from jobs.localvertex.tuning.sharing import Sharing

log = logging.getLogger(__name__)
ADAPTER_SIZE = {0: 4, 1: 1, 2: 4, 3: 8, 4: 16, 5: 32, 6: 2}
POLL_SECONDS = 0.2
HANG_SECONDS = 20.0
LOG_SECONDS = 2.0
ATTEMPTS = 3
# No exit code of the system: it was ended because it did nothing.
HUNG = -1000
CANCELLED, SHORT = 3, 5
SHORT_SECONDS = 3.0
ROOM_TO_GO_ON = 16 * 2**20
NO_ROOM = "The disk is full. The training goes on from its last checkpoint when there is room."
MORE_ROOM = "Make more room on the disk of the local Vertex AI, then start the job again."
LESS = "Use a smaller batch size, shorter rows or a smaller base model, or a machine with more memory."
VALIDATION_SHARE, MAX_VALIDATION_ROWS = 0.25, 5000
START = "start"
WHOLE, ADAPTER = "base_model_dir", "adapter_dir"  # what is in it, as job.json calls it
USUAL_BATCH = 4
DEFAULT_RATE = {"PEFT_ADAPTER": 1e-4, "FULL": 2e-5}


class Cancelled(Exception):
    """The job was asked to stop."""


class Stopped(Exception):
    """This program is leaving: the job stays as it is and goes on after the restart."""


class Training:
    def __init__(
        self,
        job: TuningJob,
        folder: Path,
        store: Store,
        buckets: Buckets,
        engine: Sequence[str],
        check: Callable[[], None],
        cores: int,
        hang_seconds: float = HANG_SECONDS,
        *,
        as_google: bool = False,
    ) -> None:
        """`check` raises `Cancelled` or `Stopped` when it is time to leave; it's called many times a second."""
        self.job = job
        self.folder = folder
        self._as_google = as_google
        self._store = store
        self._buckets = buckets
        self._engine = list(engine)
        self._check = check
        self._cores = cores
        self._hang_seconds = hang_seconds
        self._events = EventFile(folder / "events.jsonl")
        self._log_sent: tuple[float, int] = (0.0, 0)
        self._sharing = Sharing(job, folder, store, buckets, as_google=as_google)
        self.output = location(job.output_uri, "output_uri")

    def run(self, weights: Weights) -> None:
        """Raises `ApiError` with what the job's `error` shall say."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if found := self._sharing.restore():
            self.say(f"Going on from {found}, which an earlier container of this job has left.")
        self._absorb()
        if "done" not in self._events.seen:
            self._fetch()
            self._write_job_file(weights)
            self._train()
        self.send_log(force=True)

    def send_log(self, *, force: bool = False) -> None:
        """Keeps `<outputUri>/logs/train.log` current; a storage that is away for a moment doesn't stop a training. As
        on Google Cloud the log is no file of the bucket."""
        self._sharing.send_metrics(force=force)
        if self._as_google:
            return
        path = self.folder / "train.log"
        sent_at, sent_size = self._log_sent
        size = path.stat().st_size if path.exists() else 0
        if size == sent_size or (time.monotonic() - sent_at < LOG_SECONDS and not force):
            return
        try:
            self._buckets.upload(path, self.output / "logs/train.log", retry=False)
        except (ApiError, OSError) as error:
            log.warning("the log of %s could not be written: %s", self.job.name, error)
        self._log_sent = (time.monotonic(), size)

    def say(self, sentence: str) -> None:
        """A line that cannot be written is missing from the log, and nothing more."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / "train.log").open("a", encoding="utf-8") as file:
                file.write(f"{now():%Y-%m-%d %H:%M:%S} {sentence}\n")

    def _fetch(self) -> None:
        spec = self.job.supervised_tuning_spec
        self._fetch_rows(spec.training_dataset_uri, "training_dataset_uri", "train.jsonl")
        for name in self._note.get("start_files", []):
            place = location(self.job.custom_base_model, "custom_base_model") / name
            self._download(place, self.folder / START / Path(name).name, "model to continue from")
        if spec.validation_dataset_uri:
            self._fetch_rows(spec.validation_dataset_uri, "validation_dataset_uri", "validation.jsonl")
            self._check_share()
        for name, what in (("train.jsonl", "training data"), ("validation.jsonl", "validation data")):
            if (self.folder / name).exists():
                bucket_images.fetch(self._buckets, self.folder / name, self.folder / IMAGES, what, self._check)

    def _fetch_rows(self, uri: str, field: str, name: str) -> None:
        template, target = self._note.get("template"), self.folder / name
        source = self.folder / f"raw-{name}" if template else target
        self._download(location(uri, field), source)
        if template:
            row_templates.apply_template(template, source, target)

    @property
    def _note(self) -> Json:
        return self._store.note(self.job.name)

    def _download(self, place: Location, target: Path, what: str = "dataset") -> None:
        self._check()
        if target.exists():
            return
        self.say(f"Reading {place}")
        try:
            self._buckets.download(place, target)
        except ApiError as error:
            raise error if error.status == "UNAVAILABLE" else invalid(f"The {what} cannot be read: {error}") from None

    def _check_share(self) -> None:
        train, validation = (self.folder / name for name in ("train.jsonl", "validation.jsonl"))
        share = validation.stat().st_size / max(train.stat().st_size, 1)
        if share > VALIDATION_SHARE:
            percent = math.ceil(share * 1000) / 10  # never shown as the 25% that it exceeds
            raise invalid(
                f"The validation dataset is {percent:g}% of the size of the training dataset; at most 25% is allowed."
                " Use fewer validation rows."
            )
        with validation.open("rb") as file:
            rows = sum(bool(line.strip()) for line in file)
        if rows > MAX_VALIDATION_ROWS:
            raise invalid(f"The validation dataset has {rows:,} rows; at most {MAX_VALIDATION_ROWS:,} are allowed.")

    def _write_job_file(self, weights: Weights) -> None:
        spec = self.job.supervised_tuning_spec
        hyper = spec.hyper_parameters
        validation = self.folder / "validation.jsonl"
        mode = "FULL" if spec.tuning_mode == FULL else "PEFT_ADAPTER"
        body = {
            "base_model_dir": str(weights.hf),
            "train_path": str(self.folder / "train.jsonl"),
            "validation_path": str(validation) if validation.exists() else None,
            "epochs": int(hyper.epoch_count) or 1,
            "learning_rate": hyper.learning_rate or DEFAULT_RATE[mode],
            "tuning_mode": mode,
            "adapter_size": ADAPTER_SIZE[int(hyper.adapter_size)],
            "batch_size": int(getattr(hyper, "batch_size", 0)) or USUAL_BATCH,
            "max_length": self._note.get("max_length", 2048),
            "seed": 42,
            "threads": self._cores,
            "display_name": self.job.tuned_model_display_name,
            "base_model": model_id(self.job.base_model),
        }
        note = self._note
        if note.get("ignored"):
            self.say(f"Without effect on this server: {', '.join(note['ignored'])}")
        if note.get("start"):
            body[note["start"]] = str(self.folder / START)
        if note.get("start") == WHOLE:
            body["custom_base"] = self.job.custom_base_model
        body |= note.get("engine", {})
        (self.folder / "job.json").write_text(json.dumps(body, indent=2), encoding="utf-8")

    def _train(self) -> None:
        """An engine that is killed or runs out of memory goes on from its last checkpoint, twice at most; one that
        runs out of disk when there is room again, as long as it makes another checkpoint each time."""
        ended: list[int] = []
        checkpoints = -1
        while len(ended) < ATTEMPTS:
            code = self._attempt()
            self._absorb()
            if code == 0 and "done" in self._events.seen:
                return
            if code == 1:
                raise self._failure()
            made = self._checkpoints_made()
            if code == SHORT and made > checkpoints:
                ended.clear()
            checkpoints = max(made, checkpoints)
            ended.append(code)
            if len(ended) < ATTEMPTS:
                self._prepare_for_another(code)
        raise self._end_of_patience(ended)

    def _checkpoints_made(self) -> int:
        return sum(event.get("event") == "checkpoint" for event in EventFile(self.folder / "events.jsonl").new())

    def _prepare_for_another(self, code: int) -> None:
        if code != SHORT:
            self.say(f"The training process {in_words(code)}; going on from the last checkpoint.")
            return
        log.error("%s: the training waits, its disk is full", self.job.name)
        self.say(NO_ROOM)
        until = time.monotonic() + SHORT_SECONDS
        while time.monotonic() < until or shortage_on(self.folder, ROOM_TO_GO_ON):
            self._check()
            self.send_log()
            time.sleep(POLL_SECONDS)
        self.say("Going on from the last checkpoint.")

    def _end_of_patience(self, ended: list[int]) -> ApiError:
        if set(ended) == {SHORT}:
            return ApiError("INTERNAL", f"The disk was full {ATTEMPTS} times at the same checkpoint. {MORE_ROOM}")
        if -signal.SIGKILL in ended:
            return ApiError("INTERNAL", f"The training process {in_words(-signal.SIGKILL)}, {ATTEMPTS} times. {LESS}")
        reason = last_line(self.folder / "train.log")
        return ApiError("INTERNAL", f"The training process ended {ATTEMPTS} times without a result: {reason}")

    def _attempt(self) -> int:
        with (self.folder / "train.log").open("ab") as output:
            command = [*self._engine, "train", str(self.folder)]
            child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=child_environment())
        lower_priority(child)
        watch = Watch(child.pid, self._hang_seconds, main_thread_only=True)
        try:
            while child.poll() is None:
                self._check()
                self._absorb()
                if watch.hangs():
                    self.say(f"The training process did nothing for {self._hang_seconds:g} s and is ended.")
                    child.kill()
                    child.wait()
                    return HUNG
                self.send_log()
                self._sharing.share_checkpoints()
                with suppress(subprocess.TimeoutExpired):
                    child.wait(POLL_SECONDS)
        except Cancelled:
            end(child, patience=60.0)
            raise
        except BaseException:
            end(child, patience=0.8)
            raise
        if child.returncode:
            self._absorb()
            self._sharing.share_checkpoints()
        return child.returncode

    def _failure(self) -> ApiError:
        events = EventFile(self.folder / "events.jsonl").new()
        told = [event for event in events if event.get("event") == "failed"]
        if not told:
            return ApiError("INTERNAL", f"The training failed: {last_line(self.folder / 'train.log')}")
        known = {"INVALID_ARGUMENT", "INTERNAL", "RESOURCE_EXHAUSTED"}
        status = told[-1].get("code", "INTERNAL")
        return ApiError(status if status in known else "INTERNAL", str(told[-1].get("message", "")))

    def _absorb(self) -> None:
        """What cannot be kept now is read again with what comes next: a training does not end because of it."""
        try:
            self._sharing.keep_statistics(self._events.new())
        except sqlite3.OperationalError as error:
            if not shortage_of(error):
                raise
            self._events = EventFile(self.folder / "events.jsonl")


def in_words(code: int) -> str:
    if code == HUNG:
        return "hung and was ended"
    if code == -signal.SIGKILL:
        return "was killed; this machine probably ran out of memory"
    return f"ended with {f'signal {-code}' if code < 0 else f'code {code}'}"


def discard_heavy_files(folder: Path) -> None:
    """After the results are in the bucket only the events and the log are needed here."""
    for name in ("final", "checkpoints", START, IMAGES):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("train.jsonl", "validation.jsonl"):
        (folder / name).unlink(missing_ok=True)

"""One tuning job from its data set to its results, and what of it a crash can interrupt."""

import json
import logging
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from google.cloud.aiplatform_v1beta1.types import (
    SupervisedTuningDatasetDistribution,
    SupervisedTuningDataStats,
    TuningDataStats,
    TuningJob,
)

from jobs.localvertex.base_models import Weights, child_environment, end, last_line, lower_priority
from jobs.localvertex.buckets import Buckets, Location, location
from jobs.localvertex.catalogue import model_id
from jobs.localvertex.errors import ApiError, invalid
from jobs.localvertex.events import EventFile
from jobs.localvertex.store import Store
from jobs.localvertex.wire import Json, now

log = logging.getLogger(__name__)
ADAPTER_SIZE = {0: 4, 1: 1, 2: 4, 3: 8, 4: 16, 5: 32, 6: 2}
POLL_SECONDS = 0.2
LOG_SECONDS = 2.0
ATTEMPTS = 3
CANCELLED = 3
VALIDATION_SHARE = 0.25


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
    ) -> None:
        """`check` raises `Cancelled` or `Stopped` when it is time to leave; it's called many times a second."""
        self.job = job
        self.folder = folder
        self._store = store
        self._buckets = buckets
        self._engine = list(engine)
        self._check = check
        self._events = EventFile(folder / "events.jsonl")
        self._log_sent: tuple[float, int] = (0.0, 0)
        self.output = location(job.output_uri, "output_uri")

    def run(self, weights: Weights) -> None:
        """Raises `ApiError` with what the job's `error` shall say."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._absorb()
        if "done" not in self._events.seen:
            self._fetch()
            self._write_job_file(weights)
            self._train()
        self.send_log(force=True)

    def send_log(self, *, force: bool = False) -> None:
        """Keeps `<outputUri>/logs/train.log` current; a storage that is away for a moment doesn't stop a training."""
        path = self.folder / "train.log"
        sent_at, sent_size = self._log_sent
        size = path.stat().st_size if path.exists() else 0
        if size == sent_size or (time.monotonic() - sent_at < LOG_SECONDS and not force):
            return
        try:
            self._buckets.upload(path, self.output / "logs/train.log", retry=None)
        except ApiError as error:
            log.warning("the log of %s could not be written: %s", self.job.name, error)
        self._log_sent = (time.monotonic(), size)

    def say(self, sentence: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "train.log").open("a", encoding="utf-8") as file:
            file.write(f"{now():%Y-%m-%d %H:%M:%S} {sentence}\n")

    def _fetch(self) -> None:
        spec = self.job.supervised_tuning_spec
        train = location(spec.training_dataset_uri, "training_dataset_uri")
        self._download(train, self.folder / "train.jsonl")
        if spec.validation_dataset_uri:
            validation = location(spec.validation_dataset_uri, "validation_dataset_uri")
            self._download(validation, self.folder / "validation.jsonl")
            self._check_share()

    def _download(self, place: Location, target: Path) -> None:
        self._check()
        if target.exists():
            return
        self.say(f"Reading {place}")
        try:
            self._buckets.download(place, target)
        except ApiError as error:
            raise error if error.status == "UNAVAILABLE" else invalid(f"The data set cannot be read: {error}") from None

    def _check_share(self) -> None:
        train, validation = (self.folder / name for name in ("train.jsonl", "validation.jsonl"))
        share = validation.stat().st_size / max(train.stat().st_size, 1)
        if share > VALIDATION_SHARE:
            raise invalid(
                f"The validation data set is {share:.0%} of the size of the training data set; at most 25% is allowed."
                " Use fewer validation rows."
            )

    def _write_job_file(self, weights: Weights) -> None:
        spec = self.job.supervised_tuning_spec
        hyper = spec.hyper_parameters
        validation = self.folder / "validation.jsonl"
        body = {
            "base_model_dir": str(weights.hf),
            "train_path": str(self.folder / "train.jsonl"),
            "validation_path": str(validation) if validation.exists() else None,
            "epochs": int(hyper.epoch_count) or 1,
            "learning_rate": hyper.learning_rate or 1e-4,
            "tuning_mode": "FULL" if spec.tuning_mode == 1 else "PEFT_ADAPTER",
            "adapter_size": ADAPTER_SIZE[int(hyper.adapter_size)],
            "batch_size": int(getattr(hyper, "batch_size", 0)) or 4,
            "max_length": self._store.note(self.job.name).get("max_length", 2048),
            "seed": 42,
            "threads": os.cpu_count() or 1,
            "display_name": self.job.tuned_model_display_name,
            "base_model": model_id(self.job.base_model),
        }
        (self.folder / "job.json").write_text(json.dumps(body, indent=2), encoding="utf-8")

    def _train(self) -> None:
        """An engine that is killed or runs out of memory goes on from its last checkpoint, twice at most."""
        for attempt in range(1, ATTEMPTS + 1):
            code = self._attempt()
            self._absorb()
            if code == 0 and "done" in self._events.seen:
                return
            if code == 1:
                raise self._failure()
            if attempt < ATTEMPTS:
                self.say(f"The training process ended with code {code}; going on from the last checkpoint.")
        reason = last_line(self.folder / "train.log")
        raise ApiError("INTERNAL", f"The training process ended {ATTEMPTS} times without a result: {reason}")

    def _attempt(self) -> int:
        with (self.folder / "train.log").open("ab") as output:
            command = [*self._engine, "train", str(self.folder)]
            child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=child_environment())
        lower_priority(child.pid)
        try:
            while child.poll() is None:
                self._check()
                self._absorb()
                self.send_log()
                time.sleep(POLL_SECONDS)
        except Cancelled:
            end(child, patience=60.0)
            raise
        except BaseException:
            end(child, patience=0.8)
            raise
        return child.returncode

    def _failure(self) -> ApiError:
        events = EventFile(self.folder / "events.jsonl").new()
        told = [event for event in events if event.get("event") == "failed"]
        if not told:
            return ApiError("INTERNAL", f"The training failed: {last_line(self.folder / 'train.log')}")
        known = {"INVALID_ARGUMENT", "INTERNAL"}
        status = told[-1].get("code", "INTERNAL")
        return ApiError(status if status in known else "INTERNAL", str(told[-1].get("message", "")))

    def _absorb(self) -> None:
        for event in self._events.new():
            if event.get("event") == "data_stats":
                with self._store.edit(TuningJob, self.job.name) as job:
                    job.tuning_data_stats = data_stats(event)
                    job.update_time = now()


def data_stats(event: Json) -> TuningDataStats:
    epochs = max(1, round(event["steps"] / max(event.get("steps_per_epoch") or event["steps"], 1)))
    dropped = int(event.get("dropped", 0))
    stats = SupervisedTuningDataStats(
        tuning_dataset_example_count=event["examples"],
        total_tuning_character_count=event["characters"],
        total_billable_token_count=event.get("billable_tokens", event["tokens"] * epochs),
        tuning_step_count=event["steps"],
        user_input_token_distribution=_distribution(event.get("input_tokens", [])),
        user_output_token_distribution=_distribution(event.get("output_tokens", [])),
        total_truncated_example_count=len(event.get("truncated", [])),
        truncated_example_indices=event.get("truncated", []),
        dropped_example_reasons=["The example has no answer within the length limit."] * dropped,
    )
    return TuningDataStats(supervised_tuning_data_stats=stats)


def _distribution(counts: list[int]) -> SupervisedTuningDatasetDistribution:
    if not counts:
        return SupervisedTuningDatasetDistribution()
    ordered = sorted(counts)
    width = (ordered[-1] - ordered[0]) / 5 or 1
    buckets = []
    for index in range(5):
        left, right = ordered[0] + index * width, ordered[0] + (index + 1) * width
        inside = [n for n in ordered if left <= n and (n < right or index == 4)]
        bucket = SupervisedTuningDatasetDistribution.DatasetBucket(count=len(inside), left=left, right=right)
        buckets.append(bucket)
    return SupervisedTuningDatasetDistribution(
        sum=sum(ordered),
        billable_sum=sum(ordered),
        min_=ordered[0],
        max_=ordered[-1],
        mean=statistics.fmean(ordered),
        median=statistics.median(ordered),
        p5=ordered[int(0.05 * (len(ordered) - 1))],
        p95=ordered[int(0.95 * (len(ordered) - 1))],
        buckets=buckets,
    )


def discard_heavy_files(folder: Path) -> None:
    """After the results are in the bucket only the events and the log are needed here."""
    for name in ("final", "checkpoints"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("train.jsonl", "validation.jsonl"):
        (folder / name).unlink(missing_ok=True)

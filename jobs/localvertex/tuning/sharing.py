"""What is put into the bucket while a training runs: metrics, statistics, checkpoints, and what a container that lost
its disk goes on from."""

import json
import logging
import sqlite3
import time
from pathlib import Path

from google.cloud.aiplatform_v1beta1.types import TuningJob

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.api.wire import Json, now, render
from jobs.localvertex.storage.buckets import Buckets, Location, location
from jobs.localvertex.store import Store
from jobs.localvertex.tuning import board_file
from jobs.localvertex.tuning.data_stats import data_stats
from jobs.localvertex.tuning.events import EventFile
from jobs.localvertex.tuning.results import upload_adapters

log = logging.getLogger(__name__)
METRICS_SECONDS = 30.0  # the file is written anew
AGAIN_SECONDS = 2.0
EVENTS, STATISTICS, MARKER = "events.jsonl", "tuning_data_stats.json", "resume.json"
LARGEST_MARKER = 2**16


class Sharing:
    """What cannot be written now is tried again, at the end, too; no training stops because of it."""

    def __init__(
        self, job: TuningJob, folder: Path, store: Store, buckets: Buckets, *, as_google: bool = False
    ) -> None:
        """`as_google`: a tuning job's checkpoints come with its results."""
        self._job, self._folder, self._store, self._buckets = job, folder, store, buckets
        self._has_new_checkpoint, self._again_at = False, 0.0
        self._metrics_sent = time.monotonic()
        self._shared: set[int] = set()
        self._is_late = as_google and self.is_of_tuning_job

    @property
    def is_of_tuning_job(self) -> bool:
        """And no custom job, which has a plan like one."""
        return "/tuningJobs/" in self._job.name

    def keep_statistics(self, events: list[Json]) -> None:
        for event in events:
            self._has_new_checkpoint |= event.get("event") == "checkpoint"
            if event.get("event") == "data_stats" and self.is_of_tuning_job:
                with self._store.edit(TuningJob, self._job.name) as job:
                    job.tuning_data_stats = data_stats(event)
                    job.update_time = now()

    def send_metrics(self, *, force: bool) -> None:
        """Those of a custom job, where its arguments asked for them."""
        if not force and time.monotonic() - self._metrics_sent <= METRICS_SECONDS:
            return
        self._metrics_sent = time.monotonic()
        asked = [self._place(what) for what in ("metrics", "stats")]
        events = EventFile(self._folder / EVENTS).new() if any(asked) else []
        if not events:
            return
        try:
            self._send_event_file(events)
            self._send_statistics(events)
        except (ApiError, OSError) as error:
            log.warning("the metrics of %s could not be written: %s", self._job.name, error)

    def share_checkpoints(self) -> None:
        """An adapter that was saved can be used at once."""
        if self._is_late or not self._has_new_checkpoint or time.monotonic() < self._again_at:
            return
        try:
            if self.is_of_tuning_job:
                self._share_of_tuning_job()
            else:
                self._share_of_custom_job()
            self._has_new_checkpoint = False
        except (ApiError, OSError, sqlite3.OperationalError) as error:
            log.warning("a checkpoint of %s could not be written: %s", self._job.name, error)
            self._again_at = time.monotonic() + AGAIN_SECONDS

    def restore(self) -> str:
        """The last checkpoint that another container of this job left, in an empty folder; its name, or nothing."""
        place = self._place("resume")
        if place is None or (self._folder / EVENTS).exists():
            return ""
        try:
            marker = json.loads(self._buckets.read(place / MARKER, at_most=LARGEST_MARKER))
            step, names = int(marker["step"]), [str(name) for name in marker["files"]]
        except ApiError as error:
            if error.status == "NOT_FOUND":
                return ""
            raise
        except (ValueError, KeyError, TypeError):
            log.warning("%s cannot be read, so the training begins anew", place / MARKER)
            return ""
        name = f"checkpoint-{step}"
        for file in names:
            if Path(file).name == file and file != EVENTS:
                self._buckets.download(place / name / file, self._folder / "checkpoints" / name / file)
        self._buckets.download(place / name / EVENTS, self._folder / EVENTS)
        return name

    def _share_of_tuning_job(self) -> None:
        known = {one.step for one in self._store.get(TuningJob, self._job.name).tuned_model.checkpoints}
        found = upload_adapters(self._job, self._folder, self._buckets, known)
        if {one.step for one in found} != known:
            with self._store.edit(TuningJob, self._job.name) as job:
                job.tuned_model.checkpoints, job.update_time = found, now()

    def _share_of_custom_job(self) -> None:
        found = upload_adapters(self._job, self._folder, self._buckets, self._shared, self._place("adapter"))
        if found and found[-1].step not in self._shared and (place := self._place("resume")) is not None:
            self._keep_for_resuming(found[-1].step, place)
        self._shared = {one.step for one in found}

    def _keep_for_resuming(self, step: int, place: Location) -> None:
        """The marker is last: what it names is whole."""
        name = f"checkpoint-{step}"
        source = self._folder / "checkpoints" / name
        files = sorted(path.name for path in source.iterdir() if path.is_file() and not path.name.startswith("."))
        for file in files:
            self._buckets.upload(source / file, place / name / file, retry=False)
        told = self._folder / f"until-{name}.jsonl"
        told.write_text("".join(f"{json.dumps(event)}\n" for event in self._events_until(step)), encoding="utf-8")
        self._buckets.upload(told, place / name / EVENTS, retry=False)
        marker = self._folder / MARKER
        marker.write_text(json.dumps({"step": step, "files": files}), encoding="utf-8")
        self._buckets.upload(marker, place / MARKER, retry=False)

    def _events_until(self, step: int) -> list[Json]:
        """What came after the checkpoint is told again by who goes on from it; that it was the end, too."""
        events = EventFile(self._folder / EVENTS).new()
        ends = [place for place, event in enumerate(events) if _is_checkpoint(event, step)]
        return events[: ends[-1] + 1] if ends else []

    def _send_event_file(self, events: list[Json]) -> None:
        place = self._place("metrics")
        if place is None:
            return
        path = self._folder / f"events.out.tfevents.{events[0]['time']:.0f}.{self._job.name.rpartition('/')[2]}"
        board_file.write(events, path)
        self._buckets.upload(path, place / path.name, retry=False)

    def _send_statistics(self, events: list[Json]) -> None:
        place = self._place("stats")
        told = [event for event in events if event.get("event") == "data_stats"]
        if place is None or not told:
            return
        path = self._folder / STATISTICS
        stats = render(data_stats(told[-1]))["supervisedTuningDataStats"]
        path.write_text(json.dumps(stats), encoding="utf-8")
        self._buckets.upload(path, place, retry=False)

    def _place(self, what: str) -> Location | None:
        uri = self._store.note(self._job.name).get("outputs", {}).get(what)
        return location(uri, what) if uri else None


def _is_checkpoint(event: Json, step: int) -> bool:
    return event.get("event") == "checkpoint" and event.get("step") == step

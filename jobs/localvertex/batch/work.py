"""One batch while it is worked on: its rows, what is known of them, and what its resource tells of that."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.cloud.aiplatform_v1beta1.types import BatchPredictionJob, CompletionStats
from google.rpc import status_pb2

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.api.wire import Json, now
from jobs.localvertex.batch.inputs import read_lines
from jobs.localvertex.batch.journal import Journal
from jobs.localvertex.batch.rows import Fields, Row, build_line, parse_row
from jobs.localvertex.store import Store
from jobs.localvertex.tuning.queue import PENDING, RUNNING

TELL_SECONDS = 1.0  # how often the counts are stored
MOST_PARTIAL_FAILURES = 20


class Work:
    def __init__(self, job: BatchPredictionJob, store: Store, journal: Journal) -> None:
        self.job = job
        self.journal = journal
        self.plan: Json = store.note(job.name)
        self._store = store
        config = job.instance_config
        self._fields = Fields(config.key_field, tuple(config.included_fields), tuple(config.excluded_fields))
        self._total = -1
        self._told_at = 0.0
        self._lock = threading.Lock()

    def begin(self) -> None:
        with self._store.edit(BatchPredictionJob, self.job.name) as job:
            if job.state == PENDING:
                job.state, job.start_time, job.update_time = RUNNING, now(), now()

    def rows(self, files: list[Path]) -> Iterator[Row]:
        """Those that have no answer yet."""
        self._total = sum(1 for path in files for _ in read_lines(path))
        number = 0
        for path in files:
            for line in read_lines(path):
                if not self.journal.has(number):
                    yield parse_row(number, line, self._fields)
                number += 1

    def note(self, row: Row, answer: Any, error: ApiError | None) -> None:
        line = build_line(row, answer, error, self._fields)
        with self._lock:
            self.journal.note(row.number, row.shape, line, is_error=error is not None)
            is_due = time.monotonic() - self._told_at > TELL_SECONDS
        if is_due:
            self.tell()

    def tell(self) -> None:
        self._told_at = time.monotonic()
        with self._store.edit(BatchPredictionJob, self.job.name) as job:
            failed, done = self.journal.failed, self.journal.done
            incomplete = self._total - done if self._total >= 0 else -1
            job.completion_stats = CompletionStats(
                successful_count=done - failed, failed_count=failed, incomplete_count=incomplete
            )
            job.update_time = now()

    def tell_output(self, folder: str) -> None:
        with self._store.edit(BatchPredictionJob, self.job.name) as job:
            job.output_info.gcs_output_directory = folder

    def tell_problems(self, problems: list[ApiError]) -> None:
        with self._store.edit(BatchPredictionJob, self.job.name) as job:
            job.partial_failures = [
                status_pb2.Status(code=one.grpc_code, message=one.message) for one in problems[:MOST_PARTIAL_FAILURES]
            ]

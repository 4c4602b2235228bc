"""Moves rows on as the sweep and the tasks would, with a clock that jumps to the next due time."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from jobs.models import Endpoint, FurtherModel, TuningJob
from jobs.services.endpoints import endpoints, further_models
from jobs.services.tuning import jobs
from tests.fakes import Crash

ADVANCE: dict[type, Callable[..., Any]] = {
    TuningJob: jobs.advance,
    Endpoint: endpoints.advance,
    FurtherModel: further_models.advance,
}
AFTER_THE_LEASE = timedelta(seconds=91)


class Driver:
    def __init__(self) -> None:
        self.now = timezone.now()

    def step(self, row: Any, *, later: timedelta = timedelta(0)) -> Any:
        """One step at the next due time, or `later` than now. A simulated death of the worker is survived."""
        row.refresh_from_db()
        due: datetime | None = row.next_check_at
        self.now = max(self.now + later, due or self.now)
        try:
            ADVANCE[type(row)](row.pk, self.now)
        except Crash:
            self.now += AFTER_THE_LEASE
        row.refresh_from_db()
        return row

    def until(self, row: Any, **wanted: str) -> Any:
        """Steps until the row's columns are as wanted; 200 steps are too many."""
        for _ in range(200):
            if all(getattr(row, name) == value for name, value in wanted.items()):
                return row
            self.step(row)
        raise AssertionError(f"{row.state} {row.phase} {row.notice} {row.error_message}, not {wanted}")

    def rest(self, row: Any) -> Any:
        """Steps until nothing is due any more."""
        for _ in range(200):
            if row.next_check_at is None:
                return row
            self.step(row)
        raise AssertionError(f"{row.state} {row.phase} {row.notice} {row.error_message} does not come to rest")

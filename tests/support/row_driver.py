"""Moves rows on as the sweep and the tasks would, with a clock that jumps to the next due time."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from jobs.models import DeployedModel, Endpoint, TuningJob
from jobs.services.endpoints import deployed_models, endpoints
from jobs.services.tuning import jobs
from tests.fakes import Crash

ADVANCE: dict[type, Callable[..., Any]] = {
    TuningJob: jobs.advance,
    Endpoint: endpoints.advance,
    DeployedModel: deployed_models.advance,
}
AFTER_THE_LEASE = timedelta(seconds=91)


def next_of(row: Any) -> Any:
    rows = [row, *row.deployed_models.all()] if isinstance(row, Endpoint) else [row]
    due = [one for one in rows if one.next_check_at]
    return min(due, key=lambda one: one.next_check_at, default=row)


class Driver:
    def __init__(self) -> None:
        self.now = timezone.now()

    def step(self, row: Any, *, later: timedelta = timedelta(0)) -> Any:
        """One step at the next due time, or `later` than now. A simulated death of the worker is survived. An endpoint
        and its models are stepped as they are due."""
        row.refresh_from_db()
        first = next_of(row)
        self.now = max(self.now + later, first.next_check_at or self.now)
        try:
            ADVANCE[type(first)](first.pk, self.now)
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
            row.refresh_from_db()
            if next_of(row).next_check_at is None:
                return row
            self.step(row)
        raise AssertionError(f"{row.state} {row.phase} {row.notice} {row.error_message} does not come to rest")

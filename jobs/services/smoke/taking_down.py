"""Moves the rows of a smoke run on, and takes down what it made. Beside a worker: whoever claims a row first takes its
step."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth.models import User
from django.utils import timezone

from jobs.models import Endpoint, TuningJob
from jobs.services.endpoints import deployed_models, endpoints
from jobs.services.tuning import jobs
from jobs.states import EndpointState

from .plan import RUN_LABEL, Stopped

Pause = Callable[[], None]
MOST_STEPS = 10  # of one row, before the others get their turn
PATIENCE = timedelta(hours=1)


def wait() -> None:
    """Until it is worth another look."""
    time.sleep(1)


def endpoint_of(job: TuningJob) -> Endpoint | None:
    return Endpoint.objects.filter(deployed_models__job=job).with_model().first()


def advance(job: TuningJob) -> None:
    """What is due of the job and of its endpoint."""
    _advance_while_ready(jobs.advance, job.pk)
    if endpoint := endpoint_of(job):
        _advance_while_ready(endpoints.advance, endpoint.pk)
        for model in endpoint.deployed_models.all():
            _advance_while_ready(deployed_models.advance, model.pk)


def _advance_while_ready(step: Callable[[UUID, datetime], bool], pk: UUID) -> None:
    for _ in range(MOST_STEPS):
        if not step(pk, timezone.now()):
            return


def take_down(job: TuningJob, patience: timedelta = PATIENCE, pause: Pause = wait) -> None:
    """Cancels the job and deletes its endpoint. Raises Stopped when something is left after `patience`."""
    end = timezone.now() + patience
    job.refresh_from_db()
    if not job.is_terminal and not job.cancel_requested_at:
        jobs.request_cancel(job)
    while True:
        job.refresh_from_db()
        endpoint = endpoint_of(job)
        if endpoint and endpoint.state not in (EndpointState.DELETING, EndpointState.DELETED):
            endpoints.request_delete(endpoint)
        if job.is_terminal and (endpoint is None or _is_over(endpoint)):
            return
        if timezone.now() > end:
            raise Stopped(
                f"Something is left: {endpoint.resource_name if endpoint else job.resource_name}. Delete it in"
                " Google's console."
            )
        advance(job)
        pause()


def take_down_all(owner: User) -> list[TuningJob]:
    """Of runs that were killed."""
    left = [
        job
        for job in TuningJob.objects.filter(owner=owner, labels__has_key=RUN_LABEL)
        if not job.is_terminal or ((endpoint := endpoint_of(job)) and not _is_over(endpoint))
    ]
    for job in left:
        take_down(job)
    return left


def _is_over(endpoint: Endpoint) -> bool:
    return endpoint.state == EndpointState.DELETED and endpoint.next_check_at is None

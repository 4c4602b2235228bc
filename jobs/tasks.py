"""Celery's way in: an id comes, one service is called. The rows are the queue, so a lost message costs seconds."""

import json
import logging
import platform
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Protocol, cast
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from .models import Endpoint, Message
from .services.accounts import accounts
from .services.catalogue import publisher_models
from .services.catalogue.hub import imports as model_imports
from .services.chat import conversations, images
from .services.chat.streaming import saver
from .services.costs import ledger, memory, price_sync
from .services.datasets import sweep as dataset_sweep, token_counts
from .services.datasets.cloud import imports
from .services.datasets.edits import works
from .services.datasets.images import kept
from .services.endpoints import deployed_models, endpoints, lifetime, warnings
from .services.endpoints.reports import reports
from .services.health import probes
from .services.inventory import looks, regions
from .services.notifications import deliveries, notifications
from .services.preflight import preflight
from .services.storage import browsing, output_files
from .services.tuned_models import takeaways
from .services.tuning import drafts, jobs, orphaned_jobs, output_check

logger = logging.getLogger(__name__)

MESSAGE_EXPIRES_SECONDS = 20
CHAT_SECONDS = 900
clock = saver.Clock()
STARTED = timezone.now().isoformat(timespec="seconds")
# Longer than the deadline of a paid create, so that a worker is not ended while Google creates something.
STEP_SECONDS = 120
# Longer than a conversion may take.
TAKEAWAY_SECONDS = 2 * 3600
# Longer than a search for duplicates or the reading of a file from Cloud Storage may take.
WORK_SECONDS = 2 * 3600
# Longer than all pages of Google's price catalogue may take.
PRICES_SECONDS = 2 * 3600


class Task(Protocol):
    name: str

    def __call__(self, *args: Any, **kwargs: Any) -> None: ...

    def apply_async(self, *, kwargs: Mapping[str, Any], expires: float) -> Any: ...


def task(name: str, **options: Any) -> Callable[[Callable[..., None]], Task]:
    return cast(Callable[[Callable[..., None]], Task], shared_task(name=name, **options))


def enqueue_after_commit(target: Task, **kwargs: Any) -> None:
    """Sends a message once the change is committed. With no broker the sweep finds the row a little later."""
    transaction.on_commit(partial(send, target, **kwargs))


def send(target: Task, **kwargs: Any) -> bool:
    try:
        target.apply_async(kwargs=kwargs, expires=MESSAGE_EXPIRES_SECONDS)
    except Exception as error:
        logger.warning("%s was not sent, the sweep will find the row: %s", target.name, error)
        return False
    return True


@task("tuning.advance", time_limit=STEP_SECONDS)
def advance_tuning_job(job_id: str) -> None:
    if jobs.advance(UUID(job_id), timezone.now()):
        send(advance_tuning_job, job_id=job_id)


@task("endpoints.advance", time_limit=STEP_SECONDS)
def advance_endpoint(endpoint_id: str) -> None:
    if endpoints.advance(UUID(endpoint_id), timezone.now()):
        send(advance_endpoint, endpoint_id=endpoint_id)


@task("endpoints.advance_model", time_limit=STEP_SECONDS)
def advance_deployed_model(model_id: str) -> None:
    if deployed_models.advance(UUID(model_id), timezone.now()):
        send(advance_deployed_model, model_id=model_id)


@task("tuning.check_output", time_limit=40)
def check_output(draft_id: str) -> None:
    output_check.run(UUID(draft_id), timezone.now())


@task("preflight.run", time_limit=120)
def run_preflight(key: str) -> None:
    preflight.run(key, timezone.now())


@task("memory.look", time_limit=40)
def look_at_memory(base_model: str, user_id: int) -> None:
    memory.run(base_model, user_id, timezone.now())


@task("datasets.count_tokens", time_limit=60)
def count_tokens(dataset_id: str, base_model: str = "", draft_id: str = "") -> None:
    token_counts.run(UUID(dataset_id), base_model, UUID(draft_id) if draft_id else None)


@task("storage.list", time_limit=40)
def list_storage(listing_id: str) -> None:
    browsing.run(UUID(listing_id), timezone.now())


@task("storage.list_output", time_limit=60)
def list_output(job_id: str) -> None:
    output_files.run(UUID(job_id), timezone.now())


@task("takeaways.advance", time_limit=TAKEAWAY_SECONDS)
def advance_takeaway(takeaway_id: str) -> None:
    if takeaways.advance(UUID(takeaway_id), timezone.now()):
        send(advance_takeaway, takeaway_id=takeaway_id)


@task("datasets.work", time_limit=WORK_SECONDS)
def do_dataset_work(work_id: str) -> None:
    works.advance(UUID(work_id), timezone.now())


@task("datasets.import", time_limit=WORK_SECONDS)
def import_dataset(import_id: str) -> None:
    imports.advance(UUID(import_id), timezone.now(), drafts.choose_imported)


@task("catalogue.import", time_limit=STEP_SECONDS)
def advance_model_import(import_id: str) -> None:
    """What has come appears in the catalogue at once."""
    if model_imports.advance(UUID(import_id), timezone.now()):
        send(sync_catalogue)


@task("notifications.deliver", time_limit=120)
def deliver(delivery_id: str) -> None:
    """One that has ended hands its place on, so that the next need not wait for the sweep."""
    if deliveries.attempt(UUID(delivery_id), timezone.now()):
        _send_all(deliver, "delivery_id", deliveries.due(timezone.now())[:1])


@task("catalogue.sync")
def sync_catalogue() -> None:
    publisher_models.sync(timezone.now())


@task("prices.sync", time_limit=PRICES_SECONDS)
def sync_prices() -> None:
    price_sync.sync(timezone.now())


@task("jobs.find_orphaned")
def find_orphaned_jobs() -> None:
    orphaned_jobs.sweep(timezone.now())


@task("inventory.sweep")
def look_at_project() -> None:
    """Each region by itself: a slow or broken one does not keep the others from their turn."""
    found = regions.list_regions()
    looks.forget(found)
    for location in found:
        send(look_at_region, location=location)


@task("inventory.look", time_limit=STEP_SECONDS)
def look_at_region(location: str) -> None:
    looks.look(location, timezone.now())


@task("endpoints.warn")
def warn_of_endpoints() -> None:
    warnings.warn(timezone.now())


@task("endpoints.report", time_limit=120)
def read_report(endpoint_id: str, kind: str = reports.DAY) -> None:
    reports.run(UUID(endpoint_id), kind, timezone.now())


@task("endpoints.measure")
def measure_endpoints() -> None:
    for endpoint_id, kind in reports.ask_all(timezone.now()):
        if not send(read_report, endpoint_id=str(endpoint_id), kind=kind):
            return


@task("status.probe", time_limit=60)
def probe_status() -> None:
    """Sent by the scheduler and by people: so it tells a worker that lives from a scheduler that does not."""
    _report_worker(timezone.now())
    probes.run(timezone.now())


@task("jobs.prune")
def prune() -> None:
    rows = (accounts.forget_expired, conversations.forget_bare, browsing.prune, notifications.prune, takeaways.prune)
    for part in (
        *rows,
        images.prune,
        imports.prune,
        model_imports.prune,
        dataset_sweep.prune,
        kept.prune,
        ledger.end_orphans,
    ):
        _try(part, timezone.now())


@task("chat.answer", acks_late=False, time_limit=CHAT_SECONDS, Request="jobs.no_ack:NoAckRequest")
def answer_message(message_id: str, rows: str | None = None) -> None:
    """Acknowledged before it runs: an answer is never produced twice, an interrupted one says so. `rows` need not be
    read any more."""
    conversations.answer(UUID(message_id), rows)


def enqueue_endpoint(endpoint: Endpoint) -> None:
    """With those of its models that come or go."""
    enqueue_after_commit(advance_endpoint, endpoint_id=str(endpoint.pk))
    for pk in endpoint.deployed_models.transient().values_list("pk", flat=True):
        enqueue_after_commit(advance_deployed_model, model_id=str(pk))


def enqueue_answer(message: Message) -> None:
    enqueue_after_commit(answer_message, message_id=str(message.pk), rows=conversations.pack(message))


@task("jobs.sweep")
def sweep() -> None:
    """Kicks everything that is due. Each part by itself: a broken one does not keep the others from their turn."""
    now = timezone.now()
    parts = (_sweep_accounts, _sweep_jobs, _sweep_leases, _sweep_endpoints, _sweep_models, _sweep_chats)
    for part in (
        _report_worker,
        _report_beat,
        *parts,
        _sweep_deliveries,
        _sweep_takeaways,
        _sweep_works,
        _sweep_imports,
        _sweep_model_imports,
    ):
        _try(part, now)


def _try(part: Callable[[datetime], object], now: datetime) -> None:
    try:
        part(now)
    except Exception:
        logger.exception("A part of the sweep failed")


def _report_worker(now: datetime) -> None:
    told = {"version": settings.VERSION, "host": platform.node(), "since": STARTED}
    accounts.heartbeat("worker", now, json.dumps(told))


def _report_beat(now: datetime) -> None:
    accounts.heartbeat("beat", now)


def _sweep_accounts(now: datetime) -> None:
    accounts.end_lost_sessions(now)


def _sweep_jobs(now: datetime) -> None:
    _send_all(advance_tuning_job, "job_id", jobs.due(now))


def _sweep_leases(now: datetime) -> None:
    """Before the endpoints, so that those it ends are undeployed in the same sweep."""
    for pk in lifetime.due(now):
        lifetime.end(pk, now)


def _sweep_endpoints(now: datetime) -> None:
    _send_all(advance_endpoint, "endpoint_id", endpoints.due(now))


def _sweep_models(now: datetime) -> None:
    _send_all(advance_deployed_model, "model_id", deployed_models.due(now))


def _sweep_chats(now: datetime) -> None:
    if clock.is_steady(now):
        conversations.interrupt_stale(now)
    _send_all(answer_message, "message_id", conversations.due(now))


def _sweep_deliveries(now: datetime) -> None:
    _send_all(deliver, "delivery_id", deliveries.due(now))


def _sweep_takeaways(now: datetime) -> None:
    _send_all(advance_takeaway, "takeaway_id", takeaways.due(now))


def _sweep_works(now: datetime) -> None:
    _send_all(do_dataset_work, "work_id", works.due(now))


def _sweep_imports(now: datetime) -> None:
    _send_all(import_dataset, "import_id", imports.due(now))


def _sweep_model_imports(now: datetime) -> None:
    _send_all(advance_model_import, "import_id", model_imports.due(now))


def _send_all(target: Task, name: str, ids: list[UUID]) -> None:
    """The first message that cannot be sent ends it: the others would wait for the same broker."""
    for pk in ids:
        if not send(target, **{name: str(pk)}):
            return

"""Every part of the console and how it is: what this process can try by itself, and what the worker has written down.

Nothing here speaks to Vertex AI. What was last checked too long ago is unknown, whatever it was then.
"""

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.db import Error as DatabaseError, connection

from jobs import shortages
from jobs.files import store
from jobs.models import DeployedModel, Endpoint, Heartbeat, Message, ProbeResult, ProcessReport, ServiceState, TuningJob
from jobs.states import MessageState
from jobs.text.deferred import gettext as _

from . import processes

logger = logging.getLogger(__name__)

WORKER_STALE_AFTER = timedelta(seconds=30)
PROBE_STALE_AFTER = timedelta(minutes=3)
WAITS_LONG = timedelta(seconds=60)
QUEUES = ("jobs", "chat")
LONG_QUEUE = 500
GIB = 2**30
DISK_LOW, DISK_FULL = 5 * GIB, GIB // 2
# So little that the next change cannot be written.
PROBED = ("storage", "vertex", "clock", "files")


@dataclass(frozen=True)
class Service:
    """`problem` is a sentence, empty when all is well. `checked_at` None: never."""

    name: str
    state: ServiceState
    problem: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    checked_at: datetime | None = None
    latency_ms: float | None = None

    @property
    def is_problem(self) -> bool:
        return self.state in {ServiceState.FAILED, ServiceState.WARNING}


def list_services(now: datetime) -> list[Service]:
    """All but the database's own failure can be told: without it there is no page."""
    beats = {beat.name: beat for beat in Heartbeat.objects.filter(name__in=("worker", "beat"))}
    kept = {result.name: result for result in ProbeResult.objects.filter(name__in=PROBED)}
    found = processes.reports(now)
    the_worker = worker(beats.get("worker"), found, now)
    return [
        database(now),
        broker(now),
        the_worker,
        report_on("chat", found, now),
        report_on("web", found, now),
        scheduler(beats.get("beat"), the_worker, now),
        *(load_service(name, kept.get(name), now) for name in PROBED if name != "files" or store.place()),
        live_stream(now),
        disk(now),
    ]


def count_states(found: Iterable[Service]) -> dict[ServiceState, int]:
    states = [service.state for service in found]
    return {state: states.count(state) for state in ServiceState}


def database(now: datetime) -> Service:
    began = time.perf_counter()
    if problem := database_problem():
        return Service("database", ServiceState.FAILED, problem, checked_at=now)
    facts = {"engine": connection.vendor}
    return Service("database", ServiceState.OK, "", facts, now, _ms_since(began))


def database_problem() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        logger.warning("The database does not answer: %s", error)
        return _("The database does not answer.")
    return ""


def broker(now: datetime) -> Service:
    began = time.perf_counter()
    with _client() as client:
        try:
            client.ping()
            latency = _ms_since(began)
            prefix = settings.CELERY_BROKER_TRANSPORT_OPTIONS.get("global_keyprefix", "")
            waiting = {queue: int(client.llen(f"{prefix}{queue}")) for queue in QUEUES}
        except (redis.RedisError, OSError) as error:
            logger.warning("The broker does not answer: %s", error)
            return Service("broker", ServiceState.FAILED, _("The broker does not answer."), checked_at=now)
    found = Service("broker", ServiceState.OK, "", {"queues": waiting}, now, latency)
    if max(waiting.values()) > LONG_QUEUE:
        return replace(found, state=ServiceState.WARNING, problem=_("Many messages are waiting for a worker."))
    return found


def broker_problem() -> str:
    with _client() as client:
        try:
            client.ping()
        except (redis.RedisError, OSError) as error:
            logger.warning("The broker does not answer: %s", error)
            return _("The broker does not answer.")
    return ""


def _client() -> Any:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)


def worker_problem(now: datetime) -> str:
    try:
        beat = Heartbeat.objects.filter(name="worker").first()
    except DatabaseError:
        return _("Unknown: the database does not answer.")
    return _silence(beat, now)


def chat_problem(now: datetime) -> str:
    try:
        found = report_on("chat", processes.reports(now), now)
    except DatabaseError:
        return _("Unknown: the database does not answer.")
    return found.problem if found.state in {ServiceState.FAILED, ServiceState.UNKNOWN} else ""


def scheduler_problem(now: datetime) -> str:
    """The worker's silence is told as its own."""
    try:
        beats = {beat.name: beat for beat in Heartbeat.objects.filter(name__in=("worker", "beat"))}
        found = scheduler(beats.get("beat"), worker(beats.get("worker"), [], now), now)
    except DatabaseError:
        return _("Unknown: the database does not answer.")
    return found.problem if found.state == ServiceState.FAILED else ""


def _silence(beat: Heartbeat | None, now: datetime) -> str:
    """Never for long behind the truth: the worker writes its heartbeat at every sweep, each few seconds."""
    if beat is None:
        return _("The worker has never reported.")
    age = now - beat.seen_at
    if age <= WORKER_STALE_AFTER:
        return ""
    return _why_untold() or _("The worker last reported %(seconds)d seconds ago.") % {"seconds": age.total_seconds()}


def worker(beat: Heartbeat | None, found: list[ProcessReport], now: datetime) -> Service:
    told = heartbeat_detail(beat)
    facts = {name: told.get(name, "") for name in ("version", "host", "since")} | {"waiting": oldest_wait(now)}
    workers = [one for one in found if one.kind == "worker"]
    facts["processes"] = [_line(one) for one in workers]
    service = Service("worker", ServiceState.OK, _silence(beat, now), facts, beat.seen_at if beat else None)
    if service.problem:
        return replace(service, state=ServiceState.UNKNOWN if service.problem == _why_untold() else ServiceState.FAILED)
    if problem := _differs(facts["version"]) or _some_silent(workers, now):
        return replace(service, state=ServiceState.WARNING, problem=problem)
    if facts["waiting"] > WAITS_LONG.total_seconds():
        text = _("Work has been waiting for %(seconds)d seconds. The worker isn't keeping up.")
        return replace(service, state=ServiceState.WARNING, problem=text % {"seconds": facts["waiting"]})
    return service


def _why_untold() -> str:
    """Silence says nothing then."""
    if connection.vendor == "sqlite" and shortages.problem_with_disk():
        return _("Unknown: the disk is full, so no process can report.")
    return ""


def report_on(kind: str, all_reports: list[ProcessReport], now: datetime) -> Service:
    """Of processes that tell of themselves: it works as long as one of them does, and needs attention when one is
    silent that has not said goodbye."""
    found = [one for one in all_reports if one.kind == kind]
    service = Service(kind, ServiceState.OK, "", {"processes": [_line(one) for one in found]})
    if not found:
        return replace(service, state=ServiceState.FAILED, problem=_("No process of this kind is reporting."))
    service = replace(service, checked_at=found[0].seen_at)
    if processes.is_silent(found[0], now):
        if text := _why_untold():
            return replace(service, state=ServiceState.UNKNOWN, problem=text)
        words = {"seconds": (now - found[0].seen_at).total_seconds()}
        text = _("It last reported %(seconds)d seconds ago.") % words
        return replace(service, state=ServiceState.FAILED, problem=text)
    versions = {one.version for one in found if not processes.is_silent(one, now)} - {settings.VERSION}
    if problem := _differs(min(versions, default="")) or _some_silent(found, now):
        return replace(service, state=ServiceState.WARNING, problem=problem)
    return service


def _differs(version: str) -> str:
    if not version or version == settings.VERSION:
        return ""
    words = {"worker": version, "pages": settings.VERSION}
    return _("The worker runs version %(worker)s, but the pages run %(pages)s.") % words


def _some_silent(found: list[ProcessReport], now: datetime) -> str:
    gone = processes.silent(found, now)
    if not gone:
        return ""
    words = {"process": f"{gone[0].host} {gone[0].pid}", "seconds": (now - gone[0].seen_at).total_seconds()}
    return _("The process %(process)s last reported %(seconds)d seconds ago.") % words


def _line(one: ProcessReport) -> dict[str, Any]:
    return {"host": one.host, "pid": one.pid, "version": one.version, "since": one.since, "seen_at": one.seen_at}


def heartbeat_detail(beat: Heartbeat | None) -> dict[str, Any]:
    return dict(json.loads(beat.detail)) if beat and beat.detail else {}


def oldest_wait(now: datetime) -> float:
    """Seconds since when the oldest work could have been done. The rows are the queue, the messages only hurry them."""
    waiting = [
        TuningJob.objects.due(now).values_list("next_check_at", flat=True).first(),
        Endpoint.objects.due(now).values_list("next_check_at", flat=True).first(),
        DeployedModel.objects.due(now).values_list("next_check_at", flat=True).first(),
        Message.objects.filter(state=MessageState.WAITING).order_by("created_at").values_list("created_at", flat=True)
        .first(),
    ]  # fmt: skip
    return max([0.0, *((now - since).total_seconds() for since in waiting if since)])


def scheduler(beat: Heartbeat | None, the_worker: Service, now: datetime) -> Service:
    """Its ticks are written down by the worker: a silent worker says nothing about it."""
    seen_at = beat.seen_at if beat else None
    if seen_at and now - seen_at <= WORKER_STALE_AFTER:
        return Service("scheduler", ServiceState.OK, checked_at=seen_at)
    if text := _why_untold():
        return Service("scheduler", ServiceState.UNKNOWN, text, checked_at=seen_at)
    if the_worker.state == ServiceState.FAILED:
        text = _("Unknown, because the worker isn't reporting. Select Check now.")
        return Service("scheduler", ServiceState.UNKNOWN, text, checked_at=seen_at)
    since = the_worker.facts["since"]
    if since and now - datetime.fromisoformat(since) <= WORKER_STALE_AFTER:
        text = _("The worker has just started. Wait half a minute.")
        return Service("scheduler", ServiceState.UNKNOWN, text, checked_at=seen_at)
    text = _("The worker is running, but the scheduler doesn't send it work.")
    return Service("scheduler", ServiceState.FAILED, text, checked_at=seen_at)


def load_service(name: str, result: ProbeResult | None, now: datetime) -> Service:
    if result is None:
        return Service(name, ServiceState.UNKNOWN, _("Not checked yet. The worker checks every minute."))
    found = Service(
        name, ServiceState(result.state), result.detail, result.facts, result.checked_at, result.latency_ms
    )  # fmt: skip
    if now - result.checked_at <= PROBE_STALE_AFTER:
        return found
    text = _("The last check is out of date. The worker checks every minute when it's running.")
    return replace(found, state=ServiceState.UNKNOWN, problem=text, latency_ms=None)


def live_stream(now: datetime) -> Service:
    """Writes to a stream and reads it back, as a page hears of a change."""
    began, key = time.perf_counter(), f"live:probe:{os.getpid()}"
    with _client() as client:
        try:
            entry = client.xadd(key, {"event": "probe", "data": ""}, maxlen=1)
            arrived = client.xrevrange(key, count=1)
            client.expire(key, 60)
        except (redis.RedisError, OSError):
            return Service("live", ServiceState.FAILED, _("Changes can't be written to the stream."), checked_at=now)
    if not arrived or arrived[0][0] < entry:
        return Service("live", ServiceState.FAILED, _("A change written to the stream didn't arrive."), checked_at=now)
    return Service("live", ServiceState.OK, "", {}, now, _ms_since(began))


def disk(now: datetime, measure: Callable[[Path], Any] = shutil.disk_usage) -> Service:
    """Of the data directory, as this process sees it."""
    try:
        usage = measure(settings.DATA_DIR)
    except OSError:
        return Service("disk", ServiceState.UNKNOWN, _("The data directory cannot be read."), checked_at=now)
    found = Service("disk", ServiceState.OK, "", {"free": usage.free, "total": usage.total}, now)
    if problem := shortages.problem_with_disk():
        return replace(found, state=ServiceState.FAILED, problem=problem)
    if usage.free < DISK_FULL:
        return replace(found, state=ServiceState.FAILED, problem=_("The disk of the data directory is full."))
    if usage.free < DISK_LOW:
        return replace(found, state=ServiceState.WARNING, problem=_("The disk of the data directory is nearly full."))
    return found


def _ms_since(began: float) -> float:
    return round(1000 * (time.perf_counter() - began), 1)

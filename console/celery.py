import atexit
import logging.config
import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from celery import Celery, bootsteps
from celery.beat import EmbeddedService, Scheduler, SchedulingError
from celery.signals import (
    beat_init,
    celeryd_init,
    setup_logging,
    task_postrun,
    task_prerun,
    worker_init,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)
from celery.worker.consumer import Consumer
from click import Option
from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection, connections
from kombu.transport import redis

from console import garbage, json_lines, pulse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
# Django's system checks import every page: half a second at the start of each worker. `make check` runs them.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

logger = logging.getLogger(__name__)
STARTED = datetime.now(UTC)
DUE_AT_START = frozenset({"sync-catalogue", "sync-prices", "probe-status", "prune", "look-at-project"})

app = Celery("console")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["jobs"])
scheduler_tick, loop_tick = pulse.Tick(), pulse.Tick()
reporters: list[Any] = []
watchdogs: list[pulse.Watchdog] = []


class Schedule(Scheduler):  # type: ignore[misc]  # Celery has no types
    """Kept in memory: the longest interval is an hour, and a file could be torn, or on a disk that is full."""

    def setup_schedule(self) -> None:
        """Some are due at every start, once the broker is there: else Model Garden would be empty for the first five
        minutes, and a console that runs for less than an hour at a time would never be tidied up."""
        super().setup_schedule()
        for name in DUE_AT_START & self.schedule.keys():
            self.schedule[name].last_run_at -= timedelta(days=1)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        scheduler_tick.now()
        return float(super().tick(*args, **kwargs))

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """One line when the broker is away; what was due then is due again at the next interval."""
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as error:
            logger.warning("%s", error)

    def _ensure_connected(self) -> Any:
        keep_ticking(self.connection, scheduler_tick.now)
        return super()._ensure_connected()


def keep_ticking(connection: Any, tick: Any) -> None:
    """Waiting for a broker that is away is no hang: `tick` is called each second of it."""
    ensure = connection.ensure_connection

    def ensure_connection(*args: Any, callback: Any = None, **kwargs: Any) -> Any:
        def call() -> None:
            tick()
            if callback:
                callback()

        return ensure(*args, callback=call, **kwargs)

    connection.ensure_connection = ensure_connection


class ScheduleStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """Beat in a thread of the worker. Celery's own `-B` forks a process that nobody watches."""

    def __init__(self, worker: Any, with_schedule: bool = False, **options: Any) -> None:
        self.enabled = with_schedule
        super().__init__(worker, **options)

    def create(self, worker: Any) -> Any:
        scheduler_tick.now()
        return EmbeddedService(worker.app, thread=True, scheduler_cls=Schedule)

    def stop(self, worker: Any) -> None:
        """Without waiting for it: a scheduler whose broker is away asks for it for ever, and the worker would never
        end."""
        if self.obj:
            self.obj.service.stop()

    terminate = stop


class PulseStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """Written from the loop that takes in messages, as long as the threads and the scheduler work, too."""

    requires = ("celery.worker.consumer.connection:Connection",)
    timer: Any = None

    def start(self, consumer: Any) -> None:
        pool = consumer.pool
        self.threads = pulse.Threads(pool.executor, pool.limit)
        consumer.timer.call_after(0, self.beat)
        watch(pulse.well)
        self.timer = consumer.timer.call_repeatedly(pulse.SECONDS, self.beat)

    def stop(self, consumer: Any) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.timer = None

    def beat(self) -> None:
        problem = self.problem(time.monotonic())
        pulse.send(problem)
        if not problem:
            loop_tick.now()

    def problem(self, now: float) -> str:
        if scheduler_tick.is_overdue(now):
            return "its scheduler is silent"
        return self.threads.problem(now)


def watch(tick: pulse.Tick) -> None:
    """Once a process, whose consumer begins anew with each connection to the broker."""
    if not watchdogs and not pulse.has_supervisor():
        watchdogs.append(pulse.Watchdog(tick))
        watchdogs[0].start()


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def stop_watching(**_: Any) -> None:
    """A worker that ends may take as long as its tasks do."""
    for watchdog in watchdogs:
        watchdog.stop()


class PulsingConsumer(Consumer):  # type: ignore[misc]
    def ensure_connected(self, connection: Any) -> Any:
        keep_ticking(connection, pulse.send)
        return super().ensure_connected(connection)


class Channel(redis.Channel):
    def _connparams(self, asynchronous: bool = False) -> Any:
        """A worker whose broker is killed gives back what it took in, on a connection that is closed by then. As a lost
        connection that is survived; as the AttributeError that Kombu raises, it would end the worker."""
        if self.connection.client is None:
            raise ConnectionError("The connection to the broker is closed.")
        return super()._connparams(asynchronous=asynchronous)  # type: ignore[no-untyped-call]


redis.Transport.Channel = Channel
app.conf.worker_consumer = PulsingConsumer
app.conf.beat_scheduler = Schedule
app.steps["worker"].add(ScheduleStep)
app.steps["consumer"].add(PulseStep)
app.user_options["worker"].add(Option(["--with-schedule"], is_flag=True, help="Tell the workers what is due, too."))


@celeryd_init.connect  # type: ignore[untyped-decorator]
def name_worker(options: Any = None, **_: Any) -> None:
    """Celery warns, of its rights for example, before it asks for a log."""
    write_lines_as_django_does()
    json_lines.Process.kind = kind_of((options or {}).get("queues") or ())


def kind_of(queues: Any) -> str:
    names = queues.split(",") if isinstance(queues, str) else queues
    return "chat" if set(names) == {"chat"} else "worker"


@worker_init.connect  # type: ignore[untyped-decorator]
@beat_init.connect  # type: ignore[untyped-decorator]
def refuse_newer_database(**_: Any) -> None:
    from jobs.services.health import schema  # noqa: PLC0415  # models are ready only now

    problem = schema.why_not_use()
    connections.close_all()
    if problem:
        raise SystemExit(problem)


@task_prerun.connect  # type: ignore[untyped-decorator]
def begin_task(task: Any, kwargs: Any = None, **_: Any) -> None:
    """One that runs in its caller's thread leaves the caller's connection alone, which lasts as CONN_MAX_AGE says."""
    if not task.request.is_eager:
        json_lines.begin_task(task.name, kwargs or {})
        pulse.begin_task(task.time_limit or app.conf.task_time_limit)
        close_old_connections()


@task_postrun.connect  # type: ignore[untyped-decorator]
def end_task(task: Any, **_: Any) -> None:
    if not task.request.is_eager:
        json_lines.end_task()
        pulse.end_task()
        close_old_connections()


@worker_ready.connect  # type: ignore[untyped-decorator]
def end_orphans(**_: Any) -> None:
    """The sweep finds them too, once their leases are over."""
    from jobs.services.chat import conversations  # noqa: PLC0415  # not before Django is set up

    if not settings.CHAT_WORKER_IS_ALONE:
        return
    try:
        conversations.interrupt_orphans(STARTED, datetime.now(UTC))
    except DatabaseError:
        logger.exception("Answers that an earlier worker left cannot be marked now")
    finally:
        connection.close()


@worker_ready.connect  # type: ignore[untyped-decorator]
def begin_reports(sender: Any, **_: Any) -> None:
    from console.reporter import Reporter  # noqa: PLC0415  # models are ready only now

    kind = kind_of(sender.app.amqp.queues.consume_from)
    begin_report(Reporter(kind, lambda: loop_tick.at is not None and not loop_tick.is_overdue(time.monotonic())))


@beat_init.connect  # type: ignore[untyped-decorator]
def begin_report_of_beat(**_: Any) -> None:
    """Of one that runs by itself: the thread of a worker says that it begins, too, and is told of with its worker."""
    if json_lines.Process.kind in ("worker", "chat"):
        return
    from console.reporter import Reporter  # noqa: PLC0415  # models are ready only now

    json_lines.Process.kind = "beat"
    scheduler_tick.now()
    watch(scheduler_tick)
    begin_report(Reporter("beat", lambda: not scheduler_tick.is_overdue(time.monotonic())))
    atexit.register(end_reports)


def begin_report(reporter: Any) -> None:
    reporter.start()
    reporters.append(reporter)


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def end_reports(**_: Any) -> None:
    for reporter in reporters:
        reporter.stop()


@setup_logging.connect  # type: ignore[untyped-decorator]
def write_lines_as_django_does(**_: Any) -> None:
    """Celery would bring handlers of its own, whose lines anybody could forge. Warnings are lines like all others."""
    logging.config.dictConfig(settings.LOGGING)
    logging.captureWarnings(True)


@worker_ready.connect  # type: ignore[untyped-decorator]
def keep_what_is_loaded(**_: Any) -> None:
    """Looking through it for garbage would stop all answers for a tenth of a second."""
    garbage.freeze_imported()

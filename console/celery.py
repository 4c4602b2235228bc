import gc
import logging
import os
from datetime import UTC, datetime
from typing import Any

from celery import Celery
from celery.signals import beat_embedded_init, beat_init, task_postrun, task_prerun, worker_ready
from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

logger = logging.getLogger(__name__)
STARTED = datetime.now(UTC)

app = Celery("console")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["jobs"])


@beat_init.connect  # type: ignore[untyped-decorator]
@beat_embedded_init.connect  # type: ignore[untyped-decorator]
def read_catalogue(**_: Any) -> None:
    """At every start, too: the schedule alone would leave Model Garden empty for the first five minutes, and a console
    that is started more often than once an hour would never be tidied."""
    app.send_task("catalogue.sync", expires=60)
    app.send_task("status.probe", expires=60)
    app.send_task("jobs.prune", expires=600)


@worker_ready.connect  # type: ignore[untyped-decorator]
def end_orphans(**_: Any) -> None:
    """The sweep finds them too, once their leases are over."""
    from jobs.services import chat  # noqa: PLC0415  # not before Django is set up

    if not settings.CHAT_WORKER_IS_ALONE:
        return
    try:
        chat.interrupt_orphans(STARTED, datetime.now(UTC))
    except DatabaseError:
        logger.exception("Answers that an earlier worker left cannot be marked now")
    finally:
        connection.close()


@task_prerun.connect  # type: ignore[untyped-decorator]
@task_postrun.connect  # type: ignore[untyped-decorator]
def keep_connection(task: Any, **_: Any) -> None:
    """As long as CONN_MAX_AGE says. One that runs in its caller's thread leaves the caller's connection alone."""
    if not task.request.is_eager:
        close_old_connections()


@worker_ready.connect  # type: ignore[untyped-decorator]
def keep_what_is_loaded(**_: Any) -> None:
    """Looking through it for garbage would stop all answers for a tenth of a second."""
    gc.freeze()

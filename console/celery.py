import gc
import os
from typing import Any

from celery import Celery
from celery.signals import beat_embedded_init, beat_init, task_postrun, task_prerun, worker_ready
from django.db import close_old_connections
from kombu import Exchange, Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

app = Celery("console")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["jobs"])
# The broker keeps no note of who has the message of an answer, which takes as long as reading its question: the row is
# what waits, and the sweep names it again. So a worker takes every message that comes, also those it cannot begin yet.
app.conf.task_queues = [Queue("jobs", Exchange("jobs"), "jobs"), Queue("chat", Exchange("chat"), "chat", no_ack=True)]


@beat_init.connect  # type: ignore[untyped-decorator]
@beat_embedded_init.connect  # type: ignore[untyped-decorator]
def read_catalogue(**_: Any) -> None:
    """At every start, too: the schedule alone would leave Model Garden empty for the first five minutes."""
    app.send_task("catalogue.sync", expires=60)
    app.send_task("status.probe", expires=60)


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

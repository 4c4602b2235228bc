import gc
import logging.config
import os
from typing import Any

from celery import Celery
from celery.signals import beat_embedded_init, beat_init, setup_logging, task_postrun, task_prerun, worker_ready
from django.conf import settings
from django.db import close_old_connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

app = Celery("console")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["jobs"])


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


@setup_logging.connect  # type: ignore[untyped-decorator]
def write_lines_as_django_does(**_: Any) -> None:
    """Celery would bring handlers of its own, whose lines anybody could forge."""
    logging.config.dictConfig(settings.LOGGING)


@worker_ready.connect  # type: ignore[untyped-decorator]
def keep_what_is_loaded(**_: Any) -> None:
    """Looking through it for garbage would stop all answers for a tenth of a second."""
    gc.freeze()

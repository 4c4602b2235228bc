"""Finds tuning jobs that run in Vertex AI in this installation's name and that no row stands for. Cancels nothing."""

import json
import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings

from jobs import live
from jobs.models import EventLevel, Heartbeat, Installation, TuningJob
from jobs.services.accounts import accounts
from jobs.states import TUNING_TERMINAL
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway
from jobs.vertex.errors import VertexError
from jobs.vertex.values import RemoteTuningJob

logger = logging.getLogger(__name__)

NAME = "surplus"
SHORTEST_PAUSE = timedelta(seconds=50)


def sweep(now: datetime) -> None:
    """One list call of each kind, however often it is asked for. An installation that has never sent anything makes
    none."""
    installation = Installation.objects.order_by("created_at", "pk").first()
    if installation is None or Heartbeat.objects.filter(name=NAME, seen_at__gt=now - SHORTEST_PAUSE).exists():
        return
    accounts.heartbeat(NAME, now, json.dumps(unknown_jobs()))
    try:
        found = _find(str(installation.pk))
    except VertexError as error:
        logger.info("Vertex AI's tuning jobs could not be listed: %s", error)
        return
    rows = _rows(found)
    unknown = []
    for remote in found:
        row = rows.get(remote.labels.get("app-key", ""))
        if row is None:
            unknown += [] if remote.state in TUNING_TERMINAL else [remote.name]
        elif _is_orphaned(row, remote):
            tell(row, remote)
    accounts.heartbeat(NAME, now, json.dumps(unknown))


def _find(installation: str) -> list[RemoteTuningJob]:
    """Custom jobs only where this console ever made one, or can make one."""
    found = get_gateway().tuning.find("app-install", installation, locations())
    if settings.VERTEX_TRAINER_IMAGE or TuningJob.objects.exclude(training_machine="").exists():
        found = [*found, *get_gateway().custom_jobs.find("app-install", installation, locations())]
    return found


def locations() -> list[str]:
    """Where jobs of this console were ever sent to."""
    return list(TuningJob.objects.order_by("location").values_list("location", flat=True).distinct())


def unknown_jobs() -> list[str]:
    """The names of those that ran when Vertex AI was last listed."""
    detail = Heartbeat.objects.filter(name=NAME).values_list("detail", flat=True).first()
    return list(json.loads(detail)) if detail else []


def tell(row: TuningJob, remote: RemoteTuningJob) -> None:
    """Once for each surplus job, whoever sees it first: a look before a create finds it, too."""
    if row.events.filter(level=EventLevel.WARNING, message__contains=remote.name).exists():
        return
    row.events.create(level=EventLevel.WARNING, message=sentence(remote))
    live.notify(row.owner_id, f"job-{row.pk}", "jobs")


def sentence(remote: RemoteTuningJob) -> str:
    text = _("Vertex AI has another job with the same key: %s. It may cost money. Cancel it in Vertex AI.")
    return text % remote.name


def _is_orphaned(row: TuningJob, remote: RemoteTuningJob) -> bool:
    """A row that waits to be bound takes one by itself, unless it was given up. Only the last part of a name is the
    job's own: the project comes as an id or as a number, and a job of `global` is listed in its region."""
    if row.resource_name:
        return _last(row.resource_name) != _last(remote.name)
    return row.is_terminal and remote.state not in TUNING_TERMINAL


def _last(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _rows(found: Iterable[RemoteTuningJob]) -> Mapping[str, TuningJob]:
    keys = {key for remote in found if (key := _uuid(remote.labels.get("app-key", "")))}
    rows = TuningJob.objects.filter(pk__in=keys).only("pk", "owner_id", "resource_name", "state")
    return {str(row.pk): row for row in rows}


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None

"""What only the worker can see: Cloud Storage, Vertex AI and its clock. Each is really tried, and the outcome kept."""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.utils import timezone

from jobs import live
from jobs.errors import StoreUnavailable
from jobs.files import store
from jobs.models import Heartbeat, ProbeResult, ServiceState
from jobs.services.accounts import accounts
from jobs.services.health.checks import Found, clock, files, storage, vertex
from jobs.text.deferred import gettext as _
from jobs.vertex.errors import VertexError

logger = logging.getLogger(__name__)

NAME = "probe"
SHORTEST_PAUSE = timedelta(seconds=2)
LOST_AFTER = timedelta(seconds=90)


def run(now: datetime) -> bool:
    """Three short calls and one small object. False: another worker is at it, or was a moment ago."""
    if not _claim(now):
        return False
    try:
        for name, probe in PROBES.items():
            if name != "files" or store.place():
                _keep(name, _run(probe))
    finally:
        Heartbeat.objects.filter(name=NAME).update(detail="")
    for user_id in accounts.active_user_ids():
        live.notify(user_id, "status")
    return True


def _claim(now: datetime) -> bool:
    """Two probes at once would delete each other's object."""
    idle = Heartbeat(name=NAME, seen_at=now - LOST_AFTER, detail="")
    Heartbeat.objects.bulk_create([idle], ignore_conflicts=True)
    rows = Heartbeat.objects.filter(name=NAME)
    mine = {"seen_at": now, "detail": "running"}
    return bool(
        rows.filter(detail="", seen_at__lte=now - SHORTEST_PAUSE).update(**mine)
        or rows.filter(seen_at__lte=now - LOST_AFTER).update(**mine)
    )


def _run(probe: Callable[[Found], None]) -> Found:
    found = Found()
    began = time.perf_counter()
    try:
        probe(found)
    except (VertexError, StoreUnavailable) as error:
        found.fail(str(error))
        if isinstance(error, VertexError) and error.is_about_credentials:
            found.facts["lacks"] = "credentials"
    except Exception as error:
        logger.exception("A probe failed by itself")
        found.state = ServiceState.UNKNOWN
        found.detail = _("The check itself failed: %s. For details, see the worker's log.") % type(error).__name__
    if found.latency_ms is None and found.steps:
        found.latency_ms = round(1000 * (time.perf_counter() - began))
    return found


def _keep(name: str, found: Found) -> None:
    """A probe that could not be made leaves no figure. The log says once what is wrong, not at every try."""
    before = ProbeResult.objects.filter(name=name).first()
    if found.state == ServiceState.FAILED and found.detail != (before.detail if before else ""):
        logger.warning("The check of %s failed: %s", name, found.detail)
    fields = {
        "state": found.state,
        "detail": found.detail,
        "facts": {**found.facts, "steps": found.steps},
        "latency_ms": found.latency_ms if found.state != ServiceState.UNKNOWN else None,
        "checked_at": timezone.now(),
    }
    ProbeResult.objects.update_or_create(name=name, defaults=fields)


PROBES: dict[str, Callable[[Found], None]] = {"storage": storage, "vertex": vertex, "clock": clock, "files": files}

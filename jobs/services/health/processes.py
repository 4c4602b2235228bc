"""Which processes of the console work, each by its own report; on one machine also what its supervisor did."""

import json
import os
import platform
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from jobs.models import ProcessReport

SILENT_AFTER = timedelta(seconds=30)
FORGOTTEN_AFTER = timedelta(minutes=10)
STARTED = timezone.now()


def report(kind: str, now: datetime) -> None:
    """At a process's first report, those are forgotten that it replaces on this machine."""
    host, pid = platform.node()[:100], os.getpid()
    values = {"version": settings.VERSION, "since": STARTED, "seen_at": now}
    _, is_new = ProcessReport.objects.update_or_create(kind=kind, host=host, pid=pid, defaults=values)
    if is_new:
        others = ProcessReport.objects.filter(kind=kind, host=host).exclude(pid=pid)
        gone = [other.pk for other in others if not _is_alive(other.pid)]
        ProcessReport.objects.filter(pk__in=gone).delete()
        ProcessReport.objects.filter(seen_at__lt=now - FORGOTTEN_AFTER).delete()


def withdraw(kind: str, now: datetime) -> None:
    ProcessReport.objects.filter(kind=kind, host=platform.node()[:100], pid=os.getpid()).delete()


def reports(now: datetime) -> list[ProcessReport]:
    """The newest first, without those that have been silent for so long that nobody expects them back."""
    return list(ProcessReport.objects.filter(seen_at__gte=now - FORGOTTEN_AFTER).order_by("-seen_at"))


def is_silent(one: ProcessReport, now: datetime) -> bool:
    return now - one.seen_at > SILENT_AFTER


def silent(found: Iterable[ProcessReport], now: datetime) -> list[ProcessReport]:
    return [one for one in found if is_silent(one, now)]


def problem_here(kind: str, now: datetime) -> str:
    """A sentence, unless a process of this kind reports from this machine or container."""
    mine = [one for one in reports(now) if one.kind == kind and one.host == platform.node()[:100]]
    if not mine:
        return f"No process of the kind {kind} reports from {platform.node()}."
    if is_silent(mine[0], now):
        seconds = (now - mine[0].seen_at).total_seconds()
        return f"The process {mine[0].pid} ({kind}) last reported {seconds:.0f} seconds ago."
    return ""


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


@dataclass(frozen=True)
class Supervised:
    """A process of `manage.py up`, as its supervisor sees it. `reason` says why it was last started again, or is."""

    name: str
    pid: int
    since: datetime
    runs: bool
    restarts: int
    reason: str
    restarted_at: datetime | None


def read_supervised() -> list[Supervised]:
    """Nothing when no supervisor runs on this data directory, or its record cannot be read."""
    try:
        record = json.loads((settings.DATA_DIR / "run" / "processes.json").read_text())
        children = record["children"] if _is_alive(int(record["pid"])) else []
        return [_read(child) for child in children]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return []


def _read(child: dict[str, object]) -> Supervised:
    restarted_at = None
    with suppress(ValueError):
        restarted_at = datetime.fromisoformat(str(child["restarted_at"]))
    return Supervised(
        name=str(child["name"]),
        pid=int(str(child["pid"])),
        since=datetime.fromisoformat(str(child["since"])),
        runs=bool(child["runs"]),
        restarts=int(str(child["restarts"])),
        reason=str(child["reason"]),
        restarted_at=restarted_at,
    )

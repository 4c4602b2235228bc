"""Asks before money is spent: the web asks, the worker looks, and what it found holds for two minutes.

A question that is lost stays unanswered, and the page says that it does not know; nothing is blocked by what is unknown
or old. What failed a moment ago blocks the start, since the request would fail for the same reason, only later.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from jobs import live, shortages
from jobs.models import Preflight
from jobs.services.accounts import accounts
from jobs.text.deferred import gettext as _

from . import checks
from .lines import Check, Line, Subject, Verdict

PATIENCE = timedelta(seconds=60)
HOLDS = timedelta(minutes=2)
KEPT = timedelta(days=1)


@dataclass(frozen=True)
class Result:
    """`lines` of the last look, even while another is awaited. `is_late`: nobody answered in time. `is_old`: it is
    not known any more, and nobody is at it."""

    subject: Subject
    lines: tuple[Line, ...] = ()
    checked_at: datetime | None = None
    is_asked: bool = False
    is_late: bool = False
    is_old: bool = True

    @property
    def failed(self) -> list[Line]:
        return [line for line in self.lines if line.verdict == Verdict.FAILED]

    @property
    def commands(self) -> list[str]:
        return list(dict.fromkeys(command for line in self.lines for command in line.commands))


def applies() -> bool:
    """On a local run nothing costs money, and nobody has to grant anything."""
    return not settings.VERTEX_API_ENDPOINT


def ask(subject: Subject, now: datetime) -> bool:
    """True when the worker is to be told: not while an answer is under way, nor while nothing can be written."""
    if shortages.present():
        return False
    row, is_new = Preflight.objects.get_or_create(
        key=subject.key, defaults={"subject": asdict(subject), "asked_at": now}
    )
    if is_new:
        return True
    waiting = row.checked_at is None or row.checked_at < row.asked_at
    if waiting and now - row.asked_at < PATIENCE:
        return False
    return bool(Preflight.objects.filter(pk=row.pk, asked_at=row.asked_at).update(asked_at=now))


def run(key: str, now: datetime) -> None:
    row = Preflight.objects.filter(key=key).first()
    if row is None:
        return
    lines = [asdict(line) for line in checks.Preflight(Subject(**row.subject)).lines()]
    Preflight.objects.filter(key=key).update(lines=lines, checked_at=timezone.now())
    Preflight.objects.filter(asked_at__lt=now - KEPT).delete()
    for user_id in accounts.active_user_ids():
        live.notify(user_id, "preflight")


def find(subject: Subject, now: datetime) -> Result:
    row = Preflight.objects.filter(key=subject.key).first()
    if row is None:
        return Result(subject)
    is_asked = row.checked_at is None or row.checked_at < row.asked_at
    is_late = is_asked and now - row.asked_at > PATIENCE
    is_old = not is_asked and now - (row.checked_at or row.asked_at) > HOLDS
    return Result(subject, tuple(_parse(row.lines)), row.checked_at, is_asked and not is_late, is_late, is_old)


def why_not_spend(subject: Subject, now: datetime) -> str:
    """Names the first of what failed; the page shows all of it."""
    if not applies():
        return ""
    found = find(subject, now)
    if not found.failed or found.checked_at is None or now - found.checked_at > HOLDS:
        return ""
    return _("Something is missing on Google Cloud: %(reason)s") % {"reason": found.failed[0].text}


def _parse(stored: Iterable[dict[str, Any]]) -> Iterable[Line]:
    """Without what another version of this program has looked at."""
    for one in stored:
        if one["check"] in list(Check) and one["verdict"] in list(Verdict):
            yield Line(Check(one["check"]), Verdict(one["verdict"]), one["text"], tuple(one["commands"]))

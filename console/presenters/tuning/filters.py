"""The one filter field of the tuning list: `status:failed base:gemma-3-4b created:7d "night run"`, as chips."""

import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from django.db.models import Q
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from jobs.models import GROUPS, StatusGroup, Visibility
from jobs.states import TUNING_LIVE, TUNING_TERMINAL, TuningState

LONGEST, MAX_CHIPS = 500, 12
ARCHIVED = "archived"
TOKEN = re.compile(r'(?:(\w+):)?("[^"]*"|[^\s"]+)')
SPAN = re.compile(r"(\d{1,4})([hdw])")
UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
STATUSES: dict[str, frozenset[TuningState]] = {
    "live": frozenset(map(TuningState, TUNING_LIVE)),
    "ended": frozenset(map(TuningState, TUNING_TERMINAL)),
    **{state.value.lower(): frozenset({state}) for state in TuningState},
    **{group.name.lower(): frozenset(states) for group, states in GROUPS.items()},
}
LABELS: dict[str, str | Promise] = {
    "is": _("Shown"), "status": _("Status"), "base": _("Base model"), "name": _("Name"), "created": _("Created"),
    "ended": _("Ended"),
}  # fmt: skip


@dataclass(frozen=True)
class Chip:
    """`problem` says why it filters nothing."""

    key: str
    value: str
    problem: str | Promise = ""

    @property
    def text(self) -> str:
        return f'{self.key}:"{self.value}"' if " " in self.value else f"{self.key}:{self.value}"

    @property
    def label(self) -> str | Promise:
        return LABELS[self.key]


def parse(*texts: str) -> list[Chip]:
    """In the order in which they were typed, each once. A word without a property is part of a name."""
    typed = " ".join(text[:LONGEST] for text in texts).replace("\x00", " ")
    chips = [chip(key.lower(), value.strip('"')) for key, value in TOKEN.findall(typed)]
    return list(dict.fromkeys(one for one in chips if one.value.strip()))[:MAX_CHIPS]


def chip(key: str, value: str) -> Chip:
    if key and key not in LABELS:
        return Chip("name", f"{key}:{value}")
    key = key or "name"
    value = value.lower() if key in {"status", "is"} else value
    if key == "is" and value != ARCHIVED:
        return Chip(key, value, _("Write is:archived for the jobs that you have archived."))
    if key == "status" and value not in STATUSES:
        return Chip(key, value, _("This status doesn't exist."))
    if key in {"created", "ended"} and period(value) is None:
        return Chip(key, value, _("Enter 24h, 7d, today, 2026-01-31, >2026-01-31, or 2026-01-01..2026-01-31."))
    return Chip(key, value)


def query_text(chips: Iterable[Chip]) -> str:
    return " ".join(chip.text for chip in chips)


def condition(chips: Sequence[Chip]) -> Q:
    """Values of the same status or base model widen the list, everything else narrows it. What is archived is left
    out unless it is asked for."""
    is_archived = any(one.key == "is" and not one.problem for one in chips)
    found = Q(visibility=Visibility.ARCHIVED if is_archived else Visibility.LISTED)
    states, bases = set[TuningState](), Q()
    for one in chips:
        if one.problem or one.key == "is":
            continue
        if one.key == "status":
            states |= STATUSES[one.value]
        elif one.key == "base":
            bases |= Q(base_model__icontains=one.value)
        elif one.key == "name":
            found &= Q(display_name__icontains=one.value)
        else:
            found &= within(f"{one.key}_at", one.value)
    return found & bases & (state_in(states) if states else Q())


def state_in(states: Set[TuningState]) -> Q:
    """Also by the group that they are of, or that they are live ones: those have indexes."""
    for group, members in GROUPS.items():
        if states <= set(members):
            return Q(status_group=group) & (Q() if states == set(members) else Q(state__in=states))
    return Q(state__in=states) & (Q(status_group__lte=StatusGroup.QUEUED) if states <= TUNING_LIVE else Q())


def within(column: str, value: str) -> Q:
    start, end = period(value) or (None, None)
    after = Q(**{f"{column}__gte": start}) if start else Q()
    return after & Q(**{f"{column}__lt": end}) if end else after


def period(value: str) -> tuple[datetime | None, datetime | None] | None:
    """From and until, the end not included; None when it cannot be read."""
    if value.lower() == "today":
        return midnight(timezone.localdate().isoformat()), None
    if span := SPAN.fullmatch(value.lower()):
        return timezone.now() - int(span[1]) * UNITS[span[2]], None
    try:
        if value.startswith(">"):
            return next_day(value[1:]), None
        if value.startswith("<"):
            return None, midnight(value[1:])
        first, dots, last = value.partition("..")
        return midnight(first), next_day(last if dots else first)
    except (ValueError, OverflowError):
        return None


def midnight(text: str) -> datetime:
    return timezone.make_aware(datetime.combine(datetime.fromisoformat(text).date(), time.min))


def next_day(text: str) -> datetime:
    return timezone.make_aware(datetime.combine(datetime.fromisoformat(text).date() + timedelta(days=1), time.min))

"""The list of notifications."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _

from jobs.models import NotificationSubject

FILTERS = (
    NotificationSubject.TUNING_JOB,
    NotificationSubject.ENDPOINT,
    NotificationSubject.DATASET,
    NotificationSubject.MODEL_IMPORT,
)


def filters(about: str, unread: bool) -> list[dict[str, Any]]:
    """Chips: what it is about, and whether it is unread; each leads to the list with this one changed."""
    chips = [{"label": _("All"), "url": address("", unread), "current": not about}]
    chips += [{"label": one.label, "url": address(one.value, unread), "current": about == one} for one in FILTERS]
    return [*chips, {"label": _("Unread only"), "url": address(about, not unread), "pressed": unread}]


def address(about: str, unread: bool) -> str:
    chosen = {"about": about, "unread": "1" if unread else ""}
    query = urlencode({name: value for name, value in chosen.items() if value})
    return reverse("notifications") + (f"?{query}" if query else "")


def moment(text: str) -> datetime | None:
    with suppress(ValueError, OverflowError):
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else None
    return None

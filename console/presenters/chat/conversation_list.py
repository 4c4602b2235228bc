"""The list of chats, by day."""

import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from console.presenters.components import pager
from console.presenters.components.highlight import highlight
from jobs.models import Conversation
from jobs.models.keyset import Key
from jobs.services.chat import conversation_list


@dataclass(frozen=True)
class Row:
    pk: uuid.UUID
    title: SafeString
    said: SafeString
    is_pinned: bool
    endpoint: str
    updated_at: datetime


@dataclass(frozen=True)
class Group:
    """Without a title it goes on with the group that the page before ended with."""

    title: str
    rows: list[Row]


@dataclass(frozen=True)
class Chats:
    """`ticks`: several can be chosen."""

    groups: list[Group]
    older: str
    q: str
    current: str
    ticks: bool


def older_url(page: conversation_list.Page, query: dict[str, str]) -> str:
    if page.last is None:
        return ""
    return reverse("chat-list") + pager.url({**query, "after": pager.serialize_key(page.last)})


def group_by_day(page: conversation_list.Page, after: Key | None, q: str) -> list[Group]:
    groups = [Group(_("Pinned"), [row_of(row, q) for row in page.pinned])] if page.pinned else []
    last = day_words(after.moment) if after else ""
    for title, rows in groupby(page.rows, lambda row: day_words(row.updated_at)):
        groups.append(Group("" if title == last else title, [row_of(row, q) for row in rows]))
    return groups


def day_words(moment: datetime) -> str:
    today: date = timezone.localdate()
    day = timezone.localtime(moment).date()
    if day >= today:
        return _("Today")
    return _("Yesterday") if day == today - timedelta(days=1) else _("Older")


def row_of(row: Conversation, q: str) -> Row:
    said: str | None = getattr(row, "said", None)
    found = highlight(conversation_list.snippet(said, q), q) if said else SafeString("")
    endpoint: str | None = getattr(row, "endpoint_name", None)
    title = highlight(row.title or _("Untitled chat"), q)
    return Row(row.pk, title, found, row.pinned, endpoint or "", row.updated_at)

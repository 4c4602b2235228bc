"""The list of chats: beside a chat, on a page of its own, and what is found in it."""

import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from console.presenters.components import pager
from console.presenters.components.highlight import highlight
from console.web.http import ConsoleRequest, page_or_fragment, wants_fragment
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


@require_safe
def index(request: ConsoleRequest) -> HttpResponse:
    context = {"chats": list_chats(request), "is_more": "after" in request.GET}
    return page_or_fragment(request, "chat/all.html", "rows", context)


def list_chats(request: ConsoleRequest, current: Conversation | None = None) -> Chats:
    """`q`, `after`, `current` and `ticks` belong to the list's own address; beside a chat the first page is shown."""
    is_own = request.path == reverse("chat-list")
    query = request.GET if is_own else {}
    q = query.get("q", "").replace("\x00", "").strip()[: conversation_list.LONGEST_QUERY]
    after = pager.parse_key(query.get("after", ""), conversation_list.ORDER)
    shown = str(current.pk) if current else query.get("current", "")[:36]
    ticks = is_own and ("ticks" in query or not wants_fragment(request))
    page = (
        conversation_list.search(request.user, q, after=after)
        if q
        else conversation_list.page(request.user, after=after)
    )
    further = {"q": q, "current": shown} | ({"ticks": "yes"} if ticks else {})
    return Chats(group_by_day(page, after, q), older_url(page, further), q, shown, ticks)


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

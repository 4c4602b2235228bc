"""The list of chats: beside a chat, on a page of its own, and what is found in it."""

from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from console.presenters.chat.conversation_list import Chats, group_by_day, older_url
from console.presenters.components import pager
from console.web.http import ConsoleRequest, page_or_fragment, wants_fragment
from jobs.models import Conversation
from jobs.services.chat import conversation_list


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

"""The conversations of a person as the list shows them, and what is found in them."""

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import Exists, F, OuterRef, Q, Subquery

from jobs import live
from jobs.models import Conversation, Message
from jobs.models.chat import ConversationQuerySet
from jobs.models.keyset import Key, Order, cut

PAGE_SIZE = 40
PINNED_SHOWN = 100
# A search looks into the conversations used last, not into all there ever were.
SEARCHED = 1000
LONGEST_QUERY = 100
TITLE_LENGTH = 200
SNIPPET = 80

# By the last message; a title or a pin does not count.
ORDER = Order(clock="updated_at")


@dataclass(frozen=True)
class Page:
    """`last` is the key of the last row, None on the last page."""

    pinned: list[Conversation]
    rows: list[Conversation]
    last: Key | None


def page(owner: User, *, after: Key | None = None, size: int = PAGE_SIZE) -> Page:
    """Pinned ones stand on the first page only."""
    everything = _with_endpoint_name(Conversation.objects.visible_to(owner).for_list())
    pinned = [] if after else list(everything.filter(pinned=True)[:PINNED_SHOWN])
    found = cut(everything.filter(pinned=False), ORDER, after, size)
    return Page(pinned, found.rows, found.last)


def search(owner: User, q: str, *, after: Key | None = None, size: int = PAGE_SIZE) -> Page:
    """Those with every word in their title, or all of the words together in one message, newest first."""
    words = q.replace("\x00", "")[:LONGEST_QUERY].split()
    recent = Conversation.objects.visible_to(owner).for_list().order_by("-updated_at").values("pk")[:SEARCHED]
    in_title, in_message = Q(), Q(conversation=OuterRef("pk"))
    for word in words:
        in_title &= Q(title__icontains=word)
        in_message &= Q(content__icontains=word)
    said = Message.objects.filter(in_message).order_by("-ordinal")
    found = Conversation.objects.filter(in_title | Exists(said), pk__in=recent)
    shown = cut(_with_endpoint_name(found).annotate(said=Subquery(said.values("content")[:1])), ORDER, after, size)
    return Page([], shown.rows, shown.last)


def _with_endpoint_name(rows: ConversationQuerySet) -> ConversationQuerySet:
    """With the name of the endpoint, without the endpoint."""
    return rows.annotate(endpoint_name=F("endpoint__display_name"))


def snippet(text: str, q: str) -> str:
    """The words around the first one that was searched for."""
    flat = " ".join(text.split())
    at = min((place for word in q.split() if (place := flat.casefold().find(word.casefold())) >= 0), default=0)
    start = max(0, at - SNIPPET // 3)
    end = start + SNIPPET
    return ("…" if start else "") + flat[start:end].strip() + ("…" if end < len(flat) else "")


def rename(conversation: Conversation, title: str) -> None:
    """An empty title is given anew by the next question."""
    conversation.title = " ".join(title.replace("\x00", "").split())[:TITLE_LENGTH]
    _keep(conversation, title=conversation.title)


def pin(conversation: Conversation, pinned: bool) -> None:
    conversation.pinned = pinned
    _keep(conversation, pinned=pinned)


def _keep(conversation: Conversation, **values: str | bool) -> None:
    """Without touching `updated_at`: nothing was said, so it keeps its place in the list."""
    Conversation.objects.filter(pk=conversation.pk).update(**values)
    live.notify(conversation.owner_id, f"chat-{conversation.pk}")

"""What lies in Cloud Storage, for a person who chooses a folder. The web asks, the worker looks and writes it down.

A person sees what `storage.policies` lets them read, and on the way there only what leads to it; that way is known
from rows, so that nobody looks into the buckets for it. A question that is lost stays unanswered, and the page says so;
asking again is harmless.
"""

from dataclasses import asdict
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth.models import User

from jobs import live
from jobs.errors import NotAllowedNow
from jobs.models import StorageListing
from jobs.vertex import get_gateway
from jobs.vertex.errors import VertexError
from jobs.vertex.values import Listing

from . import policies

PATIENCE = timedelta(seconds=20)
FRESH = timedelta(seconds=30)
KEPT = timedelta(hours=1)
PAGE = 100


def ask(
    owner: User, uri: str, token: str, now: datetime, *, again: bool = False, polls: bool = False
) -> tuple[StorageListing, bool]:
    """The page as far as it is known, and whether the worker is to be told: not while an answer is under way, nor
    when it is fresh, unless somebody wants to look `again`. Who `polls` waits for an answer and asks for none.

    Raises NotAllowedNow for what this person may not see.
    """
    if not may_look(owner, uri):
        return _way(owner, uri, token, now), False
    page, is_new = StorageListing.objects.get_or_create(
        owner=owner, uri=uri, page_token=token, defaults={"asked_at": now}
    )
    if is_new:
        return page, True
    if polls or now - page.asked_at < (PATIENCE if page.is_awaited else timedelta(0) if again else FRESH):
        return page, False
    page.asked_at = now
    page.save(update_fields=["asked_at"])
    return page, True


def may_look(owner: User, uri: str) -> bool:
    """Into the bucket itself, and not only through to what lies below; "" is the list of buckets."""
    return not policies.why_not_read(owner, uri) if uri else owner.is_superuser


def _way(owner: User, uri: str, token: str, now: datetime) -> StorageListing:
    folders = policies.folders_below(owner, uri)
    if uri and not folders:
        policies.check_can_read(owner, uri)
    start = int(token) if token.isdecimal() and len(token) < 9 else 0
    following = str(start + PAGE) if len(folders) > start + PAGE else ""
    return StorageListing(
        owner=owner, uri=uri, page_token=token, asked_at=now, fetched_at=now,
        folders=folders[start : start + PAGE], next_token=following,
    )  # fmt: skip


def run(listing_id: UUID, now: datetime) -> None:
    """One read. A page that was forgotten meanwhile is asked for again by whoever looks at it."""
    page = StorageListing.objects.select_related("owner").filter(pk=listing_id).first()
    if page is None or not page.is_awaited:
        return
    error, found = "", Listing()
    try:
        found = look(page)
    except (VertexError, NotAllowedNow) as problem:
        error = str(problem)
    StorageListing.objects.filter(pk=listing_id).update(
        fetched_at=max(now, page.asked_at),
        error=error,
        folders=list(found.folders),
        objects_found=[{**asdict(one), "updated": one.updated and one.updated.isoformat()} for one in found.objects],
        next_token=found.next_token,
    )
    live.notify(page.owner_id, f"storage-{listing_id}")


def look(page: StorageListing) -> Listing:
    """Without the folders of other people's jobs; asked again whether this person may, since that may have changed."""
    storage = get_gateway().storage
    if not page.uri:
        return storage.list_buckets(page.page_token, PAGE) if page.owner.is_superuser else Listing()
    found = storage.list_folder(policies.check_can_read(page.owner, page.uri), page.page_token, PAGE)
    hidden = policies.list_hidden_names(page.owner, page.uri)
    return Listing(tuple(name for name in found.folders if name not in hidden), found.objects, found.next_token)


def prune(now: datetime) -> None:
    StorageListing.objects.filter(asked_at__lt=now - KEPT).delete()

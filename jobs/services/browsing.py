"""What lies in Cloud Storage, for a person who chooses a folder. The web asks, the worker looks and writes it down.

A question that is lost stays unanswered, and the page says so; asking again is harmless.
"""

from dataclasses import asdict
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth.models import User

from jobs import live
from jobs.models import StorageListing
from jobs.vertex import get_gateway
from jobs.vertex.errors import VertexError
from jobs.vertex.port import Listing

PATIENCE = timedelta(seconds=20)
FRESH = timedelta(seconds=30)
KEPT = timedelta(hours=1)
PAGE = 100


def ask(
    owner: User, uri: str, token: str, now: datetime, *, again: bool = False, polls: bool = False
) -> tuple[StorageListing, bool]:
    """The page as far as it is known, and whether the worker is to be told: not while an answer is under way, nor
    when it is fresh, unless somebody wants to look `again`. Who `polls` waits for an answer and asks for none."""
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


def run(listing_id: UUID, now: datetime) -> None:
    """One read. A page that was forgotten meanwhile is asked for again by whoever looks at it."""
    page = StorageListing.objects.filter(pk=listing_id).first()
    if page is None or not page.is_awaited:
        return
    error, found = "", Listing()
    try:
        found = look(page)
    except VertexError as problem:
        error = str(problem)
    StorageListing.objects.filter(pk=listing_id).update(
        fetched_at=max(now, page.asked_at),
        error=error,
        folders=list(found.folders),
        objects_found=[{**asdict(one), "updated": one.updated and one.updated.isoformat()} for one in found.objects],
        next_token=found.next_token,
    )
    live.ring(page.owner_id, f"storage-{listing_id}")


def look(page: StorageListing) -> Listing:
    storage = get_gateway().storage
    if page.uri:
        return storage.list_folder(page.uri, page.page_token, PAGE)
    return storage.list_buckets(page.page_token, PAGE)


def prune(now: datetime) -> None:
    StorageListing.objects.filter(asked_at__lt=now - KEPT).delete()

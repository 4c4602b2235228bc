"""What lies in the output folder of a job, for whoever takes it away or deletes it. The web asks, the worker looks and
writes it down; a question that is lost stays unanswered, and asking again is harmless."""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from jobs import live, shortages
from jobs.models import OutputListing, TuningJob
from jobs.models.fields.uris import parse_gs_uri
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway
from jobs.vertex.errors import Unavailable, VertexError
from jobs.vertex.values import StoredObject

logger = logging.getLogger(__name__)
PATIENCE = timedelta(seconds=30)
FRESH = timedelta(seconds=60)
PAGE, MOST = 500, 5000
# One after the other without a file: a page may be empty and still not be the last one.
MOST_EMPTY_PAGES = 1000


def ask(job: TuningJob, now: datetime, *, again: bool = False) -> tuple[OutputListing, bool]:
    """As far as it is known, and whether the worker is to be told, who is not while nothing can be written."""
    with shortages.if_possible(logger, "Asking for the files of a job"):
        return _note_question(job, now, again=again)
    return OutputListing.objects.filter(job=job).first() or OutputListing(job=job, asked_at=now), False


def _note_question(job: TuningJob, now: datetime, *, again: bool) -> tuple[OutputListing, bool]:
    listing, is_new = OutputListing.objects.get_or_create(job=job, defaults={"asked_at": now})
    if is_new:
        return listing, True
    age = now - listing.asked_at
    if age < (PATIENCE if listing.is_awaited else timedelta(0) if again else FRESH):
        return listing, False
    listing.asked_at = now
    listing.save(update_fields=["asked_at"])
    return listing, True


def run(job_id: UUID, now: datetime) -> None:
    listing = OutputListing.objects.select_related("job").filter(pk=job_id).first()
    if listing is None or not listing.is_awaited:
        return
    error, found = "", list[StoredObject]()
    try:
        found = list(walk(listing.job.output_uri))
    except VertexError as problem:
        error = str(problem)
    OutputListing.objects.filter(pk=job_id).update(
        read_at=max(now, listing.asked_at),
        error=error,
        files=[{"name": one.name, "size": one.size} for one in found],
        is_cut_off=len(found) >= MOST,
    )
    live.notify(listing.job.owner_id, f"files-{job_id}")


def has_address(uri: str) -> bool:
    """Whoever may write to the bucket may choose names to which no address of the console leads, such as one with a
    line break; what has one is neither shown nor deleted."""
    try:
        parse_gs_uri(uri)
    except ValueError:
        return False
    return True


def walk(folder: str, most: int = MOST) -> Iterator[StoredObject]:
    """Everything in it and below, by its path from there; so many at most. Nothing where there is no such folder.
    Raises VertexError, also where page follows page and no file comes."""
    storage, waiting, seen, empty = get_gateway().storage, [""], 0, 0
    while waiting:
        below, token = waiting.pop(), ""
        place = f"{folder.rstrip('/')}/{below}".rstrip("/")
        while True:
            page = storage.list_folder(place, token, PAGE)
            empty = 0 if page.objects else empty + 1
            if empty > MOST_EMPTY_PAGES:
                raise Unavailable(_("The list of files in %s doesn't end.") % folder, "UNAVAILABLE")
            waiting += [f"{below}{name}/" for name in page.folders if name and has_address(f"{place}/{name}")]
            for one in page.objects:
                if not has_address(f"{place}/{one.name}"):
                    continue
                yield StoredObject(f"{below}{one.name}", one.size, one.updated)
                seen += 1
                if seen >= most:
                    return
            if not (token := page.next_token):
                break

"""Pages of buckets and folders. A server that does not page, as the local one, sends all: its pages are cut here."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings

from jobs.text.deferred import gettext as _
from jobs.vertex.errors import NotAuthorised, NotFound, Refused
from jobs.vertex.moments import drop_impossible
from jobs.vertex.sdk.translate import translate_errors
from jobs.vertex.values import Listing, StoredObject

THEIRS, OURS = "t", "o"


def buckets(client: Any, token: str, limit: int) -> Listing:
    try:
        with translate_errors():
            names, following, _folders = _page(client.list_buckets, token, limit)
    except NotAuthorised as error:
        text = _("The console can't list the buckets of this project. Enter the name of a bucket instead. %s")
        raise NotAuthorised(text % error, error.code) from None
    shown, following = _cut([bucket.name for bucket in names], following, token, limit)
    return Listing(folders=tuple(shown), next_token=following)


def folder(client: Any, bucket: str, path: str, token: str, limit: int) -> Listing:
    prefix = f"{path}/" if path else ""
    try:
        with translate_errors(bucket=bucket):
            blobs = partial(client.list_blobs, bucket, prefix=prefix, delimiter="/")
            found, following, folders = _page(blobs, token, limit)
    except NotFound:
        raise NotFound(_("There is no bucket %s. Choose or enter another one.") % bucket, "NOT_FOUND") from None
    entries: list[Any] = [*sorted(folders), *(blob for blob in found if blob.name != prefix)]
    shown, following = _cut(entries, following, token, limit)
    return Listing(
        folders=tuple(one.removeprefix(prefix).removesuffix("/") for one in shown if isinstance(one, str)),
        objects=tuple(_object(one, prefix) for one in shown if not isinstance(one, str)),
        next_token=following,
    )


def _object(blob: Any, prefix: str) -> StoredObject:
    return StoredObject(blob.name.removeprefix(prefix), blob.size or 0, drop_impossible(blob.updated))


def _page(method: Callable[..., Any], token: str, limit: int) -> tuple[list[Any], str, set[str]]:
    kind, rest = token[:1], token[1:]
    if kind not in ("", THEIRS, OURS) or (kind == OURS and not rest.isdecimal()):
        raise Refused(_("This page of the list is no longer available. Start at the first page."), "INVALID_ARGUMENT")
    theirs = rest if kind == THEIRS else None
    iterator = method(page_size=limit, page_token=theirs, timeout=settings.VERTEX_READ_SECONDS, retry=None)
    found = list(next(iterator.pages, ()))
    following = f"{THEIRS}{iterator.next_page_token}" if iterator.next_page_token else ""
    return found, following, set(getattr(iterator, "prefixes", ()))


def _cut(entries: list[Any], following: str, token: str, limit: int) -> tuple[list[Any], str]:
    if following or (token and token[0] == THEIRS):
        return entries, following
    start = int(token[1:]) if token else 0
    return entries[start : start + limit], f"{OURS}{start + limit}" if len(entries) > start + limit else ""

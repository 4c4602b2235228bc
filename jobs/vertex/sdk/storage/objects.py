"""`gs://` by google-cloud-storage. Addresses come here already checked by jobs.models.fields.uris."""

import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from google.api_core.exceptions import PreconditionFailed
from google.cloud.storage import Client

from jobs.text.deferred import gettext as _
from jobs.vertex.errors import AlreadyExists, NotAuthorised, NotFound, Refused
from jobs.vertex.moments import drop_impossible
from jobs.vertex.sdk.clients import anonymous, harden
from jobs.vertex.sdk.credentials import load
from jobs.vertex.sdk.translate import translate_errors
from jobs.vertex.values import Listing, StoredObject

from . import listing

UPLOAD_SECONDS = 60.0
NEEDED = ["storage.objects.create", "storage.objects.list"]


class Storage:
    def upload(self, path: Path, uri: str) -> None:
        bucket, name = _parts(uri)
        with translate_errors(bucket=bucket, sends=path):
            blob = _client().bucket(bucket).blob(name)
            blob.upload_from_filename(str(path), timeout=UPLOAD_SECONDS, retry=None)

    def problem_with_output(self, uri: str) -> str:
        bucket, _path = _parts(uri)
        try:
            with translate_errors(bucket=bucket):
                missing = sorted(set(NEEDED) - _test_permissions(bucket))
        except NotFound:
            return _("There is no bucket %s. Create it, or enter the name of another one.") % bucket
        except NotAuthorised as error:
            if error.is_about_credentials:
                raise
            return str(error)
        return _missing_rights(bucket, missing) if missing else ""

    def is_empty(self, uri: str) -> bool:
        bucket, path = _parts(uri)
        prefix = f"{path}/" if path else ""
        with translate_errors(bucket=bucket):
            found = _client().list_blobs(
                bucket, prefix=prefix, max_results=1, timeout=settings.VERTEX_READ_SECONDS, retry=None
            )
            return not list(found)

    def find_object(self, uri: str) -> StoredObject | None:
        bucket, name = _parts(uri)
        try:
            with translate_errors(bucket=bucket):
                blob = _client().bucket(bucket).get_blob(name, timeout=settings.VERTEX_READ_SECONDS, retry=None)
        except NotFound:
            return None
        if blob is None:
            return None
        return StoredObject(blob.name, blob.size or 0, drop_impossible(blob.updated), str(blob.generation or ""))

    def delete(self, uri: str) -> None:
        bucket, name = _parts(uri)
        with suppress(NotFound), translate_errors(bucket=bucket):
            _client().bucket(bucket).blob(name).delete(timeout=settings.VERTEX_READ_SECONDS, retry=None)

    def read_text(self, uri: str, limit: int) -> str | None:
        bucket, name = _parts(uri)
        try:
            with translate_errors(bucket=bucket):
                blob = _client().bucket(bucket).get_blob(name, timeout=settings.VERTEX_READ_SECONDS, retry=None)
                return None if blob is None else _tail(blob, limit)
        except NotFound:
            return None

    def read_range(self, uri: str, start: int, size: int, version: str) -> bytes:
        bucket, name = _parts(uri)
        wanted = {"if_generation_match": int(version)} if version else {}
        with translate_errors(bucket=bucket):
            try:
                data: bytes = _client().bucket(bucket).blob(name).download_as_bytes(
                    start=start, end=start + size - 1, raw_download=True, checksum=None,
                    timeout=settings.VERTEX_READ_SECONDS, retry=None, **wanted,
                )  # fmt: skip
            except PreconditionFailed:
                raise NotFound(_("%s was written anew. Prepare it again.") % uri, "NOT_FOUND") from None
        return data

    def list_buckets(self, page_token: str, limit: int) -> Listing:
        return listing.buckets(_client(), page_token, limit)

    def list_folder(self, uri: str, page_token: str, limit: int) -> Listing:
        return listing.folder(_client(), *_parts(uri), page_token, limit)

    def bucket_location(self, uri: str) -> str:
        bucket, _path = _parts(uri)
        with translate_errors(bucket=bucket):
            found = _client().get_bucket(bucket, timeout=settings.VERTEX_READ_SECONDS, retry=None)
        return str(found.location or "").lower()

    def members_by_role(self, uri: str) -> dict[str, list[str]]:
        bucket, _path = _parts(uri)
        with translate_errors(bucket=bucket):
            policy = _client().bucket(bucket).get_iam_policy(
                requested_policy_version=3, timeout=settings.VERTEX_READ_SECONDS, retry=None
            )  # fmt: skip
        # A grant with a condition may not hold for what is asked.
        return {one["role"]: sorted(one["members"]) for one in policy.bindings if not one.get("condition")}

    def ensure_bucket(self, uri: str, location: str = "") -> None:
        bucket, _path = _parts(uri)
        try:
            with translate_errors(bucket=bucket):
                _test_permissions(bucket)
        except NotFound:
            self._create(bucket, location or settings.VERTEX_LOCATION)

    def _create(self, bucket: str, location: str) -> None:
        with suppress(AlreadyExists), translate_errors(bucket=bucket):
            _client().create_bucket(bucket, location=location, timeout=settings.VERTEX_READ_SECONDS, retry=None)


def _test_permissions(bucket: str) -> set[str]:
    """To ask for one's rights needs none, other than to look at the bucket, and tells whether there is one, too."""
    return set(_client().bucket(bucket).test_iam_permissions(NEEDED, timeout=settings.VERTEX_READ_SECONDS, retry=None))


def _missing_rights(bucket: str, rights: list[str]) -> str:
    return _(
        "The console isn't allowed to write to the bucket %(bucket)s: %(rights)s is missing. Ask for the role "
        "roles/storage.objectUser."
    ) % {"bucket": bucket, "rights": ", ".join(rights)}


def _tail(blob: Any, limit: int) -> str:
    """The object may grow or be replaced between the two calls, so the range is only a hint."""
    start = max(0, (blob.size or 0) - limit)
    data: bytes = blob.download_as_bytes(start=start or None, timeout=settings.VERTEX_READ_SECONDS, retry=None)
    return data[-limit:].decode("utf-8", "replace")


def _parts(uri: str) -> tuple[str, str]:
    if not uri.startswith("gs://"):
        raise Refused(_("%s is not a Cloud Storage path.") % uri, "INVALID_ARGUMENT")
    bucket, _slash, path = uri.removeprefix("gs://").partition("/")
    return bucket, path.rstrip("/")


def _client() -> Any:
    with translate_errors():
        return _build_client(os.environ.get("STORAGE_EMULATOR_HOST", ""), settings.VERTEX_PROJECT)


@cache
def _build_client(emulator: str, project: str) -> Any:
    """The library itself reads STORAGE_EMULATOR_HOST; it is an argument so that another host is another client."""
    client = Client(project=project, credentials=anonymous() if emulator else load())
    if emulator:
        harden(client._http)
        client._http.trust_env = False
    return client

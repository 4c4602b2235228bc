"""`gs://` through the real google-cloud-storage client, with memory bounded by one chunk whatever the file's size."""

import importlib
import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from jobs.localvertex.api.errors import ApiError, invalid

CHUNK = 256 * 1024 * 1024  # the emulator rewrites the whole object at each chunk: small ones make that quadratic
TIMEOUT = (5, 60)
MOUNT = "/gcs/"


@dataclass(frozen=True)
class Location:
    bucket: str
    path: str

    def __str__(self) -> str:
        return f"gs://{self.bucket}/{self.path}" if self.path else f"gs://{self.bucket}"

    def __truediv__(self, child: str) -> "Location":
        return Location(self.bucket, f"{self.path}/{child}" if self.path else child)


def uri_of(path: str) -> str:
    """Containers see a bucket as a folder, `/gcs/bucket/path`; any other text is returned as it is."""
    return f"gs://{path.removeprefix(MOUNT)}" if path.startswith(MOUNT) else path


def location(uri: str, field: str) -> Location:
    bucket, _, path = uri.removeprefix("gs://").partition("/")
    if not uri.startswith("gs://") or not bucket:
        raise invalid(f"{field} must be a Cloud Storage path such as gs://bucket/folder, not {uri!r}.", field)
    return Location(bucket, path.rstrip("/"))


def file_location(uri: str, field: str) -> Location:
    place = location(uri, field)
    if not place.path:
        raise invalid(f"{field} must name a file in the bucket, such as gs://{place.bucket}/train.jsonl.", field)
    return place


class Buckets:
    """Raises `ApiError` with a sentence that a person can act on, whatever the storage client raises."""

    def __init__(self, emulator: str | None) -> None:
        self._emulator = emulator
        self._lock = threading.Lock()

    @cached_property
    def _google(self) -> ModuleType:
        return importlib.import_module("jobs.localvertex.storage.client")

    @cached_property
    def _client(self) -> Any:
        return self._google.connect(self._emulator)

    def size(self, place: Location, at_most: int | None = None) -> int:
        blob = self._guard(
            place, lambda: self._bucket(place).get_blob(place.path, timeout=TIMEOUT, retry=self._google.RETRY)
        )
        if blob is None:
            raise ApiError("NOT_FOUND", f"{place} is not there. Check the path, or upload the file again.")
        size = int(blob.size or 0)
        if at_most is not None and size > at_most:
            raise invalid(f"{place} has {size:,} bytes; at most {at_most:,} are read.")
        return size

    def download(self, place: Location, target: Path) -> None:
        self.size(place)
        partial = target.with_name(target.name + ".partial")
        target.parent.mkdir(parents=True, exist_ok=True)
        self._guard(
            place,
            lambda: self._blob(place).download_to_filename(str(partial), timeout=TIMEOUT, retry=self._google.RETRY),
        )
        partial.replace(target)

    def read(self, place: Location, at_most: int | None = None) -> bytes:
        self.size(place, at_most)
        return bytes(
            self._guard(place, lambda: self._blob(place).download_as_bytes(timeout=TIMEOUT, retry=self._google.RETRY))
        )

    def upload(self, source: Path, place: Location, *, retry: bool = True) -> None:
        """`retry=False` gives up at the first refusal, for what will be tried again anyway."""
        again = self._google.RETRY if retry else None
        self._guard(place, lambda: self._blob(place).upload_from_filename(str(source), timeout=TIMEOUT, retry=again))

    def children(self, place: Location) -> list[str]:
        """Paths below `place`, relative to it."""
        prefix = f"{place.path}/" if place.path else ""

        def names() -> Iterable[str]:
            found = self._bucket(place).list_blobs(
                prefix=prefix, max_results=1000, timeout=TIMEOUT, retry=self._google.RETRY
            )
            return [blob.name.removeprefix(prefix) for blob in found]

        return list(self._guard(place, names))

    def list_files(self, place: Location) -> dict[str, tuple[int, str]]:
        """The size of each of the children, and what tells its content from any other."""
        prefix = f"{place.path}/" if place.path else ""

        def found() -> dict[str, tuple[int, str]]:
            blobs = self._bucket(place).list_blobs(
                prefix=prefix, max_results=1000, timeout=TIMEOUT, retry=self._google.RETRY
            )
            return {
                blob.name.removeprefix(prefix): (int(blob.size or 0), blob.md5_hash or f"{place} {blob.generation}")
                for blob in blobs
            }

        return dict(self._guard(place, found))

    def place_of(self, place: Location) -> str:
        """Where the bucket is, as Google writes it in lower case."""
        found = self._guard(
            place, lambda: self._client.get_bucket(place.bucket, timeout=TIMEOUT, retry=self._google.RETRY)
        )
        return str(found.location or "").lower()

    def members(self, place: Location, roles: Collection[str]) -> set[str]:
        """Who has one of these roles on the bucket itself."""

        def bindings() -> Any:
            return self._bucket(place).get_iam_policy(timeout=TIMEOUT, retry=self._google.RETRY).bindings

        found = self._guard(place, bindings)
        return {member for one in found if one["role"] in roles for member in one["members"]}

    def _bucket(self, place: Location) -> Any:
        with self._lock:
            return self._client.bucket(place.bucket)

    def _blob(self, place: Location) -> Any:
        return self._bucket(place).blob(place.path, chunk_size=CHUNK)

    def _guard(self, place: Location, action: Any) -> Any:
        try:
            return action()
        except Exception as error:
            if told := self._google.translate(error, place, place.bucket):
                raise told from None
            raise

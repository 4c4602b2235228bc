from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from jobs.models.fields.uris import parse_gs_uri
from jobs.vertex.errors import NotFound
from jobs.vertex.values import Listing, StoredObject
from tests.fakes.base import BUCKET, LOCATION, Part, remote

if TYPE_CHECKING:
    from tests.fakes import FakeGateway


def version_of(content: bytes) -> str:
    return str(crc32(content))


class FakeStorage(Part):
    """`objects` by their whole URI. Write to it to stand for files that Vertex AI made."""

    noun = "storage"

    def __init__(self, world: "FakeGateway") -> None:
        super().__init__(world)
        self.buckets = {BUCKET}
        self.locations: dict[str, str] = {}
        self.members: dict[str, list[str]] = {}
        self.read_only: set[str] = set()
        self.objects: dict[str, bytes] = {}
        # What every list is answered with, page after page.
        self.every_page: Listing | None = None

    def put_model(self, uri: str) -> None:
        """What a model server can start from."""
        self.buckets.add(parse_gs_uri(uri)[0])
        files = {"config.json": b"{}", "model.safetensors": b"W", "tokenizer.json": b"{}"}
        self.objects |= {f"{uri}/{name}": content for name, content in files.items()}

    def put_adapter(self, uri: str) -> None:
        self.objects |= {f"{uri}/{name}": b"x" for name in ("adapter_config.json", "adapter_model.safetensors")}

    @remote
    def upload(self, path: Path, uri: str) -> None:
        problem = self._problem(uri)
        if problem:
            raise NotFound(problem, "NOT_FOUND")
        self.objects[uri] = path.read_bytes()

    @remote
    def problem_with_output(self, uri: str) -> str:
        return self._problem(uri)

    @remote
    def is_empty(self, uri: str) -> bool:
        self._need_bucket(uri)
        return not any(name.startswith(uri.rstrip("/") + "/") for name in self.objects)

    @remote
    def find_object(self, uri: str) -> StoredObject | None:
        found = self.objects.get(uri)
        return None if found is None else StoredObject(parse_gs_uri(uri)[1], len(found), version=version_of(found))

    @remote
    def delete(self, uri: str) -> None:
        self.objects.pop(uri, None)

    @remote
    def read_text(self, uri: str, limit: int) -> str | None:
        found = self.objects.get(uri)
        return None if found is None else found[max(0, len(found) - limit) :].decode("utf-8", "replace")

    @remote
    def read_range(self, uri: str, start: int, size: int, version: str) -> bytes:
        found = self.objects.get(uri)
        if found is None or (version and version != version_of(found)):
            raise NotFound(f"{uri} was written anew.", "NOT_FOUND")
        return found[start : start + size]

    @remote
    def list_buckets(self, page_token: str, limit: int) -> Listing:
        start = int(page_token or 0)
        names = sorted(self.buckets)
        following = str(start + limit) if len(names) > start + limit else ""
        return Listing(folders=tuple(names[start : start + limit]), next_token=following)

    @remote
    def list_folder(self, uri: str, page_token: str, limit: int) -> Listing:
        self._need_bucket(uri)
        if self.every_page is not None:
            return self.every_page
        below = f"{uri.rstrip('/')}/"
        found = {name.removeprefix(below): body for name, body in self.objects.items() if name.startswith(below)}
        folders = sorted({name.partition("/")[0] for name in found if "/" in name})
        entries = [*folders, *sorted(name for name in found if "/" not in name)]
        start = int(page_token or 0)
        shown = entries[start : start + limit]
        return Listing(
            folders=tuple(name for name in shown if name in folders),
            objects=tuple(StoredObject(name, len(found[name])) for name in shown if name not in folders),
            next_token=str(start + limit) if len(entries) > start + limit else "",
        )

    @remote
    def bucket_location(self, uri: str) -> str:
        self._need_bucket(uri)
        return self.locations.get(parse_gs_uri(uri)[0], LOCATION)

    @remote
    def members_by_role(self, uri: str) -> dict[str, list[str]]:
        self._need_bucket(uri)
        return self.members

    @remote
    def ensure_bucket(self, uri: str, location: str = "") -> None:
        self.buckets.add(parse_gs_uri(uri)[0])

    def _problem(self, uri: str) -> str:
        try:
            bucket, _ = parse_gs_uri(uri)
        except ValueError as error:
            return str(error)
        if bucket not in self.buckets:
            return f"The bucket {bucket} does not exist."
        return f"Nothing may be written to the bucket {bucket}." if bucket in self.read_only else ""

    def _need_bucket(self, uri: str) -> None:
        if parse_gs_uri(uri)[0] not in self.buckets:
            raise NotFound(self._problem(uri), "NOT_FOUND")

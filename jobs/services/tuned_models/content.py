"""Bytes that lie elsewhere, as one file: read piece by piece, from any place on, at the pace of who takes them."""

import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from jobs.errors import StoreUnavailable
from jobs.files import store
from jobs.files.seekable import SeekableReader
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway
from jobs.vertex.errors import VertexError

PIECE = 4 * 2**20
BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True)
class Segment:
    """`read` takes a start and a size, which never leads past the end."""

    size: int
    read: Callable[[int, int], bytes]


def of_bytes(content: bytes) -> Segment:
    return Segment(len(content), lambda start, size: content[start : start + size])


def of_file(file: Mapping[str, Any]) -> Segment:
    """Raises StoreUnavailable, as it is read, for what is not there any more or was written anew."""
    return Segment(file["size"], _from_cloud(file) if file["source"].startswith("gs://") else _from_store(file))


def _from_cloud(file: Mapping[str, Any]) -> Callable[[int, int], bytes]:
    def read(start: int, size: int) -> bytes:
        try:
            return get_gateway().storage.read_range(file["source"], start, size, file["version"])
        except VertexError as error:
            raise StoreUnavailable(str(error)) from error

    return read


def _from_store(file: Mapping[str, Any]) -> Callable[[int, int], bytes]:
    def read(start: int, size: int) -> bytes:
        try:
            with store.open_file(file["source"]) as content:
                content.seek(start)
                return content.read(size)
        except FileNotFoundError:
            raise StoreUnavailable(_("The file is not there any more. Prepare it again.")) from None

    return read


def of_archive(files: Iterable[Mapping[str, Any]], folder: str) -> list[Segment]:
    """As a tar file without compression: the same files give the same bytes, so that a download can go on."""
    segments = []
    for file in files:
        header = tarfile.TarInfo(f"{folder}/{file['name']}")
        header.size = file["size"]
        segments += [of_bytes(header.tobuf(tarfile.PAX_FORMAT)), of_file(file), of_bytes(bytes(-file["size"] % BLOCK))]
    return [*segments, of_bytes(bytes(2 * BLOCK))]


class Content(SeekableReader):
    """`on_close` is called once."""

    def __init__(self, segments: Iterable[Segment], on_close: Callable[[], object] = int) -> None:
        self._segments = [segment for segment in segments if segment.size]
        self._ends = list(accumulate(segment.size for segment in self._segments))
        self._on_close = on_close

    @property
    def size(self) -> int:
        return self._ends[-1] if self._ends else 0

    def readinto(self, buffer: Any) -> int:
        """From one segment at a time."""
        for segment, end in zip(self._segments, self._ends, strict=True):
            if self._at < end:
                start = self._at - (end - segment.size)
                size = min(len(buffer), end - self._at, PIECE)
                part = segment.read(start, size)
                if len(part) != size:
                    raise StoreUnavailable(_("The file was changed while it was read. Prepare it again."))
                buffer[:size] = part
                self._at += size
                return size
        return 0

    def close(self) -> None:
        if not self.closed:
            self._on_close()
        super().close()

"""An object of Cloud Storage as a file: one generation of it, in the memory of one piece."""

from collections.abc import Callable
from io import BufferedReader
from typing import Any

from jobs.errors import DatasetRejected
from jobs.files.seekable import SeekableReader
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway
from jobs.vertex.errors import NotFound, VertexError
from jobs.vertex.values import StoredObject

PIECE = 4 * 2**20
# A connection that breaks on the way is no reason to begin a long file anew.
TRIES = 3
Tell = Callable[[int], None]


def find(uri: str) -> StoredObject:
    """Raises DatasetRejected where there is none, VertexError where nobody may say."""
    found = get_gateway().storage.find_object(uri)
    if found is None:
        raise DatasetRejected(_say_missing(uri))
    return found


def open_object(uri: str, found: StoredObject, tell: Tell) -> BufferedReader:
    """`tell` is told how many bytes were read, after every piece; what it raises ends the reading."""
    return BufferedReader(ObjectReader(uri, found, tell), PIECE)


class ObjectReader(SeekableReader):
    def __init__(self, uri: str, found: StoredObject, tell: Tell) -> None:
        self._uri, self._found, self._tell, self._furthest = uri, found, tell, 0

    @property
    def size(self) -> int:
        return self._found.size

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), self.size - self._at, PIECE)
        if size <= 0:
            return 0
        part = self._fetch(size)
        if len(part) != size:
            raise DatasetRejected(_say_changed(self._uri))
        buffer[:size] = part
        self._at += size
        self._furthest = max(self._furthest, self._at)
        self._tell(self._furthest)
        return size

    def _fetch(self, size: int) -> bytes:
        for tries_left in reversed(range(TRIES)):
            try:
                return get_gateway().storage.read_range(self._uri, self._at, size, self._found.version)
            except NotFound as error:
                raise DatasetRejected(_say_changed(self._uri)) from error
            except VertexError as error:
                if not error.retryable or not tries_left:
                    raise
        raise AssertionError


def _say_changed(uri: str) -> str:
    return _("%s was replaced or deleted while it was read. Try again once nobody writes to it.") % uri


def _say_missing(uri: str) -> str:
    """Who may not look at a bucket is not told whether there is one."""
    bucket = uri.removeprefix("gs://").partition("/")[0]
    try:
        get_gateway().storage.bucket_location(uri)
    except NotFound:
        return _("There is no bucket %s. Check its name.") % bucket
    except VertexError:
        pass
    return _("There is no file %s. Check the path, or browse for the file.") % uri

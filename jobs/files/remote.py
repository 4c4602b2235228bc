"""What the stores of other machines have in common: limits, sentences, and files that are read piece by piece."""

import io
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar
from uuid import uuid4

from django.conf import settings
from django.core.files import File

from jobs.errors import StoreUnavailable
from jobs.text.deferred import gettext as _

from .limits import Line, Patience
from .names import Stored
from .seekable import SeekableReader

logger = logging.getLogger(__name__)
T = TypeVar("T")

PIECE = 2 * 1024 * 1024
DRAFTS = "cache/drafts"
DRAFT_SECONDS = 24 * 3600
# Never a kind that a browser would open, should somebody reach the store itself.
CONTENT_TYPE = "application/octet-stream"


class Trouble(Enum):
    MISSING = "missing"
    NO_BUCKET = "no bucket"
    REFUSED = "refused"
    CHANGED = "changed"
    AWAY = "away"
    UNKNOWN = "unknown"

    @property
    def sentence(self) -> str:
        if self is Trouble.NO_BUCKET:
            return _("The bucket of the file store does not exist. Ask an administrator to check FILES_URL.")
        if self is Trouble.REFUSED:
            return _("The file store refuses the console. Ask an administrator to check FILES_URL and its credentials.")
        if self in {Trouble.MISSING, Trouble.CHANGED}:
            return _("A file was changed or removed while it was read. Try again.")
        return _("The file store does not answer. Try again in a moment.")


class Found(NamedTuple):
    """`version` tells the bytes of one write from those of the next."""

    size: int
    version: Any
    modified: Any


class RemoteFiles(ABC):
    """Over a backend of django-storages, which gives the names and the settings. Raises StoreUnavailable, and
    FileNotFoundError for what is not there."""

    is_remote = True
    place: str
    line: Line
    patience: Patience

    @abstractmethod
    def trouble_of(self, error: Exception) -> Trouble: ...

    @abstractmethod
    def look(self, key: str) -> Found: ...

    @abstractmethod
    def fetch(self, key: str, found: Found, start: int, size: int) -> bytes: ...

    @abstractmethod
    def send(self, key: str, content: IO[bytes], size: int) -> None: ...

    @abstractmethod
    def remove(self, key: str) -> None: ...

    @abstractmethod
    def pages(self, prefix: str) -> Iterator[list[Stored]]:
        """By key."""

    @abstractmethod
    def require_bucket(self) -> None:
        """Asks for something of it that is always answered where it exists."""

    @abstractmethod
    def key_of(self, name: str) -> str:
        """With the folder of FILES_URL in front."""

    def ask(self, work: Callable[[], T], seconds: float, what: str) -> T:
        try:
            return self.line.call(work, seconds)
        except Exception as error:
            trouble = self.trouble_of(error)
            if trouble is Trouble.MISSING:
                raise FileNotFoundError(what) from error
            known = trouble is not Trouble.UNKNOWN
            logger.warning("%s: %s: %r", what, trouble.value, error, exc_info=None if known else error)
            raise StoreUnavailable(trouble.sentence) from error

    def stat(self, name: str) -> Found:
        key = self.key_of(name)
        try:
            return self.ask(lambda: self.look(key), self.patience.ask, name)
        except FileNotFoundError:
            self._require_bucket()
            raise

    def _require_bucket(self) -> None:
        try:
            self.ask(self.require_bucket, self.patience.ask, self.place)
        except FileNotFoundError as error:
            logger.warning("%s does not exist", self.place)
            raise StoreUnavailable(Trouble.NO_BUCKET.sentence) from error

    def size(self, name: str) -> int:
        return self.stat(name).size

    def exists(self, name: str) -> bool:
        try:
            self.stat(name)
        except FileNotFoundError:
            return False
        return True

    def _open(self, name: str, mode: str = "rb") -> "File[bytes]":
        reader = Pieces(self, name, self.stat(name))
        return File(io.BufferedReader(reader, PIECE), name)

    def piece(self, name: str, found: Found, start: int, size: int) -> bytes:
        key = self.key_of(name)
        try:
            return self.ask(lambda: self.fetch(key, found, start, size), self.patience.fetch, name)
        except FileNotFoundError as error:
            raise StoreUnavailable(Trouble.MISSING.sentence) from error

    def _save(self, name: str, content: "File[Any]") -> str:
        self._send(name, content, content.size)
        return name

    def take(self, draft: Path, name: str) -> None:
        with draft.open("rb") as content:
            self._send(name, content, draft.stat().st_size)

    def _send(self, name: str, content: Any, size: int) -> None:
        key = self.key_of(name)
        content.seek(0)
        try:
            self.ask(lambda: self.send(key, content, size), self.patience.send, name)
        except FileNotFoundError as error:
            raise StoreUnavailable(Trouble.NO_BUCKET.sentence) from error

    def delete(self, name: str) -> None:
        key = self.key_of(name)
        with suppress(FileNotFoundError):
            self.ask(lambda: self.remove(key), self.patience.ask, name)

    def walk(self, folder: str) -> Iterator[Stored]:
        root = self.key_of("x").removesuffix("x")
        pages = self.pages(f"{root}{folder}/")
        try:
            while (
                page := self.ask(lambda: next(pages, None), self.patience.ask, f"{self.place}/{folder}")
            ) is not None:
                for found in page:
                    yield found._replace(name=found.name.removeprefix(root))
        except FileNotFoundError as error:
            raise StoreUnavailable(Trouble.NO_BUCKET.sentence) from error

    def draft_path(self, name: str) -> Path:
        """On this machine's own disk."""
        folder = Path(settings.DATA_DIR) / DRAFTS
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _forget_drafts(folder)
        return folder / f".{uuid4().hex}.partial"


def _forget_drafts(folder: Path) -> None:
    """Of processes that were killed."""
    for path in folder.glob(".*.partial"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > DRAFT_SECONDS:
                path.unlink()


class Pieces(SeekableReader):
    """A file of the store for a BufferedReader, which holds one piece of it."""

    def __init__(self, files: RemoteFiles, name: str, found: Found) -> None:
        self._files, self._name, self._found = files, name, found
        self._waited = 0.0

    @property
    def size(self) -> int:
        return self._found.size

    def readinto(self, buffer: Any) -> int:
        content = self._next(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self._next(PIECE), b""))

    def _next(self, most: int) -> bytes:
        """The store gives all that was asked for, or the file is not what was looked at."""
        size = min(most, PIECE, self._found.size - self._at)
        if size <= 0:
            return b""
        if self._waited > self._files.patience.read:
            raise StoreUnavailable(Trouble.AWAY.sentence)
        began = time.monotonic()
        content = self._files.piece(self._name, self._found, self._at, size)
        self._waited += time.monotonic() - began
        if len(content) != size:
            raise StoreUnavailable(Trouble.CHANGED.sentence)
        self._at += size
        return content

"""The files that every process of the console shares, by name: "datasets/….jsonl", "pictures/…".

Each function raises `StoreUnavailable`, whose text is a sentence for the person, when the store cannot be used. What is
not there is a FileNotFoundError: the caller knows what the file was and says so.
"""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from django.conf import settings
from django.core.files import File
from django.core.files.storage import storages

from jobs.errors import StoreUnavailable

from .address import place_of
from .names import Stored, check_name

logger = logging.getLogger(__name__)
ALIAS = "files"


def _store() -> Any:
    return storages[ALIAS]


def open_file(name: str) -> IO[bytes]:
    """For reading; it can be moved about in, and holds a few megabytes in memory at most."""
    file: IO[bytes] = _store().open(check_name(name), "rb").file
    return file


def read(name: str) -> bytes:
    with open_file(name) as file:
        return file.read()


def save(name: str, content: bytes) -> None:
    """Whole or not at all, in place of what had the name."""
    _store().save(check_name(name), File(BytesIO(content), name))


@contextmanager
def draft(name: str) -> Iterator[Path]:
    """A file on this machine's disk to be filled and then given to `keep`; gone afterwards."""
    path: Path = _store().draft_path(check_name(name))
    try:
        path.touch(mode=0o600)
        yield path
    finally:
        path.unlink(missing_ok=True)


def scratch() -> IO[bytes]:
    """For what is on its way into a dataset; it has no name, and is gone when it is closed."""
    folder: Path = _store().draft_path("datasets/scratch").parent
    return TemporaryFile(dir=folder)


def keep(path: Path, name: str) -> None:
    """Whole or not at all, in place of what had the name; the draft is not there any more, or not needed."""
    _store().take(path, check_name(name))


def send(path: Path, name: str) -> None:
    """As `keep`, of a file that stays where it is."""
    with path.open("rb") as content:
        _store().save(check_name(name), File(content, name))


def exists(name: str) -> bool:
    return size(name) is not None


def size(name: str) -> int | None:
    """In bytes; None when there is no such file."""
    try:
        return int(_store().size(check_name(name)))
    except FileNotFoundError:
        return None


def delete(name: str) -> None:
    """What is not there need not be deleted."""
    with suppress(FileNotFoundError):
        _store().delete(check_name(name))


def discard(name: str) -> None:
    """As `delete`, when the row is gone already: a store that is away leaves the file to the next sweep."""
    try:
        delete(name)
    except (StoreUnavailable, OSError) as error:
        logger.warning("%s was left where it is, until the next sweep: %s", name, error)


def walk(folder: str) -> Iterator[Stored]:
    """Everything in it and below, in no order."""
    found: Iterator[Stored] = _store().walk(folder)
    return found


@contextmanager
def local_copy(name: str) -> Iterator[Path]:
    """Its path on this machine, for programs that take nothing else. A copy is gone afterwards."""
    store = _store()
    if not store.is_remote:
        path = Path(store.path(check_name(name)))
        if not path.is_file():
            raise FileNotFoundError(name)
        yield path
        return
    with draft(name) as copy:
        with open_file(name) as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target)
        yield copy


def place() -> str:
    """Where the files lie if not in the data directory, such as gs://bucket/folder; else nothing."""
    return place_of(settings.STORAGES[ALIAS])

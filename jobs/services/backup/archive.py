"""The file of a backup: a zip with a manifest that has the size and SHA-256 of each member."""

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import IO, Final, Self

from jobs.errors import JobsError

from .manifest import MANIFEST, UNREADABLE, BackupUnusable, Manifest, read_manifest

CHUNK: Final = 1024 * 1024
# Weights and images do not get smaller; text and databases do.
COMPRESSED: Final = frozenset({".sqlite3", ".copy", ".json", ".jsonl", ".csv", ".log", ""})


class BackupFailed(JobsError):
    """A backup was not made, or not put back, and nothing was changed. One sentence with the remedy."""


class Writer:
    def __init__(self, archive: zipfile.ZipFile, manifest: Manifest) -> None:
        self._archive, self.manifest = archive, manifest

    def add(self, name: str, parts: Iterable[bytes]) -> int:
        """The number of bytes. A name that was added before is replaced in the manifest: the last one counts."""
        digest, size = hashlib.sha256(), 0
        with self.open(name) as target:
            for part in parts:
                target.write(part)
                digest.update(part)
                size += len(part)
        self.manifest.members[name] = {"size": size, "sha256": digest.hexdigest()}
        return size

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        info = zipfile.ZipInfo(name)
        info.external_attr = 0o600 << 16
        is_text = PurePosixPath(name).suffix in COMPRESSED
        info.compress_type = zipfile.ZIP_DEFLATED if is_text else zipfile.ZIP_STORED
        with self._archive.open(info, "w", force_zip64=True) as target:
            yield target

    def finish(self) -> None:
        with self.open(MANIFEST) as target:
            target.write(json.dumps(asdict(self.manifest), indent=1).encode())


@contextmanager
def write(path: Path, manifest: Manifest) -> Iterator[Writer]:
    """A whole file for its owner only, or none: it gets its name when it is complete and on the disk."""
    partial = partial_of(path)
    try:
        with _private(partial) as file:
            with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
                writer = Writer(archive, manifest)
                yield writer
                writer.finish()
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, path)
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()


def partial_of(path: Path) -> Path:
    """Where this process writes it until it is complete."""
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def _private(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


class Reader:
    """Of a backup whose members were compared with the manifest, unless `verify` is still to come."""

    def __init__(self, archive: zipfile.ZipFile, manifest: Manifest) -> None:
        self._archive, self.manifest = archive, manifest

    def verify(self, tell: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Reads all of it. Raises BackupUnusable at the first member that is not what was written, and reads no more
        of it than was written."""
        total, done = sum(member["size"] for member in self.manifest.members.values()), 0
        for name, member in self.manifest.members.items():
            digest, size = hashlib.sha256(), 0
            for part in self.parts(name):
                digest.update(part)
                size += len(part)
                if size > member["size"]:
                    break
                tell(done + size, total)
            done += size
            if (size, digest.hexdigest()) != (member["size"], member["sha256"]):
                raise member_error(name, "differs from what was written")

    def parts(self, name: str) -> Iterator[bytes]:
        try:
            with self._archive.open(name) as source:
                while part := source.read(CHUNK):
                    yield part
        except UNREADABLE as error:
            raise member_error(name, "cannot be read") from error

    def extract(self, name: str, path: Path) -> None:
        """It is on the disk then: what it takes the place of is moved aside next."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _private(path) as target:
            for part in self.parts(name):
                target.write(part)
            target.flush()
            os.fsync(target.fileno())

    def names(self, folder: str) -> Iterator[tuple[str, PurePosixPath]]:
        """Members below this folder and their place in it. A place outside of it raises BackupUnusable."""
        for name in self.manifest.members:
            if name.startswith(f"{folder}/"):
                written = name.removeprefix(f"{folder}/")
                place = PurePosixPath(written)
                is_inside = not place.is_absolute() and ".." not in place.parts and place.parts
                if not is_inside or str(place) != written or "\0" in name:
                    raise BackupUnusable(f"The backup contains a path outside its folder ({name!r}). Do not use it.")
                yield name, place

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[Self]:
        try:
            archive = zipfile.ZipFile(path)
        except FileNotFoundError:
            raise BackupUnusable(f"The file {path} does not exist.") from None
        except UNREADABLE as error:
            raise BackupUnusable(f"{path} is not a backup of a console, or it is incomplete ({error}).") from error
        with archive:
            yield cls(archive, read_manifest(archive, path))


def member_error(name: str, how: str) -> BackupUnusable:
    shown = name if name.isprintable() else repr(name)
    return BackupUnusable(f"The backup is damaged: {shown} {how}. Use another backup.")

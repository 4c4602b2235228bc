"""The file of a backup: a zip with a manifest that has the size and SHA-256 of each member."""

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, Self

from jobs.errors import JobsError

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
CHUNK: Final = 1024 * 1024
# Weights and images do not get smaller; text and databases do.
COMPRESSED: Final = frozenset({".sqlite3", ".copy", ".json", ".jsonl", ".csv", ".log", ""})


class BackupUnusable(JobsError):
    """A file that is no backup, is damaged, or does not fit this program. One sentence with the remedy."""


@dataclass
class Manifest:
    """`migrations` are the names applied to the database; `members` holds {"size", "sha256"} by name of the member.
    `files`: where datasets and pictures lie that are not in the backup, such as gs://bucket/folder."""

    version: str
    created: str
    database: str
    migrations: list[tuple[str, str]]
    tables: dict[str, list[str]] = field(default_factory=dict)
    members: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: str = ""
    format: int = FORMAT


class Writer:
    def __init__(self, archive: zipfile.ZipFile, manifest: Manifest) -> None:
        self._archive, self.manifest = archive, manifest

    def add(self, name: str, source: IO[bytes]) -> int:
        """The number of bytes. A name that was added before is replaced in the manifest: the last one counts."""
        digest, size = hashlib.sha256(), 0
        with self.open(name) as target:
            while part := source.read(CHUNK):
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
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
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


def _private(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


class Reader:
    """Of a backup whose members were compared with the manifest, unless `verify` is still to come."""

    def __init__(self, archive: zipfile.ZipFile, manifest: Manifest) -> None:
        self._archive, self.manifest = archive, manifest

    def verify(self, tell: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Reads all of it. Raises BackupUnusable at the first member that is not what was written."""
        total, done = sum(member["size"] for member in self.manifest.members.values()), 0
        for name, member in self.manifest.members.items():
            digest, size = hashlib.sha256(), 0
            for part in self.parts(name):
                digest.update(part)
                size += len(part)
                tell(done + size, total)
            done += size
            if (size, digest.hexdigest()) != (member["size"], member["sha256"]):
                raise BackupUnusable(f"The backup is damaged: {name} is not what was written. Use another backup.")

    def parts(self, name: str) -> Iterator[bytes]:
        try:
            with self._archive.open(name) as source:
                while part := source.read(CHUNK):
                    yield part
        except (KeyError, zipfile.BadZipFile, OSError, EOFError) as error:
            raise BackupUnusable(f"The backup is damaged: {name} cannot be read. Use another backup.") from error

    def extract(self, name: str, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _private(path) as target:
            for part in self.parts(name):
                target.write(part)

    def names(self, folder: str) -> Iterator[tuple[str, PurePosixPath]]:
        """Members below this folder and their place in it. A place outside of it raises BackupUnusable."""
        for name in self.manifest.members:
            if name.startswith(f"{folder}/"):
                place = PurePosixPath(name.removeprefix(f"{folder}/"))
                if place.is_absolute() or ".." in place.parts or "\0" in name or not place.parts:
                    raise BackupUnusable(f"The backup names a file outside of its folder ({name!r}). Do not use it.")
                yield name, place

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[Self]:
        try:
            archive = zipfile.ZipFile(path)
        except FileNotFoundError:
            raise BackupUnusable(f"There is no file {path}.") from None
        except (zipfile.BadZipFile, OSError) as error:
            raise BackupUnusable(f"{path} is no backup of a console, or it is cut off ({error}).") from error
        with archive:
            yield cls(archive, read_manifest(archive, path))


def read_manifest(archive: zipfile.ZipFile, path: Path) -> Manifest:
    try:
        content = json.loads(archive.read(MANIFEST))
        found = Manifest(**{**content, "migrations": [(app, name) for app, name in content["migrations"]]})
    except (KeyError, TypeError, ValueError, zipfile.BadZipFile):
        raise BackupUnusable(f"{path} is no backup of a console: it has no manifest that can be read.") from None
    if found.format > FORMAT:
        raise BackupUnusable(f"Version {found.version} made this backup, which is newer than this program. Install it.")
    return found

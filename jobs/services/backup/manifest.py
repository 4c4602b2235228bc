"""What a backup says about itself. Anybody can write a zip: nothing in it is taken to be what it should be."""

import json
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from jobs.errors import JobsError

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
# What comes out of a zip that somebody made by hand.
UNREADABLE: Final = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, OSError, EOFError, KeyError, TypeError,
    ValueError, AttributeError, RuntimeError, OverflowError,
)  # fmt: skip
# Of names of tables and migrations, and of each member apart from its name, which JSON may write as six bytes a letter.
ROOM: Final = 1024 * 1024
ROOM_EACH: Final = 200


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


def read_manifest(archive: zipfile.ZipFile, path: Path) -> Manifest:
    """Whose every value has its type. Raises BackupUnusable."""
    try:
        content = json.loads(read_bounded(archive))
        require_fields(content)
        if content.get("format", FORMAT) <= FORMAT:
            return as_manifest(content)
    except UNREADABLE:
        raise BackupUnusable(f"{path} is not a backup of a console: it has no readable manifest.") from None
    raise BackupUnusable(
        f"This backup is from version {content['version']}, which is newer than this one. Install that version."
    )


def read_bounded(archive: zipfile.ZipFile) -> bytes:
    """The index of the zip says how much there is to name: what is longer is there to fill the memory."""
    at_most = ROOM + sum(ROOM_EACH + 6 * len(info.filename) for info in archive.infolist())
    info = archive.getinfo(MANIFEST)
    if info.file_size > at_most:
        raise ValueError(info.file_size)
    return archive.read(info)


def require_fields(content: Any) -> None:
    """Those that a newer program's manifest has too. Raises TypeError or ValueError."""
    texts = [content["version"], content["created"], content["database"]]
    require(all(isinstance(text, str) and text.isprintable() for text in texts))
    require(type(content.get("format", FORMAT)) is int)


def as_manifest(content: dict[str, Any]) -> Manifest:
    found = Manifest(**content)
    found.migrations = [(app, name) for app, name in found.migrations]
    require(all(is_text(part) for pair in found.migrations for part in pair))
    require(all(is_text(name) for columns in found.tables.values() for name in columns))
    require(is_text(found.files))
    require(all(isinstance(columns, list) for columns in found.tables.values()))
    for member in found.members.values():
        require(type(member["size"]) is int and member["size"] >= 0 and isinstance(member["sha256"], str))
    return found


def is_text(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


def require(holds: bool) -> None:
    if not holds:
        raise ValueError

"""Files below the data directory, readable by the console's own user only."""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.files import File
from django.core.files.storage import FileSystemStorage

from .names import Stored

PARTIAL = ".partial"


class FolderFiles(FileSystemStorage):
    """A file gets its name when it is whole and on the disk."""

    is_remote = False

    def __init__(self) -> None:
        super().__init__(file_permissions_mode=0o600, directory_permissions_mode=0o700, allow_overwrite=True)

    @property
    def base_location(self) -> str:
        return str(settings.DATA_DIR)

    @property
    def location(self) -> str:
        return os.path.abspath(self.base_location)

    def _save(self, name: str, content: "File[Any]") -> str:
        partial = self.draft_path(name)
        try:
            with partial.open("wb") as target:
                shutil.copyfileobj(content, target)
            self.take(partial, name)
        finally:
            partial.unlink(missing_ok=True)
        return name

    def draft_path(self, name: str) -> Path:
        """On the disk of its later place, so that it can be moved there."""
        folder = Path(self.path(name)).parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder / f".{uuid4().hex}{PARTIAL}"

    def take(self, draft: Path, name: str) -> None:
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.chmod(0o600)
        os.replace(draft, self.path(name))

    def walk(self, folder: str) -> Iterator[Stored]:
        """Also what a process that was killed left half written."""
        for path in Path(self.path(folder)).rglob("*"):
            try:
                found = path.lstat()
            except FileNotFoundError:
                continue
            if path.is_file() and not path.is_symlink():
                name = path.relative_to(self.location).as_posix()
                yield Stored(name, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

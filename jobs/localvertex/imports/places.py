"""Folders of imported models: their names, their size, and how they are emptied, whatever state they are in."""

import json
import os
import re
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from jobs.localvertex.models.catalogue import ID

_NAME = re.compile(r"(?P<publisher>.+?)--(?P<family>.+)--(?P<version>.+)")


def name_folder(id: str) -> str:
    return re.sub(r"[/@]", "--", id)


def parse_name(name: str) -> str:
    """The id that `name_folder` made it of, as no publisher has two hyphens in its name; empty where it made none."""
    found = _NAME.fullmatch(name)
    id = f"{found['publisher']}/{found['family']}@{found['version']}" if found else ""
    return id if ID.fullmatch(id) else ""


def read_object(path: Path) -> dict[str, Any]:
    """Raises OSError, or ValueError with a sentence."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} cannot be read: it is no JSON object.")
    return found


def measure(place: Path) -> int:
    """Bytes of the files below it, which may come and go meanwhile, or of the file or link that it is."""
    if not _is_folder(place):
        return _size(place)
    size = 0
    for folder, _folders, names in os.walk(place):
        size += sum(_size(os.path.join(folder, name)) for name in names)
    return size


def _is_folder(place: Path) -> bool:
    """And not a link to one: what it leads to is somebody else's."""
    return os.path.isdir(place) and not os.path.islink(place)


def _size(path: str | Path) -> int:
    with suppress(OSError):
        return os.lstat(path).st_size
    return 0


def delete(place: Path) -> None:
    """As far as that can be."""
    empty(place)
    with suppress(OSError):
        place.rmdir()


def empty(place: Path, kept: str = "") -> None:
    """Except the file `kept` right in it. What cannot be deleted stays; where there was no folder, there is one now."""
    if not _is_folder(place):
        with suppress(OSError):
            place.unlink(missing_ok=True)
            place.mkdir()
        return
    _open_folders(place)
    for path in _list(place):
        if _is_folder(path):
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != kept:
            with suppress(OSError):
                path.unlink()


def _list(folder: Path) -> list[Path]:
    """Nothing where only its owner may look."""
    with suppress(OSError):
        return list(folder.iterdir())
    return []


def _open_folders(place: Path) -> None:
    """Nothing is deleted from a folder that can only be read."""
    _allow(place)
    for folder, names, _files in os.walk(place):
        for name in names:
            _allow(Path(folder, name))


def _allow(folder: Path) -> None:
    with suppress(OSError):
        if not folder.is_symlink():
            folder.chmod(folder.stat().st_mode | stat.S_IRWXU)

"""Models that lie on the machine of this server: in a folder, or in one GGUF file."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENAMETOOLONG, ENOENT
from pathlib import Path
from typing import IO, Any

from jobs.localvertex.api.errors import ApiError, precondition

from .hub import READ, Tell
from .listing import MAX_FILES, MAX_SETTINGS, Listing, RemoteFile, keep_top
from .source import LocalFiles

PIECE = 4 * 2**20
NOT_THERE = (ENOENT, ENAMETOOLONG)


def list_folder(source: LocalFiles) -> Listing:
    """Raises ApiError for what leads out of the folder, is no plain file, or cannot be read."""
    with _explain_errors(source.path):
        names = _names(source.path)
        files = tuple(one for name in names if (one := _look(source.path, name)) is not None)
    texts: dict[str, Any] = {}
    for one in files:
        if one.name in READ and one.size <= MAX_SETTINGS:
            with open_file(source, one) as file:
                texts[one.name] = file.read(MAX_SETTINGS)
    told = "\n".join(f"{one.name} {one.stamp}" for one in files)
    return Listing(source.title, hashlib.sha256(told.encode()).hexdigest()[:40], keep_top(files), texts=texts)


def copy_file(source: LocalFiles, one: RemoteFile, target: Path, tell: Tell) -> None:
    """From the beginning: what was copied before may be of another state of the folder."""
    with open_file(source, one) as file, target.open("wb") as copy:
        while part := file.read(PIECE):
            if copy.tell() + len(part) > one.size:
                raise _refuse_change(source.path / one.name)
            copy.write(part)
            tell(len(part))
        if copy.tell() != one.size or stamp_of(os.fstat(file.fileno())) != one.stamp:
            raise _refuse_change(source.path / one.name)


@contextmanager
def open_file(source: LocalFiles, one: RemoteFile) -> Iterator[IO[bytes]]:
    """Waits for no pipe and follows no link at the end of the path."""
    path = source.path if source.path.is_file() else source.path / one.name
    with _explain_errors(path):
        found = os.open(path.resolve(strict=True), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(found, "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode) or stamp_of(about) != one.stamp:
                raise _refuse_change(path)
            yield file


def stamp_of(about: os.stat_result) -> str:
    return f"{about.st_ino} {about.st_size} {about.st_mtime_ns} {about.st_ctime_ns}"


def _names(path: Path) -> list[str]:
    if path.suffix == ".gguf" and path.is_file():
        return [path.name]
    if path.is_file():
        raise precondition(f"{path} is no GGUF file. Enter the path of a folder with a model, or of a GGUF file.")
    names = sorted(os.listdir(path))
    if len(names) > MAX_FILES:
        raise precondition(
            f"{path} has {len(names)} files, more than {MAX_FILES}. No model needs so many. Choose another one."
        )
    return names


def _look(folder: Path, name: str) -> RemoteFile | None:
    """Links are followed within the folder; folders are left out."""
    root = folder if folder.is_dir() else folder.parent
    path = (root / name).resolve(strict=True)
    if not path.is_relative_to(root.resolve()):
        raise precondition(
            f"{root / name} is a link out of the folder. Copy the folder with its files (cp -rL) and import the copy."
        )
    about = path.stat()
    if stat.S_ISDIR(about.st_mode):
        return None
    if not stat.S_ISREG(about.st_mode):
        raise precondition(f"{root / name} is no plain file. Remove it from the folder.")
    return RemoteFile(name, about.st_size, stamp=stamp_of(about))


@contextmanager
def _explain_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError:
        raise precondition(f"The local Vertex AI may not read {path}. Let its user read it.") from None
    except (NotADirectoryError, RuntimeError):
        raise precondition(f"{path} is neither a folder nor a GGUF file. Check the path.") from None
    except OSError as error:
        if error.errno not in NOT_THERE:
            raise
        raise ApiError(
            "NOT_FOUND", f"{path} is not there, on the machine of the local Vertex AI. Check the path."
        ) from None


def _refuse_change(path: Path) -> ApiError:
    return precondition(f"{path} changed while it was read. Try again once nothing writes there any more.")

"""The data directory: whose it is to read, and what is said when it cannot be used."""

import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from django.core.exceptions import ImproperlyConfigured

PRIVATE_UMASK: Final = 0o077
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
# What the console keeps there; anything else in the folder is somebody's own.
KEPT: Final = (
    "beat-schedule*", "cache", "console.sqlite3*", "datasets", "localvertex", "logs", "pictures", "run", "secret-key",
    "static", "storage",
)  # fmt: skip
# What a restore leaves that was interrupted while files changed places.
INTERRUPTED: Final = "before-restore-*-unfinished"
MEGABYTE: Final = 1024 * 1024
ROOM_TO_START: Final = 32 * MEGABYTE


def open_data_dir(folder: Path) -> None:
    """From here on, whatever this process and its children write is for their own user only."""
    os.umask(PRIVATE_UMASK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if is_ours_alone(folder):
            close_to_others(folder)
    except OSError as error:
        raise unusable(folder, error) from None


def unusable(path: Path, error: OSError) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"{path} cannot be used: {error.strerror or error}. Make the user who runs the console the owner of the data "
        f"directory (chown -R {os.geteuid()}), mount it as writable, or specify another folder in CONSOLE_DATA_DIR."
    )


def is_ours_alone(folder: Path) -> bool:
    """Not /tmp, a home or the like, which someone named in haste: others have things there."""
    found = folder.stat()
    shared = found.st_mode & stat.S_ISVTX or str(folder) in ("/", os.path.expanduser("~"))
    return found.st_uid == os.geteuid() and not shared


def close_to_others(path: Path) -> None:
    """What is somebody else's stays as it is."""
    found = path.lstat()
    if found.st_mode & OTHERS and not stat.S_ISLNK(found.st_mode):
        with suppress(PermissionError):
            path.chmod(stat.S_IMODE(found.st_mode) & ~OTHERS)


def close_all_to_others(folder: Path) -> None:
    """Files of a time when the console did not look after this. A tree whose top is closed is taken to be so inside."""
    if not is_ours_alone(folder):
        return
    for top in find_kept(folder):
        inside = [top, *top.iterdir()] if top.is_dir() and not top.is_symlink() else [top]
        if any(path.lstat().st_mode & OTHERS for path in inside if not path.is_symlink()):
            for path in (top, *top.rglob("*")):
                with suppress(FileNotFoundError):
                    close_to_others(path)


def find_kept(folder: Path) -> Iterator[Path]:
    for name in KEPT:
        yield from folder.glob(name)


def why_not_start(folder: Path) -> str:
    """A sentence, or nothing. By looking: a start that fails half way leaves more behind."""
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return (
            f"The data directory {folder} is not writable. Mount it as writable, make the user who runs the "
            f"console its owner (chown -R {os.geteuid()} {folder}), or specify another folder with --data-dir."
        )
    foreign = next((path for path in find_kept(folder) if not os.access(path, os.R_OK | os.W_OK)), None)
    if foreign:
        return (
            f"{foreign} is not writable for this user. Start the console as the user who owns it, or make this user "
            f"the owner: chown -R {os.geteuid()} {folder}"
        )
    free = shutil.disk_usage(folder).free
    if free < ROOM_TO_START:
        return (
            f"The disk of {folder} is full: {free // MEGABYTE} MB are free, {ROOM_TO_START // MEGABYTE} MB are needed "
            "to start. Free up disk space, then start again. No data is lost."
        )
    if any(folder.glob(INTERRUPTED)):
        return f"A restore into {folder} was interrupted. Run `manage.py restore` with that backup again, then start."
    return ""


def load_secret(path: Path) -> str:
    """The same key at every start: made once, readable by the owner only."""
    try:
        if not path.exists():
            make_secret(path)
        return path.read_text()
    except OSError as error:
        raise unusable(path, error) from None


def make_secret(path: Path) -> None:
    partial = path.with_suffix(f".{os.getpid()}")
    try:
        partial.touch(mode=0o600)
        partial.write_text(secrets.token_urlsafe(48))
        os.link(partial, path)
    except FileExistsError:
        pass
    finally:
        partial.unlink(missing_ok=True)

"""gcp-storage-emulator's store on disk, in which a change is made as a whole or not at all."""

import errno
import mmap
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gcp_storage_emulator import settings, storage
from gcp_storage_emulator.handlers.buckets import create_bucket

SPARE = "_changing"  # No bucket's name begins with an underscore.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def open_storage(data_dir: Path, bucket: str | None = None) -> "Storage":
    opened = Storage(data_dir)
    if bucket:
        with opened.change():
            create_bucket(bucket, opened)
    return opened


class Storage(storage.Storage):  # type: ignore[misc]
    """`lock` is held by who reads or changes it: the index is one dictionary, and one file. `is_read_in_parts` is said
    by who holds it: what `get_file` gives is then good for slices only."""

    is_read_in_parts = False

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir=str(data_dir))
        self.lock = threading.RLock()
        self._store = Files(data_dir / settings.STORAGE_DIR)
        with self.change():
            self._purge_expired_soft_deletes()

    @contextmanager
    def change(self) -> Iterator[None]:
        """One request's work: whatever it raises, files and index are as they were."""
        with self.lock:
            try:
                yield
            except BaseException:
                self._store.put_back()
                self._read_config_from_file()
                raise
            self._store.let_go()

    def get_file(self, bucket_name: str, file_name: str, show_error: bool = True) -> Any:
        """Whoever wants a part is given that part, and nothing else is read."""
        path = self._store._disk_path(self._object_path(bucket_name, file_name))
        if not self.is_read_in_parts or not path.is_file() or not path.stat().st_size:
            return super().get_file(bucket_name, file_name, show_error)
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def _bucket_soft_delete_retention_seconds(self, bucket_name: str) -> int:
        """What is deleted is gone, and makes room: a laptop's disk is small, and nothing here would restore it."""
        return 0


class Files(storage._FileStore):  # type: ignore[misc]
    """Remembers what was there before, until `let_go` or `put_back`."""

    def __init__(self, root: Path) -> None:
        super().__init__(use_memory=False, root=root)
        self._spare = root / SPARE
        shutil.rmtree(self._spare, ignore_errors=True)
        self._before: list[tuple[Path, Path | None]] = []
        self._kept = 0

    def write_bytes(self, rel: str, content: bytes) -> None:
        path = self._disk_path(rel)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._spare_name()
        try:
            self._write(partial, content)
            self._keep(path)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def remove_file(self, rel: str) -> None:
        path = self._disk_path(rel)
        if not path.is_file():
            raise FileNotFoundError(rel)
        self._set_aside(path)

    def remove_tree(self, rel: str) -> None:
        path = self._disk_path(rel)
        if not path.exists():
            raise FileNotFoundError(rel)
        self._set_aside(path)

    def let_go(self) -> None:
        for _path, kept in self._before:
            _remove(kept)
        self._before.clear()

    def put_back(self) -> None:
        for path, kept in reversed(self._before):
            if kept is not None:
                kept.replace(path)
            else:
                path.unlink(missing_ok=True)
        self._before.clear()

    def _write(self, partial: Path, content: bytes) -> None:
        try:
            partial.write_bytes(content)
        except OSError as error:
            if error.errno not in FULL or not self._make_room():
                raise
            partial.write_bytes(content)

    def _make_room(self) -> bool:
        """What is being deleted is let go at once when the disk is full: else nothing could be deleted there."""
        removed = [(path, kept) for path, kept in self._before if kept is not None and not path.exists()]
        for pair in removed:
            _remove(pair[1])
            self._before.remove(pair)
        return bool(removed)

    def _keep(self, path: Path) -> None:
        kept: Path | None = None
        if path.exists():
            kept = self._spare_name()
            try:
                kept.hardlink_to(path)
            except OSError:  # Not every file system has links.
                path.rename(kept)
        self._before.append((path, kept))

    def _set_aside(self, path: Path) -> None:
        kept = self._spare_name()
        path.rename(kept)
        self._before.append((path, kept))

    def _spare_name(self) -> Path:
        self._spare.mkdir(exist_ok=True)
        self._kept += 1
        return self._spare / str(self._kept)


def _remove(kept: Path | None) -> Any:
    if kept is not None and kept.is_dir():
        shutil.rmtree(kept, ignore_errors=True)
    elif kept is not None:
        kept.unlink(missing_ok=True)

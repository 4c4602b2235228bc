"""From the data directory into the store that FILES_URL names, for a console that grows out of one machine."""

from collections.abc import Iterator
from pathlib import Path

from . import store
from .folder import PARTIAL, FolderFiles

FOLDERS = ("datasets", "dataset-images", "pictures")


def copy_from_folder() -> Iterator[tuple[str, bool]]:
    """Each file's name, and whether it was copied now: one of that size that is there already is left alone. The folder
    keeps its files. Raises StoreUnavailable; what was copied until then counts when it is called again."""
    source = FolderFiles()
    for folder in FOLDERS:
        for found in sorted(source.walk(folder)):
            if not found.name.endswith(PARTIAL):
                is_there = store.size(found.name) == found.size
                if not is_there:
                    store.send(Path(source.path(found.name)), found.name)
                yield found.name, not is_there

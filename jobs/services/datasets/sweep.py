"""Takes away files of datasets that no row names: of an upload that was killed, or deleted while the store was away."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import islice
from pathlib import PurePosixPath
from uuid import UUID

from jobs.files import store
from jobs.models import Dataset
from jobs.services.storage.file_owner import may_sweep

# A file is there before its row; no upload takes so long.
KEPT = timedelta(days=1)
LOOKED_UP_AT_ONCE = 500
HALF_WRITTEN = ".partial"


def prune(now: datetime) -> None:
    """What has no name that the console would give stays: it is somebody's own."""
    if not may_sweep():
        return
    old = (found.name for found in store.walk("datasets") if found.modified < now - KEPT)
    while names := list(islice(old, LOOKED_UP_AT_ONCE)):
        for name in _orphans(names):
            store.discard(name)


def _orphans(names: Iterable[str]) -> list[str]:
    ids = {name: pk for name in names if (pk := _id_of(name))}
    known = set(Dataset.objects.filter(pk__in=ids.values()).values_list("pk", flat=True))
    half_written = [name for name in names if name.endswith(HALF_WRITTEN)]
    return half_written + [name for name, pk in ids.items() if pk not in known]


def _id_of(name: str) -> UUID | None:
    try:
        return UUID(PurePosixPath(name).name.partition(".")[0])
    except ValueError:
        return None

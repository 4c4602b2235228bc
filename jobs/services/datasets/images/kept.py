"""The files of images in the file store."""

from datetime import datetime, timedelta
from itertools import islice

from jobs.files import store
from jobs.models import DatasetImage
from jobs.services.image_files.image_file import CleanImage
from jobs.services.storage.file_owner import may_sweep

from . import places

# A file is there before the rows that name it; no upload takes so long.
KEPT = timedelta(days=1)
LOOKED_UP_AT_ONCE = 500


def read(owner_id: int, file: str) -> bytes:
    """Of one that a dataset of this person has. Raises FileNotFoundError."""
    named = DatasetImage.objects.filter(dataset__owner_id=owner_id, file=file)
    if not places.is_file(file) or not named.exists():
        raise FileNotFoundError(file)
    return store.read(places.stored_name(owner_id, file))


def save(owner_id: int, image: CleanImage, digest: str) -> str:
    """Also where there is one: it counts as new then, for the sweep."""
    file = f"{digest}.{places.ENDINGS[image.content_type]}"
    store.save(places.stored_name(owner_id, file), image.content)
    return file


def prune(now: datetime) -> None:
    """Takes away what no dataset of its owner names any more."""
    if not may_sweep():
        return
    old = (found.name for found in store.walk(places.FOLDER) if found.modified < now - KEPT)
    while names := list(islice(old, LOOKED_UP_AT_ONCE)):
        files = [name.rpartition("/")[2] for name in names]
        rows = DatasetImage.objects.filter(file__in=files).values_list("dataset__owner_id", "file").distinct()
        known = {places.stored_name(owner, file) for owner, file in rows}
        for name in names:
            if name not in known and places.is_file(name.rpartition("/")[2]):
                store.discard(name)

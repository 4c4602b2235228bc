"""Forms of a model that don't lie in the folder of its job: made here, into the file store."""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings

from jobs import shortages
from jobs.files import store
from jobs.models import Takeaway, TakeawayForm

from . import engine, gguf, merging

SCRATCH, STORED = "cache/takeaways", "takeaways"
_one_at_a_time = threading.Lock()


class Busy(Exception):
    """Something else is being made in this process."""


def forget_scratch() -> None:
    """Older than anything that is still being made."""
    for place in (Path(settings.DATA_DIR) / SCRATCH).glob("*"):
        if time.time() - place.stat().st_mtime > 2 * engine.LONGEST_SECONDS:
            shutil.rmtree(place, ignore_errors=True)


def is_made(row: Takeaway) -> bool:
    """Or was: its files then lie in the file store."""
    return row.is_gguf or (row.form == TakeawayForm.MERGED and merging.is_adapter(row.files))


def make(row: Takeaway, tell: Callable[[int], None]) -> list[dict[str, Any]]:
    """The files that take the place of those in `gs://`, in the file store. `tell` gets the bytes fetched and written
    so far, now and then. The copies that it needs are gone afterwards, whatever happens. Raises Busy while another one
    is made."""
    if not _one_at_a_time.acquire(blocking=False):
        raise Busy
    try:
        scratch = Path(settings.DATA_DIR) / SCRATCH
        scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TemporaryDirectory(dir=scratch) as place:
            return _make(row, Path(place), tell)
    finally:
        _one_at_a_time.release()


def _make(row: Takeaway, place: Path, tell: Callable[[int], None]) -> list[dict[str, Any]]:
    if merging.is_adapter(row.files):
        source, done = merging.merge(row, place, tell)
    else:
        source = place / "model"
        whole = sum(one["size"] for one in row.files)
        shortages.require_room(whole + gguf.size_of(row.form, whole, row.job.base_model))
        done = merging.fetch([merging.pin(one) for one in row.files], source, tell)
    made = sorted(source.iterdir())
    if row.is_gguf:
        made = _convert(row, source, place / "model.gguf", lambda more: tell(done + more))
    tell(done + sum(path.stat().st_size for path in made if row.is_gguf))
    return [_keep(row, path, number) for number, path in enumerate(made)]


def _convert(row: Takeaway, source: Path, target: Path, tell: Callable[[int], None]) -> list[Path]:
    arguments = ["convert", str(source), str(target), "--type", gguf.TYPES[TakeawayForm(row.form)]]
    arguments.append(f"--name={row.job.display_name}")
    engine.run(arguments, target.with_suffix(".log"), lambda: tell(_bytes_of(target)))
    return sorted(target.parent.glob("*.gguf"))


def _bytes_of(target: Path) -> int:
    """Of what is being made beside its later name."""
    return sum(path.stat().st_size for path in target.parent.glob(f".{target.name}-*"))


def _keep(row: Takeaway, path: Path, number: int) -> dict[str, Any]:
    size, name = path.stat().st_size, f"{STORED}/{row.pk}.{number}"
    with store.draft(name) as draft:
        path.replace(draft)
        store.keep(draft, name)
    return {"name": path.name, "size": size, "source": name, "version": "", "sha256": ""}

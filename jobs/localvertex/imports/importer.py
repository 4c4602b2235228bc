"""Imports as they go on: in the background, in pieces, and again from where they stopped.

What is here in part is in a folder of its own, which no model is served from. A token stays in memory: after a restart,
whoever asked sends it again.
"""

import logging
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jobs.localvertex.api.errors import ApiError, exists, not_found, precondition, unavailable
from jobs.localvertex.models.base_models import BaseModels
from jobs.localvertex.models.catalogue import Catalogue
from jobs.localvertex.models.conversion import Converter
from jobs.localvertex.shortages import FULL, READ_ONLY, shortage_of

from . import checking, facts, hub
from .folder import copy_file, list_folder
from .journal import DONE, FAILED, ID, INTERRUPTED, PAUSED, RUNNING, Entry, Journal
from .listing import Listing, RemoteFile
from .removal import ListUses, remove
from .shelf import PROJECTOR, WHOLE, Shelf
from .source import LocalFiles, Repository, Source, parse_source

log = logging.getLogger(__name__)
AT_ONCE, MOST = 2, 20
# What passes by itself elsewhere, somebody looks at here.
RESUMED = {
    FULL: "The disk of the local Vertex AI is full. Make room on it, and resume.",
    READ_ONLY: "The disk of the local Vertex AI can only be read. Make it writable, and resume.",
}
FETCHING, CHECKING, CONVERTING = "fetching", "checking", "converting"
# Precision of the file that is made of the weights as they came; a deployment may choose a smaller one.
AS_PUBLISHED = "f16"


class Stopped(Exception):
    """Somebody asked for it, or this program ends."""


@dataclass
class Job:
    """`why`: the state that it stops for; empty while it goes on."""

    entry: Entry
    token: str = ""
    why: str = ""
    is_active: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, count: int) -> None:
        self.entry.done = max(0, self.entry.done + count)
        if self.why:
            raise Stopped


class Imports:
    def __init__(self, data_dir: Path, weights: BaseModels, converter: Converter) -> None:
        """What was imported before is among the `weights` from here on."""
        self._weights, self._converter, self._catalogue = weights, converter, Catalogue([])
        self._folder = data_dir
        self._shelf, self._journal = Shelf(data_dir), Journal(data_dir / "imports")
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="import")
        self._jobs = {entry.id: Job(entry) for entry in self._journal.read_all()}
        self._shelf.load(weights)

    def show_in(self, catalogue: Catalogue) -> None:
        """Where what will be imported appears."""
        self._catalogue = catalogue

    def stop(self) -> None:
        """What is under way goes on after the next start, when it is asked for again."""
        for job in list(self._jobs.values()):
            job.why = job.why or INTERRUPTED
        self._pool.shutdown(wait=False, cancel_futures=True)

    def inspect(self, text: str, revision: str, file: str, token: str) -> dict[str, Any]:
        """Nothing is kept of it."""
        source = parse_source(text, revision)
        listing = _list(source, token)
        plan = facts.draw_up(listing, source, file)
        found = facts.describe(listing, plan, source)
        here = self._shelf.find(source, listing.revision, plan.gguf)
        return found | {
            "free": shutil.disk_usage(self._folder).free,
            "model": here,
            "is_local": isinstance(source, LocalFiles),
        }

    def start(self, id: str, text: str, revision: str, file: str, token: str) -> Entry:
        """Asked for once more, it goes on where it stopped; what is under way or done stays as it is. A model that was
        removed meanwhile is imported again."""
        if not ID.fullmatch(id):
            raise precondition("The id of an import has 8 to 64 small letters, digits and hyphens.")
        source = parse_source(text, revision)
        with self._lock:
            job = self._jobs.get(id)
            if job is not None and (job.is_active or self._is_here(job.entry)):
                if job.why:
                    raise unavailable("The import is being stopped. Try again in a moment.")
                return job.entry
            self._check_others(id, str(source))
            if job is None or (job.entry.source, job.entry.file) != (str(source), file):
                job = Job(Entry(id, str(source), revision, file))
            entry = replace(job.entry, state=RUNNING, message="", model="")
            self._journal.write(entry)  # where the disk is full, nothing else has changed
            job.entry, job.token, job.why, job.is_active = entry, token, "", True
            self._jobs[id] = job
            self._pool.submit(self._run, job, source)
        return job.entry

    def _is_here(self, entry: Entry) -> bool:
        return entry.state == DONE and self._shelf.is_here(entry.model)

    def get(self, id: str) -> Entry:
        return self._find(id).entry

    def _find(self, id: str) -> Job:
        job = self._jobs.get(id)
        if job is None:
            raise not_found(f"The import {id}")
        return job

    def pause(self, id: str) -> Entry:
        """What has ended stays as it is."""
        job = self._find(id)
        with self._lock:
            if job.is_active:
                job.why = PAUSED
            elif job.entry.state == INTERRUPTED:
                job.entry.state = PAUSED
        return job.entry

    def cancel(self, id: str) -> None:
        """Nothing of it stays. The model of one that is done does."""
        with self._lock:
            job = self._jobs.get(id)
            if job is None:
                return
            if job.is_active:
                job.why = FAILED
                return
            self._jobs.pop(id, None)
        self._journal.forget(id)

    def measure(self, model: str) -> int | None:
        """Bytes of the disk that `remove` frees, also none; None of what was not imported."""
        return self._shelf.measure(model)

    def remove(self, model: str, list_uses: ListUses) -> int:
        """Bytes of the disk that this frees. Raises ApiError, with nothing changed, while something uses it, and for
        what was not imported."""
        with self._lock:
            return remove(model, self._shelf, self._weights, self._catalogue, list_uses)

    def look_again(self) -> None:
        """At files that somebody may have damaged, or put back: cheap enough for each list of models. While a model is
        put here or removed, nobody looks."""
        if self._lock.acquire(blocking=False):
            try:
                self._shelf.look_again(self._weights, self._catalogue)
            finally:
                self._lock.release()

    def _check_others(self, id: str, source: str) -> None:
        others = [job.entry for job in self._jobs.values() if job.entry.id != id and job.is_active]
        if any(entry.source == source for entry in others):
            raise exists(f"An import of {source}")
        if len(others) >= MOST:
            raise precondition(f"{MOST} imports are under way. Wait for one of them, or cancel one.")

    def _run(self, job: Job, source: Source) -> None:
        entry, state, message = job.entry, FAILED, ""
        try:
            if job.why:
                raise Stopped
            entry.model = self._import(job, source)
            state = DONE
        except Stopped:
            state = job.why
        except ApiError as error:
            state, message = (
                (job.why or PAUSED, error.message) if error.status == "UNAVAILABLE" else (FAILED, str(error))
            )
        except Exception as error:
            problem = shortage_of(error)
            if not problem:
                log.exception("The import of %s failed", source)
            state = PAUSED if problem else FAILED
            message = RESUMED.get(problem, problem) or "Internal error encountered. See the log of the local Vertex AI."
        self._end(job, state, message)

    def _end(self, job: Job, state: str, message: str) -> None:
        entry = job.entry
        with self._lock:
            is_cancelled = job.why == FAILED
            entry.state, entry.message, entry.stage, job.token, job.is_active = state, message, "", "", False
            if is_cancelled:
                self._jobs.pop(entry.id, None)
        if is_cancelled and state != DONE:
            self._journal.forget(entry.id)
            return
        try:
            if state == DONE:
                self._journal.discard_files(entry.id)
            self._journal.write(entry)
        except OSError as error:
            log.warning("The state of an import could not be written: %s", error)

    def _import(self, job: Job, source: Source) -> str:
        """The id of the model."""
        entry, files = job.entry, self._journal.files_of(job.entry.id)
        listing = _list(source, job.token, entry.commit)
        plan = facts.draw_up(listing, source, entry.file)
        if here := self._shelf.find(source, listing.revision, plan.gguf):
            raise exists(f"The model {here}, with the same files,")
        if listing.revision != entry.commit:
            self._journal.discard_files(entry.id)
            entry.commit, entry.finished = listing.revision, {}
        entry.total, entry.stage = plan.size, FETCHING
        self._journal.write(entry)
        self._require_room(plan.needed, files)
        self._fetch_all(job, source, plan, files)
        try:
            return self._finish(job, source, listing, plan, files)
        except ApiError as error:
            if error.status != "UNAVAILABLE" and not job.why:
                self._journal.discard_files(entry.id)
                entry.finished = {}
            raise

    def _fetch_all(self, job: Job, source: Source, plan: facts.Plan, files: Path) -> None:
        entry = job.entry
        entry.done = 0
        for one in plan.files:
            name = _name_here(one, plan)
            target = files / name
            if entry.finished.get(name) == one.size and target.is_file() and target.stat().st_size == one.size:
                entry.done += one.size
                continue
            partial = files / f"{name}.part"
            if isinstance(source, LocalFiles):
                copy_file(source, one, partial, job.tell)
            else:
                _download(source, entry.commit, one, partial, job)
            partial.rename(target)
            entry.finished[name] = one.size
            self._journal.write(entry)

    def _finish(self, job: Job, source: Source, listing: Listing, plan: facts.Plan, files: Path) -> str:
        entry = job.entry
        entry.stage = CHECKING
        found = checking.check(files, plan, source)
        checking.drop_code(files)
        if not plan.gguf and self._converter.available():
            entry.stage = CONVERTING
            try:
                self._converter.run(files, files / WHOLE, lambda: bool(job.why), AS_PUBLISHED)
            except ApiError:
                if job.why:
                    raise Stopped from None
                raise
            (files / "convert.log").unlink(missing_ok=True)
        if job.why:
            raise Stopped
        with self._lock:
            origin = {"source": str(source), "commit": entry.commit, "file": plan.gguf}
            id = self._shelf.choose_id(source, origin, self._weights)
            folder = self._shelf.put(id, files, origin, checking.make_card(source, listing, plan, found))
            self._shelf.show(id, folder, self._weights, self._catalogue)
        log.info("%s was imported as %s", source, id)
        return id

    def _require_room(self, needed: int, files: Path) -> None:
        here = sum(path.stat().st_size for path in files.glob("*") if path.is_file())
        free = shutil.disk_usage(self._folder).free
        if free < needed - here:
            raise unavailable(
                f"The disk of the local Vertex AI has {free // 2**20:,} MB left, and the import needs"
                f" {(needed - here) // 2**20:,} MB. Make room on it, and resume."
            )


def _download(source: Repository, commit: str, one: RemoteFile, partial: Path, job: Job) -> None:
    counted = job.entry.done
    kept = min(partial.stat().st_size, one.size) if partial.exists() else 0
    job.entry.done = counted + kept
    hub.download(source, commit, one, partial, job.token, job.tell)


def _list(source: Source, token: str, commit: str = "") -> Listing:
    """Of the commit that the first look found, where there was one."""
    if isinstance(source, LocalFiles):
        return list_folder(source)
    return hub.list_repository(Repository(source.name, commit) if commit else source, token)


def _name_here(one: RemoteFile, plan: facts.Plan) -> str:
    if not one.name.lower().endswith(".gguf"):
        return one.name
    return WHOLE if one.name == plan.gguf else PROJECTOR

"""The whole model of a checkpoint that is an adapter: with the weights that it belongs to, which the local Vertex AI
exports, or which lie in the folder of an earlier tuning."""

import json
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

from jobs import shortages
from jobs.errors import NotAllowedNow
from jobs.models import Takeaway, TuningJob
from jobs.services.catalogue.facts import is_known_to_engine
from jobs.services.storage import policies as storage
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway

from . import engine
from .content import PIECE, Content, of_file
from .forms import ADAPTER_CONFIG
from .results import EXPORTS

ADAPTER_WEIGHTS, ORIGIN = "adapter_model.safetensors", "base-model.json"
OF_AN_ADAPTER = (ADAPTER_CONFIG, ADAPTER_WEIGHTS, ORIGIN)
OF_A_MODEL = (".json", ".safetensors", ".jinja", ".model")
PAGE = 500
POLL_SECONDS, TOLD_EVERY = 0.5, 64 * 2**20

File = dict[str, Any]
Tell = Callable[[int], None]


def why_not_merge(job: TuningJob) -> str:
    if not settings.VERTEX_API_ENDPOINT:
        return _(
            "For an earlier checkpoint, Vertex AI keeps only the adapter; it merges only the final model. Download the "
            "adapter: it runs on the base model."
        )
    if not is_known_to_engine(job.base_model):
        return _(
            "Adapters for models of this family are not merged here. Download the adapter: it runs on the base model."
        )
    if engine.is_missing():
        return _(
            "This console is installed without the engine that merges models. Download the adapter: it runs on "
            "the base model."
        )
    return ""


def is_adapter(files: Iterable[Mapping[str, Any]]) -> bool:
    return any(one["name"] == ADAPTER_CONFIG for one in files)


def merge(row: Takeaway, place: Path, tell: Tell) -> tuple[Path, int]:
    """The folder, and the bytes that were fetched and written for it. `place` is a folder of its own; what was fetched
    is gone afterwards. Raises NotAllowedNow, VertexError or StoreUnavailable."""
    adapter, base, out = (place / name for name in ("adapter", "base", "merged"))
    parts = [pin(one) for one in row.files if one["name"] in OF_AN_ADAPTER]
    done = fetch(parts, adapter, tell)
    done += _fetch_base(row, adapter, base, lambda more: tell(done + more))
    names = [f"--name={row.job.display_name}", f"--base-model={row.job.base_model}"]
    log = place / "merge.log"
    engine.run(["merge", str(base), str(adapter), str(out), *names], log, lambda: tell(done + _bytes_of(place)))
    for folder in (adapter, base):
        shutil.rmtree(folder)
    return out, done + sum(path.stat().st_size for path in out.iterdir())


def _bytes_of(place: Path) -> int:
    """Of what is being merged, beside its later name."""
    return sum(path.stat().st_size for path in place.glob(".merged/*"))


def _fetch_base(row: Takeaway, adapter: Path, target: Path, tell: Tell) -> int:
    if folder := _own_base(row, adapter):
        return fetch(_files_of(folder), target, tell)
    exported = f"{row.job.output_uri.rstrip('/')}/{EXPORTS}/{row.pk}"
    try:
        _export(row.job.base_model, exported, lambda: tell(0))
        return fetch(_files_of(exported), target, tell)
    finally:
        _forget_exports(row.job, row)


def _own_base(row: Takeaway, adapter: Path) -> str:
    """The folder of the weights that the adapter was trained on, when they are not the base model's own."""
    try:
        origin = json.loads((adapter / ORIGIN).read_text(encoding="utf-8"))
        base, folder = str(origin["base_model"]), str(origin.get("custom_base_model", ""))
    except FileNotFoundError:
        return ""
    except (ValueError, KeyError, TypeError, AttributeError):
        raise NotAllowedNow(
            _("%s cannot be read, so it's unknown which model the adapter belongs to.") % ORIGIN
        ) from None
    if base != row.job.base_model:
        words = {"base": base[:200], "expected": row.job.base_model}
        raise NotAllowedNow(
            _("The adapter in this folder was trained on %(base)s, but the tuning job uses %(expected)s.") % words
        )
    return storage.check_can_read(row.owner, folder) if folder else ""


def _export(model: str, uri: str, tell: Callable[[], None]) -> None:
    """May be repeated: the same files go to the same names."""
    operation, until = get_gateway().catalogue.export_weights(model, uri), time.monotonic() + engine.LONGEST_SECONDS
    while not (found := get_gateway().deployment.get_operation(operation)).done:
        if time.monotonic() > until:
            raise NotAllowedNow(_("The weights of the base model were not exported within an hour. Try again later."))
        tell()
        time.sleep(POLL_SECONDS)
    if found.error:
        raise NotAllowedNow(_("The weights of the base model could not be exported: %s") % found.error.message[:1000])


def _forget_exports(job: TuningJob, row: Takeaway) -> None:
    """Also those of a worker that was killed, when nobody waits for them any more."""
    folder = f"{job.output_uri.rstrip('/')}/{EXPORTS}"
    bucket = get_gateway().storage
    waiting = {str(pk) for pk in job.takeaways.exclude(pk=row.pk).values_list("pk", flat=True)}
    for name in bucket.list_folder(folder, "", PAGE).folders:
        if name not in waiting:
            for one in bucket.list_folder(f"{folder}/{name}", "", PAGE).objects:
                bucket.delete(f"{folder}/{name}/{one.name}")


def _files_of(folder: str) -> list[File]:
    found = [
        pin({"name": one.name, "size": one.size, "source": f"{folder}/{one.name}"})
        for one in get_gateway().storage.list_folder(folder, "", PAGE).objects
        if one.name.endswith(OF_A_MODEL)
    ]
    if not any(one["name"].endswith(".safetensors") for one in found):
        raise NotAllowedNow(_("%s has no weights that the adapter could be merged with.") % folder)
    shortages.require_room(3 * sum(one["size"] for one in found))
    return found


def pin(file: File) -> File:
    """What is read from here on is the version that is there now, or refused."""
    found = get_gateway().storage.find_object(file["source"])
    if found is None:
        raise NotAllowedNow(_("%s is not there any more. Look at the folder again.") % file["source"])
    return file | {"size": found.size, "version": found.version}


def fetch(files: Iterable[File], folder: Path, tell: Tell) -> int:
    """The bytes."""
    folder.mkdir()
    done = told = 0
    for one in files:
        content = Content([of_file(one)])
        with (folder / Path(one["name"]).name).open("wb") as target:
            while part := content.read(PIECE):
                target.write(part)
                done += len(part)
                if done - told >= TOLD_EVERY:
                    told = done
                    tell(done)
    return done

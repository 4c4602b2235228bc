"""The models that were imported: a folder each, which has its name only when all of it is there and checked."""

import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from jobs.localvertex.api.errors import ApiError, precondition
from jobs.localvertex.engine.families.table import ARCHITECTURES
from jobs.localvertex.models.base_models import BaseModels
from jobs.localvertex.models.catalogue import LOCAL_MACHINE, Catalogue
from jobs.localvertex.models.weights import Weights, from_folder

from .gguf import read_gguf
from .listing import CONFIG
from .source import Source

log = logging.getLogger(__name__)
ORIGIN, CARD = "origin.json", "model-card.json"
WHOLE, PROJECTOR = "model.gguf", "mmproj.gguf"
FIRST_VERSION = 1
REMOVED = "~removed"  # at the end of a folder's name, as no id has it


class Shelf:
    def __init__(self, data_dir: Path) -> None:
        self._folder, self._made = data_dir / "imported", data_dir / "base-models"
        self._quantized = data_dir / "quantized"

    def load(self, weights: BaseModels) -> None:
        """At the start of this program. A folder that was damaged is left out, and the log says why; what a cut-off
        removal left goes."""
        for folder in (self._made, self._quantized, self._folder):
            for left in folder.glob(f"*{REMOVED}/"):
                _empty(left)
        for path in self._origins():
            try:
                weights.add(self._weights(str(_read(path)["id"]), path.parent))
            except (OSError, ValueError, KeyError, TypeError, ApiError) as error:
                log.error("%s is left out: %s", path.parent, error)

    def find(self, source: Source, commit: str, file: str) -> str:
        """The id of the same files, where they are here; empty where not."""
        for path in self._origins():
            try:
                about = _read(path)
            except (OSError, ValueError):
                continue
            if (about.get("source"), about.get("commit"), about.get("file")) == (str(source), commit, file):
                return str(about.get("id", ""))
        return ""

    def _origins(self) -> Iterator[Path]:
        found = sorted(self._folder.glob(f"*/{ORIGIN}"))
        return (path for path in found if not path.parent.name.endswith(REMOVED))

    def choose_id(self, source: Source, origin: Mapping[str, Any], weights: BaseModels) -> str:
        """As Vertex AI numbers the versions of Hugging Face's models. What was removed gets its own number again, which
        no other weights get: adapters name their base by it."""
        number = FIRST_VERSION
        while True:
            id = f"{source.family}@{number:03}"
            if weights.find(id) is None and self._may_get(id, origin):
                return id
            number += 1

    def _may_get(self, id: str, origin: Mapping[str, Any]) -> bool:
        try:
            return _read(self._folder / f"{_folder_name(id)}{REMOVED}" / ORIGIN) == {"id": id, **origin}
        except FileNotFoundError:
            return True
        except (OSError, ValueError):
            return False  # whose it was is not known any more

    def measure(self, id: str) -> int:
        """Bytes of the disk that removing it frees; 0 of what was not imported. Files may come and go meanwhile."""
        return sum(map(_measure, self._folders_of(id))) if self.is_here(id) else 0

    def require(self, id: str) -> None:
        if not self.is_here(id):
            raise precondition(f"{id} was not imported, and only imported models can be removed. Choose one of them.")

    def is_here(self, id: str) -> bool:
        return (self._folder / _folder_name(id) / ORIGIN).is_file()

    def _folders_of(self, id: str) -> list[Path]:
        """What can be made again comes first."""
        made = (self._made / _folder_name(id), self._quantized / id.replace("/", "--"))
        return [*(folder for folder in made if folder.is_dir()), self._folder / _folder_name(id)]

    def remove(self, id: str) -> None:
        """All or nothing: the last rename takes it away, and a restart before that finds it here. Nothing is written,
        so that it works on a full disk. ORIGIN stays: it tells whose number that was."""
        moves = [(folder, folder.with_name(f"{folder.name}{REMOVED}")) for folder in self._folders_of(id)]
        for folder, target in moves:
            shutil.rmtree(target, ignore_errors=True)
            self.move(folder, target)
        for _folder, target in moves:
            _empty(target)

    def move(self, folder: Path, target: Path) -> None:
        os.rename(folder, target)

    def put(self, id: str, files: Path, origin: Mapping[str, Any], card: Mapping[str, Any]) -> Path:
        """All or nothing: the folder gets its name here when everything is in it."""
        (files / CARD).write_text(json.dumps(card, ensure_ascii=False, indent=1), encoding="utf-8")
        (files / ORIGIN).write_text(json.dumps({"id": id, **origin}), encoding="utf-8")
        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._folder / _folder_name(id)
        os.rename(files, target)
        return target

    def read_weights(self, id: str) -> Weights:
        return self._weights(id, self._folder / _folder_name(id))

    def show(self, id: str, folder: Path, weights: BaseModels, catalogue: Catalogue) -> None:
        """From here on it can be deployed and tuned."""
        here = self._weights(id, folder)
        catalogue.add(id, here.card, tunable=here.can_train, images=here.images)
        catalogue.with_machine(id, LOCAL_MACHINE)
        weights.add(here)
        weights.prepare_soon(here)

    def _weights(self, id: str, folder: Path) -> Weights:
        """A GGUF file alone is made ready for tuning where its architecture is a known family's."""
        made = self._made / _folder_name(id)
        here = from_folder(id, folder, made)
        if (folder / CONFIG).is_file() or read_gguf(folder / WHOLE).architecture not in ARCHITECTURES:
            return here
        return Weights(id, made / "hf", folder / WHOLE, here.mmproj, card=here.card)


def _measure(folder: Path) -> int:
    size = 0
    for place, _folders, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                size += os.lstat(os.path.join(place, name)).st_size
    return size


def _empty(folder: Path) -> None:
    """Except ORIGIN. What is in the way now goes at the next start."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != ORIGIN:
                path.unlink()
        if not (folder / ORIGIN).exists():
            folder.rmdir()


def _folder_name(id: str) -> str:
    return re.sub(r"[/@]", "--", id)


def _read(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8"))
    return found if isinstance(found, dict) else {}

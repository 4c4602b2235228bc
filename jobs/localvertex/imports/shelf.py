"""The models that were imported: a folder each, which has its name only when all of it is there and checked."""

import json
import logging
import os
import re
import shutil
from collections.abc import Mapping
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


class Shelf:
    def __init__(self, data_dir: Path) -> None:
        self._folder, self._made = data_dir / "imported", data_dir / "base-models"
        self._quantized, self._removed = data_dir / "quantized", data_dir / "removed-models"

    def load(self, weights: BaseModels) -> None:
        """At the start of this program. A folder that was damaged is left out, and the log says why; what a cut-off
        removal left goes."""
        for left in self._removed.glob("*/"):
            shutil.rmtree(left, ignore_errors=True)
        for path in sorted(self._folder.glob(f"*/{ORIGIN}")):
            try:
                weights.add(self._weights(str(_read(path)["id"]), path.parent))
            except (OSError, ValueError, KeyError, TypeError, ApiError) as error:
                log.error("%s is left out: %s", path.parent, error)

    def find(self, source: Source, commit: str, file: str) -> str:
        """The id of the same files, where they are here; empty where not."""
        for path in sorted(self._folder.glob(f"*/{ORIGIN}")):
            try:
                about = _read(path)
            except (OSError, ValueError):
                continue
            if (about.get("source"), about.get("commit"), about.get("file")) == (str(source), commit, file):
                return str(about.get("id", ""))
        return ""

    def choose_id(self, source: Source, origin: Mapping[str, Any], weights: BaseModels) -> str:
        """As Vertex AI numbers the versions of Hugging Face's models. What was removed gets its own number again, which
        no other weights get: adapters name their base by it."""
        number = FIRST_VERSION
        while True:
            id = f"{source.family}@{number:03}"
            if weights.find(id) is None and self._find_removed(id) in ({}, {"id": id, **origin}):
                return id
            number += 1

    def _find_removed(self, id: str) -> dict[str, Any]:
        try:
            return _read(self._removed / f"{_folder_name(id)}.json")
        except (OSError, ValueError):
            return {}

    def measure(self, id: str) -> int:
        """Bytes of the disk that removing it frees. Raises ApiError for what was not imported."""
        return sum(
            path.stat().st_size for folder in self._folders_of(id) for path in folder.rglob("*") if path.is_file()
        )

    def is_here(self, id: str) -> bool:
        return (self._folder / _folder_name(id) / ORIGIN).is_file()

    def _folders_of(self, id: str) -> list[Path]:
        """What can be made again comes first."""
        if not self.is_here(id):
            raise precondition(f"{id} was not imported, and only imported models can be removed. Choose one of them.")
        made = (self._made / _folder_name(id), self._quantized / id.replace("/", "--"))
        return [*(folder for folder in made if folder.is_dir()), self._folder / _folder_name(id)]

    def remove(self, id: str) -> None:
        """All or nothing: the last rename takes it away, and a restart before that finds it here."""
        folders, grave = self._folders_of(id), self._removed / _folder_name(id)
        shutil.rmtree(grave, ignore_errors=True)
        grave.mkdir(parents=True)
        note = grave.with_name(f"{grave.name}.json")
        shutil.copyfile(self._folder / _folder_name(id) / ORIGIN, note)
        for number, folder in enumerate(folders):
            self.move(folder, grave / str(number))
        shutil.rmtree(grave, ignore_errors=True)

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


def _folder_name(id: str) -> str:
    return re.sub(r"[/@]", "--", id)


def _read(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8"))
    return found if isinstance(found, dict) else {}

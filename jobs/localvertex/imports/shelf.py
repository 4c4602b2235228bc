"""The models that were imported: a folder each, which has its name only when all of it is there and checked."""

import json
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.localvertex.api.errors import ApiError
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

    def load(self, weights: BaseModels) -> None:
        """At the start of this program. A folder that was damaged is left out, and the log says why."""
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

    def choose_id(self, source: Source, weights: BaseModels) -> str:
        """As Vertex AI numbers the versions of Hugging Face's models."""
        number = FIRST_VERSION
        while weights.find(f"{source.family}@{number:03}") is not None:
            number += 1
        return f"{source.family}@{number:03}"

    def put(self, id: str, files: Path, origin: Mapping[str, Any], card: Mapping[str, Any]) -> Path:
        """All or nothing: the folder gets its name here when everything is in it."""
        (files / CARD).write_text(json.dumps(card, ensure_ascii=False, indent=1), encoding="utf-8")
        (files / ORIGIN).write_text(json.dumps({"id": id, **origin}), encoding="utf-8")
        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._folder / re.sub(r"[/@]", "--", id)
        os.rename(files, target)
        return target

    def show(self, id: str, folder: Path, weights: BaseModels, catalogue: Catalogue) -> None:
        """From here on it can be deployed and tuned."""
        here = self._weights(id, folder)
        catalogue.add(id, here.card, tunable=here.can_train, images=here.images)
        catalogue.with_machine(id, LOCAL_MACHINE)
        weights.add(here)
        weights.prepare_soon(here)

    def _weights(self, id: str, folder: Path) -> Weights:
        """A GGUF file alone is made ready for tuning where its architecture is a known family's."""
        made = self._made / re.sub(r"[/@]", "--", id)
        here = from_folder(id, folder, made)
        if (folder / CONFIG).is_file() or read_gguf(folder / WHOLE).architecture not in ARCHITECTURES:
            return here
        return Weights(id, made / "hf", folder / WHOLE, here.mmproj, card=here.card)


def _read(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8"))
    return found if isinstance(found, dict) else {}

"""The models that were imported: a folder each, which has its name only when all of it is there and checked."""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

from jobs.localvertex.api.errors import ApiError, precondition
from jobs.localvertex.engine.families.table import ARCHITECTURES
from jobs.localvertex.models.base_models import BaseModels
from jobs.localvertex.models.catalogue import LOCAL_MACHINE, Catalogue
from jobs.localvertex.models.weights import Weights, from_folder

from .damage import Stamp, find_damage, list_sizes, read_stamp
from .gguf import read_gguf
from .listing import CONFIG
from .places import delete, empty, measure, name_folder, parse_name, read_object
from .source import Source

log = logging.getLogger(__name__)
ORIGIN, CARD = "origin.json", "model-card.json"
WHOLE, PROJECTOR = "model.gguf", "mmproj.gguf"
SIZES = "sizes"  # of the weights, in ORIGIN
FIRST_VERSION = 1
REMOVED = "~removed"  # at the end of a folder's name, as no id has it


class Shelf:
    def __init__(self, data_dir: Path) -> None:
        self._folder, self._made = data_dir / "imported", data_dir / "base-models"
        self._quantized = data_dir / "quantized"
        self._known: dict[str, Stamp] = {}  # also those whose folder somebody deleted meanwhile

    def load(self, weights: BaseModels) -> None:
        """At the start of this program. What a cut-off removal left goes."""
        for folder in (self._made, self._quantized):
            for left in folder.glob(f"*{REMOVED}"):
                delete(left)
        for left in self._folder.glob(f"*{REMOVED}"):
            empty(left, ORIGIN)
        for id in self._list_ids():
            self._known[id] = read_stamp(self._place(id))
            weights.add(self.read_weights(id))

    def look_again(self, weights: BaseModels, catalogue: Catalogue) -> None:
        """At all whose files somebody changed since: what was damaged is told, and so is what is whole again."""
        for id, before in list(self._known.items()):
            stamp, mine = read_stamp(self._place(id)), weights.find(id)
            if stamp != before and mine is not None and mine.state != "preparing":
                self._known[id] = stamp
                self._offer(self.read_weights(id), weights, catalogue)

    def find(self, source: Source, commit: str, file: str) -> str:
        """The id of the same files, where they are here; empty where not."""
        for id in self._list_ids():
            try:
                about = read_object(self._place(id) / ORIGIN)
            except (OSError, ValueError):
                continue
            if (about.get("source"), about.get("commit"), about.get("file")) == (str(source), commit, file):
                return id
        return ""

    def _list_ids(self) -> Iterator[str]:
        """Of what lies here, damaged or not."""
        names = sorted(path.name for path in self._folder.glob("*") if not path.name.endswith(REMOVED))
        return filter(None, map(parse_name, names))

    def _place(self, id: str) -> Path:
        return self._folder / name_folder(id)

    def choose_id(self, source: Source, origin: Mapping[str, Any], weights: BaseModels) -> str:
        """As Vertex AI numbers the versions of Hugging Face's models. What was removed gets its own number again, which
        no other weights get: adapters name their base by it."""
        number = FIRST_VERSION
        while True:
            id = f"{source.family}@{number:03}"
            if weights.find(id) is None and not os.path.lexists(self._place(id)) and self._may_get(id, origin):
                return id
            number += 1

    def _may_get(self, id: str, origin: Mapping[str, Any]) -> bool:
        left = self._folder / f"{name_folder(id)}{REMOVED}"
        try:
            return not os.path.lexists(left) or {"id": id, **origin}.items() <= read_object(left / ORIGIN).items()
        except (OSError, ValueError):
            return False  # whose it was is not known any more

    def measure(self, id: str) -> int | None:
        """Bytes of the disk that removing it frees; None of what was not imported."""
        return sum(map(measure, self._places_of(id))) if self._was_imported(id) else None

    def require(self, id: str) -> None:
        if not self._was_imported(id):
            raise precondition(f"{id} was not imported, and only imported models can be removed. Choose one of them.")

    def _was_imported(self, id: str) -> bool:
        return id in self._known or os.path.lexists(self._place(id))

    def is_here(self, id: str) -> bool:
        return os.path.isfile(self._place(id) / ORIGIN)

    def _places_of(self, id: str) -> list[Path]:
        """What can be made again comes first."""
        places = (self._made / name_folder(id), self._quantized / id.replace("/", "--"), self._place(id))
        return [place for place in places if os.path.lexists(place)]

    def remove(self, id: str) -> int:
        """Bytes of the disk that this frees. All or nothing: the last rename takes it away, and a restart before that
        finds it here. Nothing is written, so that it works on a full disk. ORIGIN stays: it tells whose number that
        was. Where it is gone already, an empty folder says that nobody knows."""
        freed = self.measure(id) or 0
        moves = [(place, place.with_name(f"{place.name}{REMOVED}")) for place in self._places_of(id)]
        for _place, target in moves:
            _clear(target)
        for place, target in moves:
            self.move(place, target)
        self._known.pop(id, None)
        mark = self._folder / f"{name_folder(id)}{REMOVED}"
        for _place, target in moves:
            if target != mark:
                delete(target)
                freed -= _measure_left(target)
        empty(mark, ORIGIN)
        return freed - _measure_left(mark)

    def move(self, place: Path, target: Path) -> None:
        os.rename(place, target)

    def put(self, id: str, files: Path, origin: Mapping[str, Any], card: Mapping[str, Any]) -> Path:
        """All or nothing: the folder gets its name here when everything is in it."""
        (files / CARD).write_text(json.dumps(card, ensure_ascii=False, indent=1), encoding="utf-8")
        about = {"id": id, **origin, SIZES: list_sizes(files)}
        (files / ORIGIN).write_text(json.dumps(about), encoding="utf-8")
        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._place(id)
        os.rename(files, target)
        return target

    def read_weights(self, id: str) -> Weights:
        """Those of a damaged folder can be neither served nor tuned, and say why; they can be served where the GGUF
        file that was made of them is whole."""
        folder = self._place(id)
        try:
            about = read_object(folder / ORIGIN)
            if about.get("id") != id:
                raise ValueError(f"{ORIGIN} is of another model.")
            check_card(id, read_object(folder / CARD))
            here, damage = self._weights(id, folder), find_damage(folder, about.get(SIZES))
            if not damage:
                return here
            if here.servable and WHOLE not in damage:
                return self._make_untunable(here, next(iter(damage.values())))
            raise ValueError(next(iter(damage.values())))
        except OSError as error:
            return self._make_stand_in(id, f"{Path(error.filename or folder).name} cannot be read: {error.strerror}.")
        except ApiError as error:
            return self._make_stand_in(id, error.message)
        except ValueError as error:
            return self._make_stand_in(id, str(error).replace(f"{folder} ", "its folder "))

    def _make_stand_in(self, id: str, why: str) -> Weights:
        log.error("%s is damaged: %s", self._place(id), why)
        message = f"The files of this model are damaged: {why} Remove the model, and import it again."
        none = self._nowhere(id)
        card = {"display_name": id, "summary": message}
        return Weights(id, none, none / WHOLE, state="failed", message=message, card=card)

    def _make_untunable(self, here: Weights, why: str) -> Weights:
        log.error("%s is damaged: %s", self._place(here.id), why)
        message = f"Its files are damaged: {why} It can be deployed, but not tuned. Remove it and import it again."
        card = here.card | {"summary": f"{here.card.get('summary', '')} {message}".strip()}
        none, sampled = self._nowhere(here.id), dict(here.sampling)
        return replace(here, hf=none, state="failed", message=message, card=card, sampled=sampled, is_original=False)

    def _nowhere(self, id: str) -> Path:
        """Where nothing can be, and nobody is kept from looking."""
        return self._folder / f"{name_folder(id)}~none"

    def show(self, id: str, folder: Path, weights: BaseModels, catalogue: Catalogue) -> None:
        """From here on it can be deployed and tuned."""
        here = self._weights(id, folder)
        self._known[id] = read_stamp(folder)
        self._offer(here, weights, catalogue)
        weights.prepare_soon(here)

    def _offer(self, here: Weights, weights: BaseModels, catalogue: Catalogue) -> None:
        """For what can be made of it."""
        catalogue.add(here.id, here.card, tunable=here.can_train, images=here.images)
        if here.can_serve:
            catalogue.with_machine(here.id, LOCAL_MACHINE)
        weights.add(here)

    def _weights(self, id: str, folder: Path) -> Weights:
        """A GGUF file alone is made ready for tuning where its architecture is a known family's."""
        made = self._made / name_folder(id)
        here = from_folder(id, folder, made)
        if (folder / CONFIG).is_file():
            if not here.servable and not here.model_type:
                raise ValueError(f"{CONFIG} cannot be read.")
            return here
        if read_gguf(folder / WHOLE).architecture not in ARCHITECTURES:
            return here
        return Weights(id, made / "hf", folder / WHOLE, here.mmproj, card=here.card)


def check_card(id: str, card: dict[str, Any]) -> None:
    """Raises ValueError for what the catalogue could not show."""
    catalogue = Catalogue([])
    try:
        catalogue.add(id, card)
        model = catalogue.get(id)
        texts = (model.display_name, model.summary, model.parameters, model.weights, *astuple(model.licence)[:2])
        is_whole = type(model.context_tokens) is int and all(isinstance(text, str) for text in texts)
    except (TypeError, ValueError, AttributeError):
        is_whole = False
    if not is_whole:
        raise ValueError(f"{CARD} is not as it was written.")


def _clear(place: Path) -> None:
    """Of what an earlier removal left. Raises ApiError where it stays."""
    delete(place)
    if os.path.lexists(place):
        raise precondition(
            f"{place}, which an earlier removal left, cannot be deleted. Remove it by hand, and then the model."
        )


def _measure_left(place: Path) -> int:
    left = measure(place) - measure(place / ORIGIN)
    if left:
        log.warning("%s could not be deleted: %d bytes are left", place, left)
    return left

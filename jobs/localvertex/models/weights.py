"""The files of a model on this machine, and the user's own models."""

import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.localvertex.engine.families.table import MODEL_TYPES, SEEING, TITLES
from jobs.localvertex.models.sampling import Sampling, read_sampling


@dataclass
class Weights:
    """`hf` is needed to tune, `gguf` to serve; `state` is absent, waiting, preparing, ready or failed. `assemble` makes
    the GGUF file where it comes in parts. `sampled`: as its makers recommend, where no file of it says so.
    `is_original`: `hf` is what the model was published as, and not made from `gguf`."""

    id: str
    hf: Path
    gguf: Path
    mmproj: Path | None = None
    state: str = "waiting"
    message: str = ""
    card: dict[str, Any] = field(default_factory=dict)
    assemble: Callable[[Path], None] | None = None
    sampled: dict[str, float] = field(default_factory=dict)
    is_original: bool = False

    @property
    def servable(self) -> bool:
        return os.path.isfile(self.gguf)  # and where nobody may look, none

    @property
    def trainable(self) -> bool:
        return os.path.isfile(self.hf / "config.json") and self.is_known

    @property
    def model_type(self) -> str:
        """Of the Hugging Face files; empty where they tell none."""
        return str(self._config().get("model_type", ""))

    @property
    def is_known(self) -> bool:
        """Its family is. Files that tell no model type are the engine's to refuse."""
        return self.model_type in ("", *MODEL_TYPES)

    @property
    def can_serve(self) -> bool:
        """Now, or when it has been prepared."""
        return self.servable or self.state != "failed"

    @property
    def can_train(self) -> bool:
        return self.trainable or self.state != "failed"

    @property
    def sampling(self) -> Sampling:
        return read_sampling(self.card.get("sampling") or self.sampled, self.gguf, self.hf)

    def look_for_mmproj(self) -> None:
        """Beside `model.gguf`: a GGUF file of another name is a model by itself."""
        path = self.gguf.with_name("mmproj.gguf")
        if self.gguf.name == "model.gguf" and path.is_file():
            self.mmproj = path

    @property
    def images(self) -> bool:
        """Also before the conversion to GGUF."""
        return self.mmproj is not None or (not self.servable and self._sees())

    def _sees(self) -> bool:
        """A model whose vision tower is converted. Without a model type, the engine finds out."""
        return "vision_config" in self._config() and self.model_type in ("", *SEEING)

    def _config(self) -> dict[str, Any]:
        try:
            config = json.loads((self.hf / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return config if isinstance(config, dict) else {}


def discover(paths: Iterable[Path]) -> dict[str, Path]:
    """`LOCALVERTEX_MODELS`: model folders, folders of such folders, and GGUF files, each with the id it gets.
    Raises ValueError with a sentence for what is none of these, and for two of one name."""
    found: dict[str, Path] = {}
    for path in paths:
        for place in _models_in(path):
            name = re.sub(r"[^a-z0-9._-]+", "-", place.stem.lower() if place.is_file() else place.name.lower()).strip(
                "-"
            )
            model_id = f"local/{name}@{name}"
            if model_id in found:
                raise ValueError(f"{place} and {found[model_id]} would both be {model_id}. Rename one of them.")
            found[model_id] = place.resolve()
    return found


def _models_in(path: Path) -> list[Path]:
    if path.is_file() and path.suffix == ".gguf":
        return [path]
    if _is_model(path):
        return [path]
    inside = sorted(child for child in path.iterdir() if _is_model(child)) if path.is_dir() else []
    if not inside:
        raise ValueError(f"{path} is neither a GGUF file nor a folder with a model (config.json or a GGUF file) in it.")
    return inside


def _is_model(folder: Path) -> bool:
    return folder.is_dir() and ((folder / "config.json").is_file() or bool(_gguf_files(folder)))


def _gguf_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.gguf") if not path.name.startswith("mmproj"))


def from_folder(model_id: str, place: Path, made: Path) -> Weights:
    """A folder with `model.gguf` (or one GGUF file of any name), Hugging Face files, or both; or a GGUF file.
    `made` is where GGUF files go that are converted from Hugging Face files: never into a folder of somebody else."""
    folder = place.parent if place.is_file() else place
    card = _read_card(folder / "model-card.json") if place.is_dir() else {}
    is_original = place.is_dir() and (place / "config.json").is_file()
    hf = place / "none" if place.is_file() else folder
    weights = Weights(model_id, hf, _gguf_of(place, made), card=card, is_original=is_original)
    weights.look_for_mmproj()
    foreign = not weights.is_known
    if not weights.servable and foreign:
        kind = weights.model_type
        raise ValueError(f"{folder} holds a {kind} model. Without a model.gguf, only {TITLES} can be used.")
    if not weights.servable and not weights.trainable:
        raise ValueError(f"{folder} holds neither model.gguf nor config.json: it is no base model.")
    if weights.servable:
        tunable = weights.trainable
        weights.state = "ready" if tunable else "failed"
        why = f"holds a {weights.model_type} model, and only {TITLES}" if foreign else "lacks a config.json, so it"
        weights.message = "" if tunable else f"{place} {why} can{'' if foreign else 'not'} be tuned."
    return weights


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        card = None
    if not isinstance(card, dict):
        raise ValueError(f"{path} cannot be read: it is no JSON object.")
    return card


def _gguf_of(place: Path, made: Path) -> Path:
    if place.is_file():
        return place
    if (place / "model.gguf").is_file():
        return place / "model.gguf"
    files = _gguf_files(place)
    return files[0] if len(files) == 1 else made / "model.gguf"

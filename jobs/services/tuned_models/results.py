"""Where a tuning put its model: the output folder is listed, and the weights are found whatever their folder is called.

Documentation and programs name it differently (`final`, `checkpoint-6`, `checkpoints/5`, a folder with nothing but the
weights), so only what lies in a folder says what it is. Where a folder called `final` has weights, that is the model.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.models import ModelForm, TuningJob
from jobs.services.storage import output_files

from .forms import form_of

# Beside it, of the console's own.
EXPORTS = "takeaways"
ADAPTER_FOLDER = "adapter"

_NUMBER = re.compile(r"(?:.*\D)?(\d{1,9})")


@dataclass(frozen=True)
class Place:
    """`folder` from the output folder on; "" is that folder itself."""

    folder: str
    form: ModelForm

    @property
    def number(self) -> int | None:
        found = _NUMBER.fullmatch(self.folder.rpartition("/")[2])
        return int(found[1]) if found else None


@dataclass(frozen=True)
class Results:
    """`model` None: no weights lie there."""

    model: Place | None
    checkpoints: tuple[Place, ...]


def find_results(job: TuningJob) -> Results:
    """Reads the whole folder, as far as 5,000 files go. Raises VertexError."""
    return sort_out(one.name for one in output_files.walk(job.output_uri))


def sort_out(names: Iterable[str]) -> Results:
    """By the names of all files, from the output folder on. A checkpoint that lies there twice, as another node's or to
    resume from, counts once."""
    places = _places(names)
    by_number: dict[int, Place] = {}
    for one in sorted(places, key=_rank):
        if one.number is not None:
            by_number.setdefault(one.number, one)
    numbered = [by_number[number] for number in sorted(by_number)]
    model = min((one for one in places if one.number is None), key=_rank, default=None)
    return Results(model or (numbered[-1] if numbered else None), tuple(numbered))


def place_checkpoints(job: TuningJob, listed: Sequence[Mapping[str, Any]], found: Results) -> list[dict[str, Any]]:
    """`listed` as `TuningJob.checkpoints`, each with the folder that is its own and what lies there; without a list,
    those that were found. Folders are numbered by steps, by ids, by epochs, or at least in the same order."""
    numbers = {one.number: one for one in found.checkpoints}
    if not listed:
        return [_as_checkpoint(job, number, one) for number, one in enumerate(found.checkpoints, start=1)]
    for key in ("step", "checkpoint_id", "epoch"):
        wanted = [int(one[key]) if str(one[key]).isdecimal() else None for one in listed]
        if len(set(wanted)) == len(wanted) and set(wanted) & set(numbers):
            return [_add_place(one, numbers.get(number)) for one, number in zip(listed, wanted, strict=True)]
    if len(listed) == len(found.checkpoints):
        return [_add_place(one, place) for one, place in zip(listed, found.checkpoints, strict=True)]
    return [dict(one) for one in listed]


def _add_place(checkpoint: Mapping[str, Any], place: Place | None) -> dict[str, Any]:
    return {**checkpoint, "folder": place.folder, "form": str(place.form)} if place else dict(checkpoint)


def _as_checkpoint(job: TuningJob, number: int, place: Place) -> dict[str, Any]:
    step = place.number or 0
    epoch = round(step * job.epochs / job.total_steps) if job.total_steps else 0
    return _add_place({"checkpoint_id": str(number), "epoch": epoch, "step": step}, place)


def _places(names: Iterable[str]) -> list[Place]:
    """An adapter in a folder of its own beside the model that it was merged into is part of that model's folder."""
    folders: dict[str, set[str]] = {}
    for path in names:
        folder, _slash, name = path.rpartition("/")
        if folder.partition("/")[0] != EXPORTS:
            folders.setdefault(folder, set()).add(name)
    forms = {folder: form for folder, files in folders.items() if (form := form_of(files)) != ModelForm.NONE}
    parts = {f"{folder}/{ADAPTER_FOLDER}".lstrip("/") for folder, form in forms.items() if form == ModelForm.WHOLE}
    return [Place(folder, form) for folder, form in sorted(forms.items()) if folder not in parts]


def _rank(place: Place) -> tuple[bool, bool, bool, str]:
    """The first is the model: called final, whole, of the first node. So with checkpoints of the same number."""
    parts = place.folder.split("/")
    is_final = any("final" in part or "merged" in part for part in parts)
    return not is_final, place.form != ModelForm.WHOLE, "node-0" not in parts, place.folder

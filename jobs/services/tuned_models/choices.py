"""What can be had of a job: forms of its model and of its checkpoints, and about how large each is."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.models import GGUF_FORMS, OutputListing, PublisherModel, TakeawayForm, TuningJob

from . import gguf, merging
from .results import EXPORTS

WEIGHTS = (".safetensors", ".bin")
CONVERTED = (TakeawayForm.GGUF_Q4_K_M, TakeawayForm.GGUF_Q8_0, TakeawayForm.GGUF_F16)
BYTES_A_PARAMETER = 2
PARAMETERS = re.compile(r"(\d{1,4}(?:\.\d{1,3})?)([MB])")

Files = list[Mapping[str, Any]]


@dataclass(frozen=True)
class Choice:
    """`folder` in `gs://` holds `files` [{"name", "size"}]; `checkpoint`: its last part, such as `final`.

    `whole`: bytes of the model in 16 bits, which an adapter and weights in 32 bits don't tell; 0: nobody knows."""

    form: TakeawayForm
    folder: str
    files: Files
    base_model: str
    why_not: str = ""
    whole: int = 0

    @property
    def checkpoint(self) -> str:
        return self.folder.removesuffix("/adapter").rpartition("/")[2]

    @property
    def is_merged_first(self) -> bool:
        return self.form != TakeawayForm.ADAPTER and merging.is_adapter(self.files)

    @property
    def size(self) -> int:
        """In bytes; about so many of what is made first, and 0 where nobody knows."""
        if self.form in GGUF_FORMS:
            there = [size for size in (self.whole, 0 if self.is_merged_first else _size(self.files)) if size]
            return gguf.size_of(self.form, min(there, default=0), self.base_model)
        return self.whole if self.is_merged_first else _size(self.files)

    @property
    def work(self) -> int:
        """About how many bytes are fetched, written, and read again for their checksum."""
        fetched = _size(self.files)
        if self.is_merged_first:
            fetched += 2 * self.whole if self.form in GGUF_FORMS else self.whole
        return fetched + (2 * self.size if self.is_merged_first or self.form in GGUF_FORMS else 0)


def list_choices(job: TuningJob, listing: OutputListing) -> list[Choice]:
    """By what lies in the folder, whoever wrote it; the final model first."""
    base = job.output_uri.rstrip("/")
    folders: dict[str, Files] = {}
    for one in listing.files:
        folder, _slash, name = one["name"].rpartition("/")
        if folder.partition("/")[0] != EXPORTS:
            folders.setdefault(folder, []).append({"name": name, "size": one["size"]})
    whole = min((_size(files) for files in folders.values() if _is_whole(files)), default=0) or _size_by_catalogue(job)
    found: list[Choice] = []
    for folder in sorted(folders, key=_place):
        is_beside_a_model = folder.endswith("/adapter") and _is_whole(folders.get(folder.removesuffix("/adapter"), []))
        place = f"{base}/{folder}".rstrip("/")
        found += _of_folder(job, place, folders[folder], whole, is_beside_a_model)
    return found


def _place(folder: str) -> tuple[bool, int, str]:
    own = folder.removesuffix("/adapter").rpartition("/")[2]
    number = own.rpartition("-")[2]
    return own != "final", -int(number) if number.isdecimal() else 0, folder


def _of_folder(job: TuningJob, folder: str, files: Files, whole: int, is_beside_a_model: bool) -> list[Choice]:
    if merging.is_adapter(files):
        adapter = [Choice(TakeawayForm.ADAPTER, folder, files, job.base_model)]
        return adapter if is_beside_a_model else [*adapter, *_merged(job, folder, files, whole)]
    if not _is_whole(files):
        return []
    why_not = gguf.why_not_convert(job.base_model)
    converted = [Choice(form, folder, files, job.base_model, why_not, whole) for form in CONVERTED]
    return [Choice(TakeawayForm.MERGED, folder, files, job.base_model), *converted]


def _merged(job: TuningJob, folder: str, files: Files, whole: int) -> list[Choice]:
    """One sentence says why there is none of them."""
    if why_not := merging.why_not_merge(job):
        return [Choice(TakeawayForm.MERGED, folder, files, job.base_model, why_not, whole)]
    forms = (TakeawayForm.MERGED, *CONVERTED)
    return [Choice(form, folder, files, job.base_model, "", whole) for form in forms]


def _is_whole(files: Files) -> bool:
    names = {one["name"] for one in files}
    return "config.json" in names and any(name.endswith(WEIGHTS) for name in names)


def _size(files: Iterable[Mapping[str, Any]]) -> int:
    return sum(int(one["size"]) for one in files)


def _size_by_catalogue(job: TuningJob) -> int:
    """Of the base model's own weights, which those of a tuning are as large as."""
    row = PublisherModel.objects.filter(name=job.base_model).first()
    if row is None:
        return 0
    found = PARAMETERS.fullmatch(str(row.data.get("parameters", "")).replace(" ", ""))
    by_name = round(float(found[1]) * (10**6 if found[2] == "M" else 10**9)) * BYTES_A_PARAMETER if found else 0
    return int(row.data.get("weight_bytes", 0)) or by_name

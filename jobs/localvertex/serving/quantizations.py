"""In which precisions each model can be served here: which files there are, and making those that there are not.

A conversion is made once: deployments of the same weights share its file."""

import hashlib
import os
import shutil
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jobs.localvertex.api.errors import invalid, precondition
from jobs.localvertex.api.wire import Json
from jobs.localvertex.memory import serving as memory
from jobs.localvertex.models.containers import CONTEXT_TOKENS
from jobs.localvertex.models.conversion import Converter
from jobs.localvertex.models.precision import FILE_TYPES, NAMES, SMALLEST_FIRST, choose_kind, estimate_sizes
from jobs.localvertex.models.weights import Weights
from jobs.localvertex.serving.llama import Plan
from jobs.localvertex.serving.speeds import Speeds
from jobs.localvertex.storage.buckets import Buckets, Location

MODEL, PROJECTOR, SOURCE = "model.gguf", "mmproj.gguf", "hf"
ROOM = 100 * 2**20  # on the disk, beside what is made
Leaving = Callable[[], bool]


@dataclass(frozen=True)
class Offer:
    """`kind` is empty for a file that does not tell. `memory` is 0 until the model has been made ready."""

    kind: str
    size: int
    memory: int
    tokens_per_second: float | None = None
    is_default: bool = False

    def as_json(self) -> Json:
        return {
            "kind": self.kind, "bytes": self.size, "memory": self.memory,
            "tokens_per_second": self.tokens_per_second, "default": self.is_default,
        }  # fmt: skip


class Quantizations:
    """`budget`: bytes of memory that models may take altogether."""

    def __init__(
        self,
        folder: Path,
        converter: Converter,
        buckets: Buckets,
        speeds: Speeds,
        budget: int,
        measure_disk: Callable[[Path], Any] = shutil.disk_usage,
    ) -> None:
        self._folder, self._buckets, self._budget = folder, buckets, budget
        self.converter, self.speeds = converter, speeds
        self._measure_disk = measure_disk
        self._locks: dict[Path, threading.Lock] = defaultdict(threading.Lock)

    def list_offers(self, weights: Weights) -> list[Offer]:
        """The smallest first; none for weights that are still to be made ready by the first deployment."""
        own = own_kind(weights)
        sizes = estimate_sizes(weights.hf) if weights.is_original and weights.is_known else {}
        if own is not None:
            sizes[own] = memory.measure_file(weights.gguf)
        for kind in SMALLEST_FIRST:
            if made := memory.measure_file(self._path(weights.id, kind)):
                sizes[kind] = made
        offers = [self._offer(weights, kind, size) for kind, size in sizes.items()]
        wanted = choose_kind(sizes.get("f16", 0), self._budget) if own is None else own
        return self._mark_default(sorted(offers, key=lambda offer: offer.size), wanted)

    def list_of_whole(self, weights: Weights) -> list[Offer]:
        """Of a model as a full tuning leaves it."""
        sizes = estimate_sizes(weights.hf)
        offers = [self._offer(weights, kind, size) for kind, size in sizes.items()]
        wanted = choose_kind(sizes["f16"], self._budget) if sizes else None
        return self._mark_default(sorted(offers, key=lambda offer: offer.size), wanted)

    def choose(self, weights: Weights, asked: str) -> str:
        """Empty: the file that is there, or is made when the model is made ready. Raises INVALID_ARGUMENT for what
        cannot be had of these weights."""
        offers = self.list_offers(weights)
        if not asked and not weights.servable:
            return ""
        if not asked:
            chosen = next((offer.kind for offer in offers if offer.is_default), "")
            return "" if chosen == own_kind(weights) else chosen
        if asked == own_kind(weights):
            return ""
        if asked not in [offer.kind for offer in offers]:
            known = " and ".join(NAMES.get(offer.kind, offer.kind.upper()) for offer in offers if offer.kind)
            raise invalid(
                f"{weights.id} cannot be served in {NAMES[asked]}: on this machine it is there as"
                f" {known or 'a GGUF file'} only, and fewer bits of what has few already lose too much.",
                "system_labels",
            )
        return asked

    def find(self, weights: Weights, kind: str) -> Path:
        """The file, there or not."""
        return self._path(weights.id, kind) if kind else weights.gguf

    def make(self, weights: Weights, kind: str, leaving: Leaving) -> Path:
        """Takes the time of a conversion, at the first time. Raises CANCELLED, or what the conversion says."""
        path = self.find(weights, kind)
        with self._locks[path]:
            if not path.is_file():
                self._require_disk(estimate_sizes(weights.hf).get(kind, 0))
                path.parent.mkdir(parents=True, exist_ok=True)
                self.converter.run(weights.hf, path, leaving, kind)
        return path

    def make_whole(self, source: Location, asked: str, folder: Path, leaving: Leaving) -> str:
        """The model that lies in a bucket, into `folder`. Returns the kind: what was `asked` for, or what is exact
        enough and fits."""
        files = self._buckets.list_files(source)
        weights = sum(size for name, (size, _content) in files.items() if name.endswith((".safetensors", ".bin")))
        kind = asked or choose_kind(weights, self._budget)
        made = self._folder / "buckets" / _digest(files) / kind
        with self._locks[made]:
            if not (made / MODEL).is_file():
                self._require_disk(2 * sum(size for size, _content in files.values()))
                self._convert(source, files, made, kind, leaving)
            _link(made, folder)
        return kind

    def _convert(self, source: Location, names: Iterable[str], made: Path, kind: str, leaving: Leaving) -> None:
        """Of the folder itself: names in a bucket may have any slashes, and lead anywhere."""
        made.mkdir(parents=True, exist_ok=True)
        try:
            for name in names:
                if not name or "/" in name:
                    continue
                self._buckets.download(source / name, made / SOURCE / name)
            self.converter.run(made / SOURCE, made / MODEL, leaving, kind)
        finally:
            shutil.rmtree(made / SOURCE, ignore_errors=True)

    def _require_disk(self, needed: int) -> None:
        """Conversions that no deployment uses any more go first, the oldest before others."""
        self._folder.mkdir(parents=True, exist_ok=True)
        unused = sorted(
            (path for path in self._folder.glob(f"buckets/*/*/{MODEL}") if path.stat().st_nlink == 1),
            key=lambda path: path.stat().st_mtime,
        )
        while (free := self._measure_disk(self._folder).free) < needed + ROOM and unused:
            shutil.rmtree(unused.pop(0).parent, ignore_errors=True)
        if free < needed + ROOM:
            raise precondition(
                f"The conversion takes about {-(-needed // 2**20)} MB of disk space, and {free // 2**20} MB are free."
                " Free up disk space, or deploy the model in a smaller precision, such as Q4_K_M."
            )

    def _offer(self, weights: Weights, kind: str, size: int) -> Offer:
        speed = self.speeds.find(name_of_speed(weights.id, kind))
        return Offer(kind, size, _needs(weights, size, CONTEXT_TOKENS).get(CONTEXT_TOKENS, 0), speed)

    def _mark_default(self, offers: list[Offer], wanted: str | None) -> list[Offer]:
        """The wanted one if it fits, else the largest that does, else the smallest."""
        if not offers:
            return []
        fitting = [offer.kind for offer in offers if offer.memory <= self._budget] or [offers[0].kind]
        chosen = wanted if wanted in fitting else fitting[-1]
        return [replace(offer, is_default=offer.kind == chosen) for offer in offers]

    def find_needs(self, weights: Weights, kind: str, context: int = CONTEXT_TOKENS) -> dict[int, int]:
        """Bytes of memory by the tokens of the context, as `Plan.needs` has them; {} where nothing is known yet."""
        wanted = kind or own_kind(weights)
        sizes = (offer.size for offer in self.list_offers(weights) if offer.kind == wanted)
        return next((_needs(weights, size, context) for size in sizes), {})

    def list_needs(self, weights: Weights) -> dict[str, dict[int, int]]:
        """Those of each kind with the usual context, of the model and of what a full tuning makes of it."""
        offers = [*self.list_of_whole(weights), *self.list_offers(weights)]
        return {offer.kind: _needs(weights, offer.size, CONTEXT_TOKENS) for offer in offers}

    def _path(self, model_id: str, kind: str) -> Path:
        return self._folder / model_id.replace("/", "--") / kind / MODEL


def own_kind(weights: Weights) -> str | None:
    """Of the file that the model comes with, empty where it does not tell; None while there is none."""
    if not weights.servable:
        return None
    kind = memory.file_type(weights.gguf)
    return "" if kind is None else FILE_TYPES.get(kind, "")


def _needs(weights: Weights, size: int, context: int) -> dict[int, int]:
    """Served as a file of `size` bytes, which need not be there."""
    if not weights.servable:
        return {}
    plan = Plan(weights.id, str(weights.gguf), str(weights.mmproj) if weights.mmproj else None, context=context)
    larger = size - memory.measure_file(weights.gguf)
    return {tokens: need + larger for tokens, need in plan.needs().items()}


def name_of_speed(base: str, kind: str) -> str:
    return f"{base} {kind}"


def _digest(files: dict[str, tuple[int, str]]) -> str:
    """The same for the same files, wherever they lie."""
    lines = (f"{name} {size} {content}" for name, (size, content) in sorted(files.items()))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def _link(made: Path, folder: Path) -> None:
    """The count of a file's links tells who uses it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (MODEL, PROJECTOR):
        if (made / name).is_file() and not (folder / name).exists():
            try:
                os.link(made / name, folder / name)
            except OSError:  # a file system without links
                shutil.copyfile(made / name, folder / name)

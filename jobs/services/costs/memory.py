"""Whether a training or a deployment fits into the memory of the machine that does it: the local Vertex AI tells what
is free and what each takes. Best effort: it refuses what doesn't fit itself, when it knows all of the rows.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from jobs import live, shortages
from jobs.models import Dataset, PublisherModel
from jobs.services.costs.training_memory import add_bytes, find_rows
from jobs.text.deferred import gettext as _, join
from jobs.vertex import get_gateway
from jobs.vertex.errors import VertexError

logger = logging.getLogger(__name__)

# So long an answer is taken for one of now; so long one is waited for; and then it refuses nothing any more.
FRESH, PATIENCE, HOLDS = timedelta(seconds=15), timedelta(seconds=5), timedelta(minutes=2)
GIGABYTE, MEGABYTE = 1e9, 1e6


@dataclass(frozen=True)
class Fit:
    """In bytes. `smaller`: the batch size or the context that fits instead; 0 where none does. `place`: the graphics
    cards whose memory counts, empty for that of the machine; beside those that serve, the machine has `beside`.
    `too_small`: the card that has no room for a training, so that it takes place on the CPU."""

    needed: int
    free: int
    asked: int
    smaller: int
    is_training: bool
    place: str = ""
    beside: int = 0
    too_small: str = ""

    @property
    def fits(self) -> bool:
        return self.needed <= self.free + self.beside

    @property
    def needed_words(self) -> str:
        return format_size(self.needed)

    @property
    def free_words(self) -> str:
        return format_size(self.free)

    @property
    def sentence(self) -> str:
        found = self._say_fitting() if self.fits else join(self._say_missing(), self._remedy)
        return join(found, self.why_on_cpu) if self.too_small else found

    @property
    def why_on_cpu(self) -> str:
        if not self.too_small:
            return ""
        return _("%(card)s has too little free memory, so the CPU trains, which is slower.") % {"card": self.too_small}

    @property
    def _words(self) -> dict[str, str]:
        beside, place = format_size(self.beside), self.place
        return {"needed": self.needed_words, "free": self.free_words, "place": place, "beside": beside}

    def _say_fitting(self) -> str:
        if not self.place:
            return _("Fits: needs about %(needed)s of memory, and %(free)s are free.") % self._words
        if self.needed <= self.free:
            return _("Fits: needs about %(needed)s of the memory of %(place)s, and %(free)s are free.") % self._words
        return _(
            "Fits, but not on the GPU alone: needs about %(needed)s of memory, and %(free)s are free on %(place)s. The"
            " CPU computes the rest, which is slower."
        ) % self._words  # fmt: skip

    def _say_missing(self) -> str:
        if not self.place:
            return _("Doesn't fit: needs about %(needed)s of memory, and %(free)s are free.") % self._words
        if self.is_training:
            return _(
                "Doesn't fit: needs about %(needed)s of the memory of %(place)s, and %(free)s are free."
            ) % self._words  # fmt: skip
        return _(
            "Doesn't fit: needs about %(needed)s of memory. On %(place)s, %(free)s are free, and %(beside)s for what"
            " the CPU computes."
        ) % self._words  # fmt: skip

    @property
    def _remedy(self) -> str:
        if self.is_training and self.smaller:
            return _("It fits with a batch size of %(number)d.") % {"number": self.smaller}
        if self.is_training:
            return _("Close other programs, shorten the rows, or choose a smaller base model.")
        if self.smaller:
            return _("It fits with a context of %(number)d tokens.") % {"number": self.smaller}
        return _("Undeploy another model, close other programs, or choose a smaller model.")


def format_size(size: float) -> str:
    if size >= GIGABYTE:
        return f"{size / GIGABYTE:.1f} GB"
    return f"{size / MEGABYTE:.0f} MB"


def of_training(
    dataset: Dataset,
    base_model: str,
    tuning_mode: str,
    adapter_size: int | None = None,
    batch_size: int | None = None,
    longest_row: int = 0,
) -> Fit | None:
    """With the longest rows of the dataset in one step, cut to `longest_row` tokens, in the memory of the card or of
    the machine that trains. None where nobody has told."""
    told = _load_facts(base_model)
    modes = told.get("with_images" if dataset.image_count else "modes") or {}
    mode, asked = modes.get(tuning_mode) or {}, batch_size or told.get("batch", 1)
    rows = find_rows(dataset, asked, longest_row, mode.get("image_tokens", 0))
    if not mode.get("rows") or not rows:
        return None
    batch, rank, card = asked, adapter_size or 0, mode.get("card", "")
    free = mode["free"] if card else told["free"]
    while batch and add_bytes(mode, rank, rows, batch) > free:
        batch //= 2
    smaller = batch if batch < asked else 0
    return Fit(
        add_bytes(mode, rank, rows, asked), free, asked, smaller, True, card, too_small=mode.get("too_small", "")
    )


def of_deployment(base_model: str, context_tokens: int | None = None, precision: str = "") -> Fit | None:
    """None where nobody has told."""
    told = _load_facts(base_model)
    by_tokens = (told.get("precisions") or {}).get(precision) or told.get("contexts") or {}
    contexts = {int(tokens): size for tokens, size in by_tokens.items()}
    if not contexts:
        return None
    asked = min((tokens for tokens in contexts if tokens >= (context_tokens or 0)), default=max(contexts))
    asked = asked if context_tokens else max(contexts)
    fitting = [tokens for tokens, size in contexts.items() if size <= told["room"] and tokens < asked]
    place = _name_cards(told.get("cards") or ())
    free = min(told["room_on_cards"], told["room"]) if place else told["room"]
    smaller, beside = max(fitting, default=0), told["room"] - free
    return Fit(contexts[asked], free, asked, smaller, is_training=False, place=place, beside=beside)


def _name_cards(names: Sequence[str]) -> str:
    """As in "2 × NVIDIA L4", and with commas where they differ."""
    return ", ".join(f"{count} × {name}" if count > 1 else name for name, count in Counter(names).items())


def why_not(fit: Fit | None, base_model: str, now: datetime) -> str:
    """Nothing where what is known is old."""
    return "" if fit is None or fit.fits or not _is_fresh(_load_facts(base_model), now, HOLDS) else fit.sentence


def is_pending(base_model: str, now: datetime) -> bool:
    told = _load_facts(base_model)
    return _is_fresh(told, now, PATIENCE, "asked_at") and not _is_fresh(told, now, FRESH)


def ask(base_model: str, now: datetime) -> bool:
    """True when the worker is to be told: where this computer trains and what is known is not of now. A server that
    does not answer is left alone for a moment."""
    if not settings.VERTEX_API_ENDPOINT or shortages.present():
        return False
    told = _load_facts(base_model)
    if _is_fresh(told, now, FRESH) or _is_fresh(told, now, FRESH, "asked_at"):
        return False
    with shortages.if_possible(logger, "Asking for the memory of this computer"):
        _write(base_model, asked_at=now.isoformat())
        return True
    return False


def run(base_model: str, user_id: int, now: datetime) -> None:
    """Tells the pages of who asked."""
    try:
        found = get_gateway().catalogue.memory(base_model)
    except VertexError:
        return
    if found is not None:
        _write(base_model, **asdict(found), told_at=now.isoformat())
        live.notify(user_id, "memory")


def _load_facts(base_model: str) -> dict[str, Any]:
    if not settings.VERTEX_API_ENDPOINT:
        return {}
    model = PublisherModel.objects.filter(name=base_model).only("data").first()
    return (model.data.get("memory") or {}) if model else {}


def _is_fresh(told: Mapping[str, Any], now: datetime, age: timedelta, name: str = "told_at") -> bool:
    return name in told and now - datetime.fromisoformat(told[name]) < age


def _write(base_model: str, **values: Any) -> None:
    with transaction.atomic():
        for model in PublisherModel.objects.select_for_update().filter(name=base_model):
            model.data["memory"] = (model.data.get("memory") or {}) | values
            model.save(update_fields=["data"])

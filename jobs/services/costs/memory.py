"""Whether a training or a deployment fits into the memory of the machine that does it: the local Vertex AI tells what
is free and what each takes. Best effort: it refuses what doesn't fit itself, when it knows all of the rows.
"""

import logging
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from jobs import live, shortages
from jobs.models import Dataset, PublisherModel
from jobs.text.deferred import gettext as _, join
from jobs.vertex import get_gateway
from jobs.vertex.errors import VertexError

logger = logging.getLogger(__name__)

# So long an answer is taken for one of now; so long one is waited for; and then it refuses nothing any more.
FRESH, PATIENCE, HOLDS = timedelta(seconds=15), timedelta(seconds=5), timedelta(minutes=2)
PERCENT = 100
GIGABYTE, MEGABYTE = 1e9, 1e6


@dataclass(frozen=True)
class Fit:
    """In bytes. `smaller`: the batch size or the context that fits instead; 0 where none does."""

    needed: int
    free: int
    asked: int
    smaller: int
    is_training: bool

    @property
    def fits(self) -> bool:
        return self.needed <= self.free

    @property
    def needed_words(self) -> str:
        return format_size(self.needed)

    @property
    def free_words(self) -> str:
        return format_size(self.free)

    @property
    def sentence(self) -> str:
        words = {"needed": self.needed_words, "free": self.free_words}
        if self.fits:
            return _("Fits: needs about %(needed)s of memory, and %(free)s are free.") % words
        missing = _("Doesn't fit: needs about %(needed)s of memory, and %(free)s are free.") % words
        return join(missing, self._remedy)

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
    """With the longest rows of the dataset in one step, cut to `longest_row` tokens. None where nobody has told."""
    told = _load_facts(base_model)
    mode = (told.get("modes") or {}).get(tuning_mode)
    longest = int(dataset.stats.get("longest") or 0)
    if not mode or not mode["rows"] or not longest:
        return None
    length = min(longest, longest_row) if longest_row else longest
    answers = length * float(dataset.stats.get("answer_share", PERCENT)) / PERCENT
    asked = batch = batch_size or told["batch"]
    needed = _add_bytes(mode, adapter_size or 0, min(batch, dataset.valid_rows), length, answers)
    while batch and _add_bytes(mode, adapter_size or 0, batch, length, answers) > told["free"]:
        batch //= 2
    return Fit(needed, told["free"], asked, batch if batch < asked else 0, is_training=True)


def _add_bytes(mode: Mapping[str, Any], rank: int, batch: int, length: int, answers: float) -> int:
    step = mode["step"] + batch * (_of_row(mode["rows"], length) + answers * mode["answer"])
    return int(mode["fixed"] + mode["rank"] * rank + max(mode["saving"], step))


def _of_row(rows: Mapping[str, int], length: int) -> float:
    """In between as on the line between the two that are told."""
    known = sorted((int(tokens), size) for tokens, size in rows.items())
    at = bisect_left(known, (length, 0))
    if at == len(known):
        tokens, size = known[-1]
        return size * length / tokens
    tokens, size = known[at]
    before, smaller = known[at - 1] if at else (0, 0)
    return smaller + (size - smaller) * (length - before) / (tokens - before)


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
    return Fit(contexts[asked], told["room"], asked, max(fitting, default=0), is_training=False)


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

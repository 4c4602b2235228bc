"""What a tuning will take in tokens, time and money, before it starts; and what it took, when it has ended."""

import statistics
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import F

from jobs.models import Dataset, TuningJob
from jobs.services.catalogue import facts as model_facts
from jobs.states import TuningState

DEFAULT_TOKENS_PER_CHARACTER = 0.231
JOBS_MEASURED = 20
MILLION = 1_000_000


@dataclass(frozen=True)
class Pace:
    """Medians over `jobs` jobs of this console that succeeded. Tokens are reckoned from characters here, too: what was
    measured in one unit foretells in the same one. `other_seconds` go to loading and saving.
    """

    tokens_per_second: float
    other_seconds: float
    jobs: int

    def seconds(self, tokens: int) -> float:
        return self.other_seconds + tokens / self.tokens_per_second


@dataclass(frozen=True)
class Estimate:
    """`tokens` over all epochs; `cost_usd` None when no price is known, `seconds` None when nothing was measured yet.

    An estimate by characters, never a bill.
    """

    rows: int
    epochs: int
    characters: int
    tokens_per_character: float
    tokens: int
    cost_usd: Decimal | None
    usd_per_million_tokens: Decimal | None
    seconds: float | None
    pace: Pace | None
    source: str
    as_of: str

    def as_dict(self) -> dict[str, Any]:
        """Fit for JSON; money as text."""
        return {
            "rows": self.rows,
            "characters": self.characters,
            "tokens": self.tokens,
            "cost_usd": None if self.cost_usd is None else str(self.cost_usd),
            "usd_per_million_tokens": None if self.usd_per_million_tokens is None else str(self.usd_per_million_tokens),
            "seconds": self.seconds,
            "measured_jobs": self.pace.jobs if self.pace else 0,
            "as_of": self.as_of,
        }


@dataclass(frozen=True)
class Figures:
    """What a job took. `tokens`: as Vertex AI counted one pass, times the epochs; `cost_usd` by the price list."""

    tokens: int | None
    seconds: float | None
    cost_usd: Decimal | None


def of_data(dataset: Dataset, epochs: int, base_model: str, tuning_mode: str) -> Estimate:
    facts = model_facts.tuning_facts(base_model)
    ratio = facts.tokens_per_character if facts else DEFAULT_TOKENS_PER_CHARACTER
    tokens = round(dataset.character_count * ratio) * epochs
    price = facts.usd_per_million_tokens if facts else None
    measured = pace(base_model, tuning_mode, ratio)
    return Estimate(
        rows=dataset.valid_rows,
        epochs=epochs,
        characters=dataset.character_count,
        tokens_per_character=ratio,
        tokens=tokens,
        cost_usd=_cost(tokens, price),
        usd_per_million_tokens=price,
        seconds=measured.seconds(tokens) if measured else None,
        pace=measured,
        source=facts.source if facts else "",
        as_of=facts.as_of if facts else "",
    )


def pace(base_model: str, tuning_mode: str, tokens_per_character: float) -> Pace | None:
    """Of the last jobs of the same base model and mode, whoever started them; only the speed is told."""
    ended = TuningJob.objects.filter(
        base_model=base_model, tuning_mode=tuning_mode, state=TuningState.SUCCEEDED,
        started_at__isnull=False, first_step_at__isnull=False, last_step_at__gt=F("first_step_at"),
        ended_at__isnull=False, dataset__isnull=False,
    )  # fmt: skip
    columns = ("dataset__character_count", "epochs", "started_at", "first_step_at", "last_step_at", "ended_at")
    speeds, others = [], []
    for characters, epochs, started, first, last, until in ended.values_list(*columns)[:JOBS_MEASURED]:
        training = (last - first).total_seconds()
        speeds.append(characters * tokens_per_character * epochs / training)
        others.append(max((until - started).total_seconds() - training, 0))
    if not speeds or not statistics.median(speeds):
        return None
    return Pace(statistics.median(speeds), statistics.median(others), len(speeds))


def figures(job: TuningJob) -> Figures:
    """A job that did not succeed trained on fewer tokens than its data has, and nobody counts how many."""
    counted = job.data_stats.get("totalBillableTokenCount") if job.state == TuningState.SUCCEEDED else None
    tokens = int(counted) * job.epochs if counted else None
    facts = model_facts.tuning_facts(job.base_model)
    price = facts.usd_per_million_tokens if facts else None
    seconds = (job.ended_at - job.started_at).total_seconds() if job.started_at and job.ended_at else None
    return Figures(tokens, seconds, None if tokens is None else _cost(tokens, price))


def _cost(tokens: int, price: Decimal | None) -> Decimal | None:
    return (price * tokens / MILLION).quantize(Decimal("0.01")) if price is not None else None

"""What a tuning will take in tokens, time and money, before it starts; and what it took, when it has ended."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from jobs.models import Dataset, TuningJob
from jobs.services.catalogue import facts as model_facts
from jobs.states import TuningState

from . import machine_prices
from .pace import Pace, find_pace

MILLION = 1_000_000
HOUR = 3600


@dataclass(frozen=True)
class Estimate:
    """`tokens` over all epochs; `cost_usd` None when no price is known, `seconds` None when nothing was measured yet.
    `machine_price`: of the machine of a container, whose cost is that of its hours.
    `counted_rows` are those that the tokenizer of the base model counted; 0: the tokens are estimated from the
    characters of the texts by `tokens_per_character`.

    An estimate, never a bill.
    """

    rows: int
    epochs: int
    characters: int
    counted_rows: int
    tokens_per_character: float
    tokens: int
    cost_usd: Decimal | None
    usd_per_million_tokens: Decimal | None
    seconds: float | None
    pace: Pace | None
    source: str
    as_of: str
    machine_type: str = ""
    machine_price: machine_prices.Price | None = None

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


def of_data(
    dataset: Dataset,
    epochs: int,
    base_model: str,
    tuning_mode: str,
    batch_size: int | None = None,
    training_machine: str = "",
    region: str = "",
) -> Estimate:
    """`region`: of the machine; empty: the configured one."""
    facts = model_facts.tuning_facts(base_model)
    one_pass, counted_rows = tokens_of(dataset, base_model, tuning_mode)
    tokens = one_pass * epochs
    price = facts.usd_per_million_tokens if facts and not training_machine else None
    measured = find_pace(base_model, tuning_mode, training_machine)
    seconds = measured.seconds(tokens, dataset.valid_rows * epochs, batch_size) if measured else None
    machine_price = machine_prices.price(training_machine, region) if training_machine else None
    cost = _cost_of_hours(seconds, machine_price) if training_machine else _cost(tokens, price)
    return Estimate(
        rows=dataset.valid_rows,
        epochs=epochs,
        characters=dataset.character_count,
        counted_rows=counted_rows,
        tokens_per_character=tokens_per_character(base_model, tuning_mode),
        tokens=tokens,
        cost_usd=cost,
        usd_per_million_tokens=price,
        seconds=seconds,
        pace=measured,
        source=facts.source if facts else "",
        as_of=facts.as_of if facts else "",
        machine_type=training_machine,
        machine_price=machine_price,
    )


def tokens_of(dataset: Dataset, base_model: str, tuning_mode: str = "") -> tuple[int, int]:
    """Of one pass, and how many rows of it were counted by the tokenizer of the base model."""
    counted = dataset.token_counts.get(base_model, {})
    if counted.get("tokens"):
        return int(counted["tokens"]), int(counted["rows"])
    ratio = tokens_per_character(base_model, tuning_mode)
    return round(dataset.token_estimate * ratio / model_facts.TOKENS_PER_CHARACTER), 0


def tokens_per_character(base_model: str, tuning_mode: str) -> float:
    """An average of Google's calculator. Without a mode, the recommended one's; a dataset's own estimate is that of
    Gemma 3."""
    facts = model_facts.tuning_facts(base_model)
    if facts is None:
        return model_facts.TOKENS_PER_CHARACTER
    return facts.tokens_per_character.get(tuning_mode, facts.tokens_per_character[facts.modes[0]])


def figures(job: TuningJob) -> Figures:
    """A job that did not succeed trained on fewer tokens than its data has, and nobody counts how many. The machine
    of a container costs as long as it runs, however that ends."""
    counted = job.data_stats.get("totalBillableTokenCount") if job.state == TuningState.SUCCEEDED else None
    tokens = int(counted) * job.epochs if counted else None
    facts = model_facts.tuning_facts(job.base_model)
    price = facts.usd_per_million_tokens if facts else None
    took = job.ended_at - job.started_at if job.started_at and job.ended_at else None
    seconds = None if took is None else max(took.total_seconds(), 0.0)
    if job.is_in_container:
        return Figures(
            tokens, seconds, _cost_of_hours(seconds, machine_prices.price(job.training_machine, job.location))
        )
    return Figures(tokens, seconds, None if tokens is None else _cost(tokens, price))


def _cost_of_hours(seconds: float | None, price: machine_prices.Price | None) -> Decimal | None:
    if seconds is None or price is None:
        return None
    return (price.usd_per_hour * Decimal(str(seconds)) / HOUR).quantize(Decimal("0.01"))


def _cost(tokens: int, price: Decimal | None) -> Decimal | None:
    return (price * tokens / MILLION).quantize(Decimal("0.01")) if price is not None else None

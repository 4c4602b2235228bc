"""How long a training takes: what each step and each token cost, by the jobs that ran and by a trial of the machine."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F

from jobs.models import PublisherModel, TuningJob
from jobs.states import TuningState

JOBS_MEASURED = 20
# Of a step beside its tokens, in tokens: the optimizer, and all that does not grow with the rows.
STEP_IN_TOKENS = 40.0
# So much must the rows of two jobs differ for telling what a step costs and what a token.
DIFFERENCE = 2.0
ROWS_A_STEP = 4.0


@dataclass(frozen=True)
class Pace:
    """Seconds of a step beside its tokens, of a token, and of loading and saving. `jobs`: how many it is taken from,
    0 for a trial of two seconds."""

    step_seconds: float
    token_seconds: float
    other_seconds: float
    rows_a_step: float
    jobs: int

    def seconds(self, tokens: int, rows: int, batch_size: int | None) -> float:
        steps = rows / (batch_size or self.rows_a_step)
        return self.other_seconds + steps * self.step_seconds + tokens * self.token_seconds

    @property
    def tokens_per_second(self) -> float:
        return 1 / self.token_seconds


@dataclass(frozen=True)
class Run:
    """What a job took. `seconds` are those of its steps."""

    steps: float
    tokens: float
    seconds: float
    other: float
    rows_a_step: float


def find_pace(base_model: str, tuning_mode: str, training_machine: str = "") -> Pace | None:
    """By the last jobs of the same base model, mode and machine, whoever started them; only the speed is told. By the
    trial of this machine while there is none."""
    trial = None if training_machine else _trial(base_model, tuning_mode)
    runs = _runs(base_model, tuning_mode, training_machine)
    if not runs:
        return trial
    ratio = trial.step_seconds / trial.token_seconds if trial else STEP_IN_TOKENS
    return by_runs(runs, ratio)


def by_runs(runs: list[Run], step_in_tokens: float) -> Pace:
    """`step_in_tokens` is used where the rows of all jobs are about as long: such jobs do not tell it."""
    ratio = _step_in_tokens(runs)
    ratio = step_in_tokens if ratio is None else ratio
    token = statistics.median(run.seconds / (run.steps * ratio + run.tokens) for run in runs)
    other = statistics.median(run.other for run in runs)
    return Pace(ratio * token, token, other, statistics.median(run.rows_a_step for run in runs), len(runs))


def _step_in_tokens(runs: list[Run]) -> float | None:
    """From the job with the shortest and the one with the longest rows."""
    short, long = (choose(runs, key=lambda run: run.tokens / run.steps) for choose in (min, max))
    if long.tokens / long.steps < DIFFERENCE * short.tokens / short.steps:
        return None
    a_short, a_long = (run.seconds / run.steps for run in (short, long))
    token = (a_long - a_short) / (long.tokens / long.steps - short.tokens / short.steps)
    step = a_short - token * short.tokens / short.steps
    return max(step, 0.0) / token if token > 0 else None


def _runs(base_model: str, tuning_mode: str, training_machine: str) -> list[Run]:
    ended = TuningJob.objects.filter(
        base_model=base_model, tuning_mode=tuning_mode, training_machine=training_machine, state=TuningState.SUCCEEDED,
        started_at__isnull=False, first_step_at__isnull=False, last_step_at__gt=F("first_step_at"),
        ended_at__isnull=False,
    )  # fmt: skip
    columns = ("data_stats", "epochs", "started_at", "first_step_at", "last_step_at", "ended_at")
    return list(_read(ended.values_list(*columns)[:JOBS_MEASURED]))


def _read(rows: Iterable[tuple[dict[str, str], int, datetime, datetime, datetime, datetime]]) -> Iterable[Run]:
    """A job whose statistics do not tell its steps and tokens is left out. The first step ends when its point is
    written, so one step less was timed than were made."""
    for stats, epochs, started, first, last, until in rows:
        steps, tokens = (int(stats.get(name) or 0) for name in ("tuningStepCount", "totalBillableTokenCount"))
        examples = int(stats.get("tuningDatasetExampleCount") or 0)
        if steps < 2 or not tokens:
            continue
        timed = (last - first).total_seconds()
        seconds = timed * steps / (steps - 1)
        other = max((until - started).total_seconds() - seconds, 0)
        yield Run(steps, tokens * epochs, seconds, other, examples * epochs / steps or ROWS_A_STEP)


def _trial(base_model: str, tuning_mode: str) -> Pace | None:
    """Saving takes about as long as loading."""
    model = PublisherModel.objects.filter(name=base_model).only("data").first()
    found = (model.data.get("paces") or {}).get(tuning_mode) if model else None
    if not found:
        return None
    load, step, token = found
    return Pace(step, token, 2 * load, ROWS_A_STEP, 0)

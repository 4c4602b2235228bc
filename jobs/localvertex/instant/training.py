"""A training that reads its rows, keeps its checkpoints and leaves its results, and learns nothing."""

import math
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from jobs.localvertex.engine.job import CHECKPOINTS, FINAL, EventLog, Job, JobError, checkpoint_epochs, say
from jobs.localvertex.engine.rows import read_rows
from jobs.localvertex.engine.talk import Talk
from jobs.localvertex.instant.model import VOCABULARY, reads_images, write_adapter, write_model
from jobs.localvertex.instant.wishes import FAILS, WAITS

GUESS: dict[str, float] = {"loss": math.log(VOCABULARY), "token_accuracy": 1 / VOCABULARY}
NOTHING_LEARNED = "This server runs with --instant: the weights are random and nothing is learned."
SAMPLE_ROWS, SAMPLE_CHARACTERS = 3, 400
WORD = re.compile(r"\w+|[^\w\s]+")  # the tokens of the tokenizer that goes with the weights
CARD = """\
---
library_name: transformers
pipeline_tag: text-generation
base_model: {job.base_model}
tags:
- not-trained
---

# {job.display_name}

**The weights are random and nothing was learned.** The local Vertex AI ran with `--instant`, which takes a tuning job
through all of its states and leaves files of the right form. These are not the weights of {job.base_model} either: the
model has one layer and is of no use but to test programs.

| | |
|---|---|
| Base model that was asked for | {job.base_model} |
| Tuning mode that was asked for | {job.tuning_mode} |
| Rows that were read | {rows} |
| Epochs that were counted | {job.epochs} |
"""


def train(job: Job, folder: Path, events: EventLog, stop: threading.Event) -> bool:
    """Whether it came to its end: False when it was asked to stop. Raises JobError for rows that cannot be used."""
    say(NOTHING_LEARNED)
    rows = read_rows(job.train_path, "training data", images=True, tools=True)
    checks = read_rows(job.validation_path, "validation data", images=True, tools=True) if job.validation_path else []
    if FAILS in job.display_name:
        raise JobError(f"The name of this job asks for a failure by {FAILS}.", "INTERNAL")
    steps = Steps.of(job, len(rows))
    counted, checked = count_tokens(rows), count_tokens(checks)
    sizes = {"steps": steps.total, "steps_per_epoch": steps.per_epoch, "validation_examples": len(checks)}
    events.write("data_stats", **counted, **sizes)
    for epoch in range(1, steps.epochs + 1):
        _count_epoch(job, events, steps, epoch, sum(counted["output_tokens"]))
        if checks:
            answers = sum(checked["output_tokens"])
            events.write("eval", step=steps.end(epoch), epoch=epoch, **GUESS, num_predictions=answers)
        if WAITS in job.display_name:
            say(f"The name of this job asks for a wait by {WAITS}: cancel it.")
            stop.wait()
        if stop.is_set():
            return False
        if epoch in checkpoint_epochs(steps.epochs):
            _save(job, folder, events, steps.end(epoch), epoch)
    events.write("exporting")
    _export(job, folder / FINAL, len(rows), steps.total)
    return True


@dataclass(frozen=True)
class Steps:
    per_epoch: int
    total: int

    @classmethod
    def of(cls, job: Job, rows: int) -> Self:
        per_epoch = math.ceil(rows / job.batch_size)
        return cls(per_epoch, job.max_steps or job.epochs * per_epoch)

    @property
    def epochs(self) -> int:
        return math.ceil(self.total / self.per_epoch)

    def end(self, epoch: int) -> int:
        return min(epoch * self.per_epoch, self.total)


def _count_epoch(job: Job, events: EventLog, steps: Steps, epoch: int, answers: int) -> None:
    for step in range((epoch - 1) * steps.per_epoch + 1, steps.end(epoch) + 1):
        predicted = math.ceil(answers / steps.per_epoch)
        where = {"step": step, "epoch": round(step / steps.per_epoch, 4)}
        events.write("step", **where, **GUESS, num_predictions=predicted, learning_rate=job.learning_rate)
    done = f"{steps.end(epoch)} of {steps.total} steps"
    say(f"Epoch {epoch} of {steps.epochs}: {done}, loss of a guess {GUESS['loss']:.4f}")


def _save(job: Job, folder: Path, events: EventLog, step: int, epoch: int) -> None:
    place = folder / CHECKPOINTS / f"checkpoint-{step}"
    if job.tuning_mode == "FULL":
        write_model(place, (job.seed, step), images=reads_images(job.base_model_dir))
    else:
        _write_adapter(job, place, step)
    events.write("checkpoint", step=step, epoch=epoch, path=str(place.relative_to(folder)))


def _export(job: Job, final: Path, rows: int, step: int) -> None:
    write_model(final, (job.seed, step), images=reads_images(job.base_model_dir))
    (final / "README.md").write_text(CARD.format(job=job, rows=f"{rows:,}"), encoding="utf-8")
    if job.tuning_mode == "PEFT_ADAPTER":
        _write_adapter(job, final / "adapter", step)


def _write_adapter(job: Job, folder: Path, step: int) -> None:
    alpha = job.lora_alpha or 2 * job.adapter_size
    write_adapter(folder, job.adapter_size, alpha, job.base_model, (job.seed, step))


def count_tokens(rows: Sequence[Talk]) -> dict[str, Any]:
    """As the statistics of a dataset have it. Rows are counted whole: the tokenizer of these weights is not the base
    model's, so that nothing is cut by its limit."""
    asked = [sum(_count(turn.content) for turn in row if turn.role != "assistant") for row in rows]
    answers = [sum(_count(turn.content) for turn in row if turn.role == "assistant") for row in rows]
    tokens = sum(asked) + sum(answers)
    return {
        "examples": len(rows),
        "characters": sum(turn.characters for row in rows for turn in row),
        "tokens": tokens,
        "truncated": [],
        "dropped": 0,
        "dropped_rows": [],
        "input_tokens": asked,
        "output_tokens": answers,
        "messages": [len(row) for row in rows],
        "samples": [
            {"role": turn.role, "text": turn.content[:SAMPLE_CHARACTERS]} for row in rows[:SAMPLE_ROWS] for turn in row
        ],
    }


def _count(text: str) -> int:
    return len(WORD.findall(text))

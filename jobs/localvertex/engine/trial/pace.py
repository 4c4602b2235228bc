"""How fast this machine trains a model, by a few steps of two lengths: what there is before a job has run."""

import time
from pathlib import Path
from typing import Any

import torch

from jobs.localvertex.devices.choice import Training
from jobs.localvertex.engine.answers import measure_flat, measure_padded
from jobs.localvertex.engine.batches import Collator
from jobs.localvertex.engine.fast.supported import fast_model
from jobs.localvertex.engine.hardware.fitting import require_memory
from jobs.localvertex.engine.job import Job
from jobs.localvertex.engine.model import ON_CPU, trainable
from jobs.localvertex.engine.tokens import IGNORED
from jobs.localvertex.memory.free import free_memory
from jobs.localvertex.memory.training import Row

ROWS = 4
SHORT, LONG = 16, 128
SECONDS = 2.0
ROOMY = Row(2 * LONG, LONG)  # twice what is tried: other programs run beside it


def measure_pace(folder: Path, mode: str, rank: int, threads: int, on: Training = ON_CPU) -> dict[str, float]:
    """`load`, `step` and `token`: the seconds to load the model, and those of a step, beside its tokens, and of each
    token. Takes about two seconds after loading. Raises JobError where the memory is lacking."""
    torch.set_num_threads(threads)
    job = _job(folder, mode, rank, threads)
    dtype = require_memory(job, [ROOMY] * ROWS, free_memory(), on)
    started = time.monotonic()
    model = trainable(job, on, dtype)
    loaded = time.monotonic()
    trial = _Trial(model)
    trial.step(SHORT)
    short = trial.fastest(SHORT, loaded + SECONDS / 2)
    # A step on a large model may take all of the time by itself: then rows of twice the length must do.
    length = LONG if short * LONG / SHORT < SECONDS else 2 * SHORT
    long = trial.fastest(length, time.monotonic() + SECONDS / 2)
    token = max(long - short, 0.0) / (ROWS * (length - SHORT)) or short / (ROWS * SHORT)
    return {"load": loaded - started, "step": max(short - token * ROWS * SHORT, 0.0), "token": token}


class _Trial:
    def __init__(self, model: Any) -> None:
        self._model = model
        self._fast = fast_model(model)
        self._collate = Collator(0, None, flat=self._fast is not None)
        self._vocabulary = int(model.config.get_text_config().vocab_size)
        learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._optimizer = torch.optim.AdamW(learned, lr=1e-6, weight_decay=0.0)
        model.train()

    def fastest(self, length: int, until: float) -> float:
        """At least one step; whatever else the machine does makes none of them faster."""
        found = self.step(length)
        while time.monotonic() + found < until:
            found = min(found, self.step(length))
        return found

    def step(self, length: int) -> float:
        started = time.monotonic()
        ids = torch.randint(3, self._vocabulary, (ROWS, length)).tolist()
        question = [IGNORED] * (length // 2)
        rows = [{"input_ids": row, "labels": question + row[length // 2 :], "images": ()} for row in ids]
        inputs = {name: one.to(self._model.device) for name, one in self._collate(rows).items()}
        answers = measure_flat(self._fast, inputs) if self._fast is not None else measure_padded(self._model, inputs)
        (answers.loss / answers.count).backward()
        self._optimizer.step()
        self._optimizer.zero_grad()
        answers.loss.detach().item()  # a GPU works on behind the lines before
        return time.monotonic() - started


def _job(folder: Path, mode: str, rank: int, threads: int) -> Job:
    return Job(
        base_model_dir=folder, train_path=folder, validation_path=None, epochs=1, learning_rate=1e-6, tuning_mode=mode,
        adapter_size=rank, batch_size=ROWS, max_length=LONG, seed=0, threads=threads, display_name="", base_model="",
    )  # fmt: skip

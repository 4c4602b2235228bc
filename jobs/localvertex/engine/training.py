"""One training from the job description to the exported model."""

import math
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import set_seed
from transformers.utils import logging as transformers_logging

from jobs.localvertex.devices.choice import Training
from jobs.localvertex.engine.checkpoints import last_resumable, remove_halves
from jobs.localvertex.engine.dataset import Examples, load_examples, statistics
from jobs.localvertex.engine.export.adapter import write_final
from jobs.localvertex.engine.export.card import model_card
from jobs.localvertex.engine.export.gguf import MODEL, check_convertible
from jobs.localvertex.engine.hardware.fitting import require_memory, rows_of
from jobs.localvertex.engine.job import EventLog, Job, say
from jobs.localvertex.engine.model import trainable
from jobs.localvertex.engine.progress import Progress
from jobs.localvertex.engine.tokens import ChatEncoder
from jobs.localvertex.engine.trainer import AnswerTrainer, arguments, build_trainer
from jobs.localvertex.engine.vision import Vision
from jobs.localvertex.memory.free import free_memory


def quiet_libraries() -> None:
    """Their notes are for whoever wrote this, not for whoever reads the log of a tuning."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    warnings.filterwarnings("ignore", message="Could not find a config file", module="peft")


def load_data(job: Job) -> tuple[Examples, Examples | None]:
    encoder = ChatEncoder(job.base_model_dir)
    train = load_examples(job.train_path, encoder, job.max_length, "training data")
    if job.validation_path is None:
        return train, None
    return train, load_examples(job.validation_path, encoder, job.max_length, "validation data")


def last_logged(trainer: AnswerTrainer, key: str, prefix: str) -> dict[str, Any] | None:
    for entry in reversed(trainer.state.log_history):
        if key in entry:
            return {name: entry[prefix + name] for name in ("loss", "token_accuracy")}
    return None


def train(job: Job, workdir: Path, events: EventLog, stop_if_asked: Callable[[], None], on: Training) -> None:
    torch.set_num_threads(job.threads or os.cpu_count() or 1)
    quiet_libraries()
    set_seed(job.seed)
    remove_halves(workdir)
    only_adapter = job.tuning_mode == "PEFT_ADAPTER" and (job.base_model_dir / MODEL).is_file()
    check_convertible(job.base_model_dir, whole=not only_adapter)
    train_rows, validation_rows = load_data(job)
    stop_if_asked()
    per_epoch = math.ceil(len(train_rows) / job.batch_size)
    stats = statistics(train_rows, validation_rows)
    steps = job.max_steps or per_epoch * job.epochs
    events.write("data_stats", **stats, steps=steps, steps_per_epoch=per_epoch)
    say(f"{len(train_rows)} rows, {stats['tokens']} tokens, {len(stats['truncated'])} cut, {stats['dropped']} left out")
    has_images = any(row.images for row in train_rows.rows)
    dtype = require_memory(job, rows_of(train_rows), free_memory(), on, has_images=has_images)
    model = trainable(job, on, dtype)
    stop_if_asked()
    args = arguments(job, workdir, steps, validation_rows is not None, on)
    progress = Progress(workdir, job.base_model_dir, events, math.ceil(steps / per_epoch), stop_if_asked)
    vision = Vision.read(job.base_model_dir)
    trainer = build_trainer(model, args, train_rows, validation_rows, [progress], vision, packed=on.is_packed)
    start = last_resumable(workdir)
    say(f"Resuming from {start.name}" if start else "Training starts")
    trainer.train(resume_from_checkpoint=str(start) if start else None)
    stop_if_asked()
    events.write("exporting")
    say("Writing the tuned model")
    last_step = last_logged(trainer, "learning_rate", "")
    assert last_step is not None
    write_final(job, workdir, model, model_card(job, stats, last_step, last_logged(trainer, "eval_loss", "eval_")))

"""A transformers Trainer whose loss and token accuracy are exact: sums over answer tokens, not means of batch means."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, Trainer, TrainingArguments

from jobs.localvertex.devices.choice import BFLOAT16, Training
from jobs.localvertex.devices.machine import CPU, CUDA
from jobs.localvertex.engine.answers import Answers, measure_flat, measure_padded
from jobs.localvertex.engine.batches import Collator
from jobs.localvertex.engine.dataset import Examples
from jobs.localvertex.engine.fast.supported import FastModel, fast_model
from jobs.localvertex.engine.job import CHECKPOINTS, Job
from jobs.localvertex.engine.vision import Vision


@dataclass
class Tally:
    loss: float = 0.0
    right: int = 0
    predictions: int = 0
    tokens: int = 0

    def add(self, answers: Answers) -> None:
        self.loss += float(answers.loss.detach())
        self.right += int(answers.right)
        self.predictions += answers.count
        self.tokens += answers.tokens

    def metrics(self) -> dict[str, float]:
        return {
            "loss": self.loss / self.predictions,
            "token_accuracy": self.right / self.predictions,
            "num_predictions": self.predictions,
            "tokens": self.tokens,
        }


class AnswerTrainer(Trainer):
    model_accepts_loss_kwargs = True

    def __init__(self, fast: FastModel | None, **options: Any) -> None:
        super().__init__(**options)
        self.fast = fast
        self.tallies = {True: Tally(), False: Tally()}

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        if self.fast is not None and "lengths" in inputs:
            answers = measure_flat(self.fast, inputs)
        else:
            answers = measure_padded(model, inputs)
        self.tallies[model.training].add(answers)
        return answers.loss / (answers.count if num_items_in_batch is None else num_items_in_batch)

    def prediction_step(
        self, model: Any, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[torch.Tensor, None, None]:
        with torch.inference_mode():
            return self.compute_loss(model, inputs).detach(), None, None

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        for key, training in (("loss", True), ("eval_loss", False)):
            if key in logs:
                measured = self.tallies[training].metrics()
                prefix = "" if training else "eval_"
                logs.update({prefix + name: value for name, value in measured.items()})
                self.tallies[training] = Tally()
        super().log(logs, start_time)


def schedule(job: Job, warmup_steps: int) -> str:
    """As transformers calls it: its own `constant` has no warm-up."""
    return "constant_with_warmup" if job.lr_scheduler_type == "constant" and warmup_steps else job.lr_scheduler_type


def device_settings(on: Training) -> dict[str, Any]:
    """On a card, the products of f32 adapters are in bf16, too."""
    return {
        "use_cpu": on.device == CPU,
        "bf16": on.device == CUDA and on.dtype == BFLOAT16,
        "activation_checkpointing": on.checkpoints,
        "activation_checkpointing_kwargs": {"use_reentrant": False} if on.checkpoints else None,
        "dataloader_pin_memory": on.device == CUDA,
    }


def arguments(job: Job, workdir: Path, steps: int, evaluates: bool, on: Training) -> TrainingArguments:
    warmup_steps = round(steps * job.warmup_ratio) if job.warmup_steps is None else min(job.warmup_steps, steps)
    return TrainingArguments(
        output_dir=str(workdir / CHECKPOINTS),
        num_train_epochs=job.epochs,
        max_steps=job.max_steps or -1,
        per_device_train_batch_size=job.batch_size,
        per_device_eval_batch_size=job.batch_size,
        learning_rate=job.learning_rate,
        lr_scheduler_type=schedule(job, warmup_steps),
        warmup_steps=warmup_steps,
        weight_decay=job.weight_decay,
        seed=job.seed,
        train_sampling_strategy="group_by_length",
        eval_strategy="epoch" if evaluates else "no",
        save_strategy="epoch",
        logging_steps=1,
        logging_nan_inf_filter=False,
        average_tokens_across_devices=False,
        remove_unused_columns=False,
        **device_settings(on),
        disable_tqdm=True,
        report_to=[],
    )


def build_trainer(
    model: Any,
    args: TrainingArguments,
    train: Examples,
    validation: Examples | None,
    callbacks: list[Any],
    vision: Vision | None,
    *,
    packed: bool = False,
) -> AnswerTrainer:
    fast = fast_model(model)
    trainer = AnswerTrainer(
        fast,
        model=model,
        args=args,
        train_dataset=train,
        eval_dataset=validation,
        data_collator=Collator(
            model.config.get_text_config().pad_token_id or 0, vision, flat=fast is not None, packed=packed
        ),
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer

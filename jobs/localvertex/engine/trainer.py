"""A transformers Trainer that runs the vocabulary head only where there is an answer token to predict.

The head of Gemma 3 (262,144 rows) costs more per token than the rest of the 270M model. Loss and token accuracy are
exact: sums over answer tokens, not means of batch means."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import PrinterCallback, Trainer, TrainingArguments

from jobs.localvertex.engine.dataset import Examples
from jobs.localvertex.engine.job import CHECKPOINTS, Job
from jobs.localvertex.engine.tokens import IGNORED
from jobs.localvertex.engine.vision import Vision

WARM_UP_SHARE = 0.05


@dataclass
class Tally:
    loss: float = 0.0
    right: int = 0
    predictions: int = 0

    def add(self, loss: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor) -> None:
        self.loss += float(loss.detach())
        self.right += int((logits.argmax(-1) == targets).sum())
        self.predictions += targets.numel()

    def metrics(self) -> dict[str, float]:
        return {
            "loss": self.loss / self.predictions,
            "token_accuracy": self.right / self.predictions,
            "num_predictions": self.predictions,
        }


class Collator:
    def __init__(self, pad: int, vision: Vision | None) -> None:
        self.pad = pad
        self.vision = vision

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        width = max(len(row["input_ids"]) for row in rows)
        batch = {
            "input_ids": self.padded([row["input_ids"] for row in rows], width, self.pad),
            "labels": self.padded([row["labels"] for row in rows], width, IGNORED),
            "attention_mask": self.padded([[1] * len(row["input_ids"]) for row in rows], width, 0),
        }
        if self.vision:  # image tokens (1) see each other in both directions
            batch["token_type_ids"] = (batch["input_ids"] == self.vision.image_token).long()
            images = [image for row in rows for image in row["images"]]
            if images:
                batch["pixel_values"] = torch.stack([self.vision.pixels(image) for image in images])
        return batch

    @staticmethod
    def padded(rows: list[list[int]], width: int, value: int) -> torch.Tensor:
        return torch.tensor([row + [value] * (width - len(row)) for row in rows])


class AnswerTrainer(Trainer):
    model_accepts_loss_kwargs = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.tallies = {True: Tally(), False: Tally()}

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        labels = inputs["labels"][:, 1:]
        wanted = labels != IGNORED
        targets = labels[wanted]
        rest = {name: value for name, value in inputs.items() if name != "labels"}
        outputs = model(**rest, logits_to_keep=functional.pad(wanted, (0, 1)), use_cache=False)
        logits = outputs.logits.float()
        total = functional.cross_entropy(logits, targets, reduction="sum")
        self.tallies[model.training].add(total, logits, targets)
        loss = total / (targets.numel() if num_items_in_batch is None else num_items_in_batch)
        return (loss, outputs) if return_outputs else loss

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


def arguments(job: Job, workdir: Path, steps: int, evaluates: bool) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(workdir / CHECKPOINTS),
        num_train_epochs=job.epochs,
        max_steps=job.max_steps or -1,
        per_device_train_batch_size=job.batch_size,
        per_device_eval_batch_size=job.batch_size,
        learning_rate=job.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=round(steps * WARM_UP_SHARE),
        weight_decay=0.0,
        seed=job.seed,
        train_sampling_strategy="group_by_length",
        eval_strategy="epoch" if evaluates else "no",
        save_strategy="epoch",
        logging_steps=1,
        logging_nan_inf_filter=False,
        average_tokens_across_devices=False,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        use_cpu=not torch.cuda.is_available(),
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
) -> AnswerTrainer:
    trainer = AnswerTrainer(
        model=model,
        args=args,
        train_dataset=train,
        eval_dataset=validation,
        data_collator=Collator(model.config.get_text_config().pad_token_id or 0, vision),
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer

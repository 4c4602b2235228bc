"""What the trainer tells while it runs: events, the checkpoints that are kept, and the way out on a cancel."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from jobs.localvertex.engine.checkpoints import ADAPTER_CONFIG, folder_of, forget_optimizer_states
from jobs.localvertex.engine.export.adapter import copy_tokenizer, write_checkpoint_adapter
from jobs.localvertex.engine.job import EventLog, JobError, checkpoint_epochs, say

# Once it is no number it never is one again: what would be learnt after that is worth nothing.
DIVERGED = (
    "The training diverged: its loss is not a number at step {step}. Use a lower learning rate. A new job can go on"
    " from a checkpoint before that step."
)
MEASURES = ("loss", "token_accuracy", "num_predictions", "tokens")


def count_begun_epochs(state: TrainerState) -> int:
    """The last one is not whole when the number of steps was given."""
    return math.ceil(round(state.epoch or 0, 3))


def in_words(measures: dict[str, float]) -> str:
    return f"loss {measures['loss']:.4f}, token accuracy {measures['token_accuracy']:.1%}"


class Progress(TrainerCallback):
    """`base`: where the tokenizer lies."""

    def __init__(
        self, workdir: Path, base: Path, events: EventLog, epochs: int, stop_if_asked: Callable[[], None]
    ) -> None:
        self.workdir, self.base = workdir, base
        self.events = events
        self.saved = checkpoint_epochs(epochs)
        self.stop_if_asked = stop_if_asked

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        logs = logs or {}
        where = {"step": state.global_step, "epoch": round(logs.get("epoch", 0.0), 4)}
        if "eval_loss" in logs:
            measures = {name: logs[f"eval_{name}"] for name in MEASURES}
            self.events.write("eval", **where, **measures)
            say(f"Epoch {where['epoch']:g}: validation {in_words(measures)}")
        elif "loss" in logs:
            measures = {name: logs[name] for name in MEASURES}
            self.events.write("step", **where, **measures, learning_rate=logs["learning_rate"])
            say(f"Step {state.global_step} of {state.max_steps}: {in_words(measures)}")
            if not math.isfinite(logs["loss"]):
                raise JobError(DIVERGED.format(step=state.global_step))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.stop_if_asked()

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        control.should_save = count_begun_epochs(state) in self.saved

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        folder = folder_of(self.workdir, state.global_step)
        write_checkpoint_adapter(folder, kwargs["model"])
        if not (folder / ADAPTER_CONFIG).is_file():
            copy_tokenizer(self.base, folder)  # a model by itself, also when the training is cancelled
        forget_optimizer_states(self.workdir, keep=folder)
        where = {"step": state.global_step, "epoch": count_begun_epochs(state)}
        self.events.write("checkpoint", **where, path=str(folder.relative_to(self.workdir)))
        say(f"Epoch {where['epoch']}: saved {folder.name}")

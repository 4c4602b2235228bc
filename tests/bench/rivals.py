"""The same tuning by other trainers, told in the engine's events: `python -m tests.bench.rivals trainer|trl WORKDIR`.

`trainer` is transformers' Trainer as it comes, with padded batches; `trl` is TRL's SFTTrainer as it comes. Data, base
model, adapter, batch size, learning rate and its schedule are the engine's, and so is the order of the rows.
"""

import math
import sys
from pathlib import Path
from typing import Any

from jobs.localvertex.engine.__main__ import prepare_environment
from jobs.localvertex.engine.job import EVENTS, EventLog, Job


def main(which: str, workdir: Path) -> None:
    prepare_environment()
    import torch
    from transformers import TrainerCallback, set_seed

    from jobs.localvertex.engine.dataset import load_examples
    from jobs.localvertex.engine.tokens import ChatEncoder

    class Report(TrainerCallback):
        def on_log(
            self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any
        ) -> None:
            if logs and "loss" in logs:
                tokens = batches[state.global_step - 1]
                events.write("step", step=state.global_step, loss=float(logs["loss"]), tokens=tokens)

    job, events = Job.read(workdir / "job.json"), EventLog(workdir / EVENTS)
    torch.set_num_threads(job.threads)
    set_seed(job.seed)
    examples = load_examples(job.train_path, ChatEncoder(job.base_model_dir), job.max_length, "data")
    batches: list[int] = []
    build = {"trainer": plain_trainer, "trl": trl_trainer}[which]
    trainer = build(job, workdir, examples)
    trainer.data_collator = counting(trainer.data_collator, batches)
    trainer.add_callback(Report())
    trainer.train()


def counting(collate: Any, batches: list[int]) -> Any:
    def counted(rows: list[dict[str, Any]]) -> Any:
        batches.append(sum(len(row["input_ids"]) for row in rows))
        return collate(rows)

    return counted


def settings(job: Job, workdir: Path, rows: int) -> dict[str, Any]:
    """What decides about the result. All that decides about speed alone is left as it is."""
    from jobs.localvertex.engine.model import ON_CPU
    from jobs.localvertex.engine.trainer import arguments

    ours = arguments(job, workdir, math.ceil(rows / job.batch_size) * job.epochs, False, ON_CPU)
    names = ["output_dir", "num_train_epochs", "per_device_train_batch_size", "learning_rate", "lr_scheduler_type"]
    names += ["warmup_steps", "weight_decay", "seed", "train_sampling_strategy", "logging_steps", "report_to"]
    return {name: getattr(ours, name) for name in names} | {
        **{"bf16": True, "use_cpu": True, "save_strategy": "no", "disable_tqdm": True, "dataloader_pin_memory": False}
    }


def plain_trainer(job: Job, workdir: Path, examples: Any) -> Any:
    from transformers import Trainer, TrainingArguments

    from jobs.localvertex.engine.batches import Collator
    from jobs.localvertex.engine.model import trainable

    arguments = TrainingArguments(**settings(job, workdir, len(examples)), remove_unused_columns=False)
    model = trainable(job)
    return Trainer(model, arguments, Collator(model.config.pad_token_id, None), examples)


def trl_trainer(job: Job, workdir: Path, examples: Any) -> Any:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from jobs.localvertex.engine.model import load_base, lora_targets
    from jobs.localvertex.engine.tokens import IGNORED

    rows = [
        {"input_ids": row["input_ids"], "completion_mask": [int(label != IGNORED) for label in row["labels"]]}
        for row in examples
    ]
    model = load_base(job.base_model_dir, torch.bfloat16)
    adapter = LoraConfig(
        r=job.adapter_size,
        lora_alpha=2 * job.adapter_size,
        lora_dropout=0.0,
        target_modules=lora_targets(model),
        task_type="CAUSAL_LM",
    )
    return SFTTrainer(
        model=model,
        args=SFTConfig(completion_only_loss=True, **settings(job, workdir, len(rows))),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(job.base_model_dir),
        peft_config=adapter,
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

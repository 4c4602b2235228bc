"""The same tuning by LLaMA-Factory, in an environment of its own: `python tests/bench/llama_factory.py WORKDIR`.

Nothing of this project can be imported there. The rows come as tokens, so that they are the same ones; adapter, batch
size, learning rate and its schedule are what settings.json says, and all else is as LLaMA-Factory has it.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

# Before PyTorch is imported, as the engine and the other rivals have it. It names one release of PyTorch and others.
os.environ.update(OMP_WAIT_POLICY="PASSIVE", HF_HUB_OFFLINE="1", DISABLE_VERSION_CHECK="1")
os.environ["TOKENIZERS_PARALLELISM"] = "false"


def main(workdir: Path) -> None:
    import torch
    from datasets import Dataset, DatasetDict
    from llamafactory.train.tuner import run_exp
    from transformers import TrainerCallback

    class Report(TrainerCallback):
        def __init__(self) -> None:
            self.seen = 0

        def on_log(
            self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any
        ) -> None:
            if not logs or "loss" not in logs:
                return
            tokens, self.seen = int(state.num_input_tokens_seen) - self.seen, int(state.num_input_tokens_seen)
            event = {"event": "step", "step": state.global_step, "loss": float(logs["loss"]), "tokens": tokens}
            with (workdir / "events.jsonl").open("a") as file:
                file.write(json.dumps(event | {"time": time.time()}) + "\n")

    settings = json.loads((workdir / "settings.json").read_text())
    torch.set_num_threads(settings.pop("threads"))
    rows = [json.loads(line) for line in (workdir / "rows.jsonl").read_text().splitlines()]
    for row in rows:
        row["attention_mask"] = [1] * len(row["input_ids"])
    DatasetDict({"train": Dataset.from_list(rows)}).save_to_disk(workdir / "tokenized")
    arguments = {
        **{"stage": "sft", "do_train": True, "finetuning_type": "lora", "lora_target": "all", "lora_dropout": 0.0},
        **{
            "template": "empty",
            "dataset": "tokens",
            "tokenized_path": str(workdir / "tokenized"),
            "output_dir": str(workdir / "out"),
        },
        **{"use_cpu": True, "bf16": True, "report_to": "none", "save_strategy": "no", "disable_tqdm": True},
        **{"include_num_input_tokens_seen": "non_padding", "logging_steps": 1, "overwrite_output_dir": True},
    }
    run_exp(arguments | settings, callbacks=[Report()])


if __name__ == "__main__":
    os.nice(max(0, 10 - os.nice(0)))
    main(Path(sys.argv[1]))

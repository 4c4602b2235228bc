"""The model card of a tuned model: what was done to which model, with which figures, and what nobody has checked."""

from typing import Any

from jobs.localvertex.engine.job import Job

CARD = """\
---
library_name: transformers
pipeline_tag: text-generation
base_model: {base_model}
tags:
- fine-tuned
---

# {name}

{base_model}, fine-tuned on one dataset ({method}) with Garden Console.{custom}

## Training

| | |
|---|---|
| Base model | {base_model} |
| Method | {method} |
| Training rows | {examples:,} ({tokens:,} tokens, of which {answers:,} are answers and were learned) |
| Rows cut to {max_length:,} tokens | {truncated} |
| Rows left out because no answer remained | {dropped} |
| Validation rows | {validation_examples:,} |
| Epochs | {epochs} |
| Batch size | {batch_size} |
| Learning rate | {learning_rate:g}, {lr_scheduler_type} |
| Seed | {seed} |

## Result

| | loss | token accuracy |
|---|---|---|
{results}

Loss is the mean over the answer tokens; token accuracy is the share of them that the model found most likely.

## What to know before using it

- Nobody has tested this model beyond the figures above. With few rows, it has learned a style more than facts.
- It can be wrong, and it inherits the limits and biases of its base model.
- It is a derivative of {base_model}: the licence and the terms of use of that model apply to it.
- The chat template is in `chat_template.jinja`; use it, the model was trained with it.{adapter}
"""

CHECKPOINT_CARD = """\
---
library_name: transformers
pipeline_tag: text-generation
base_model: {base_model}
tags:
- fine-tuned
---

# {name}

{base_model} with the LoRA adapter of one checkpoint of a tuning, merged by Garden Console.

- This is the model as it was at that checkpoint, which need not be the one at the end of the training.
- Nobody has tested this model. It can be wrong, and it inherits the limits and biases of its base model.
- It is a derivative of {base_model}: the licence and the terms of use of that model apply to it.
- The chat template is in `chat_template.jinja`; use it, the model was trained with it.
"""

ADAPTER_NOTE = "\n- `adapter/` holds the LoRA adapter alone, for PEFT and (`adapter.gguf`) for llama.cpp."


def result_rows(last_step: dict[str, Any], last_eval: dict[str, Any] | None) -> str:
    rows = [("Last training step", last_step)] + ([("Validation", last_eval)] if last_eval else [])
    return "\n".join(f"| {name} | {row['loss']:.4f} | {row['token_accuracy']:.1%} |" for name, row in rows)


def checkpoint_card(name: str, base_model: str) -> str:
    """One line each, whatever somebody called them: the head of the card is YAML."""
    return CHECKPOINT_CARD.format(name=" ".join(name.split()), base_model="".join(base_model.split()))


def lora_in_words(job: Job) -> str:
    begun = ", begun with the adapter of an earlier tuning" if job.adapter_dir else ""
    base = f" on a {job.quantization[:-3]}-bit base" if job.quantization else ""
    return f"LoRA{base}, rank {job.adapter_size}, alpha {job.lora_alpha or 2 * job.adapter_size}{begun}"


def model_card(job: Job, stats: dict[str, Any], last_step: dict[str, Any], last_eval: dict[str, Any] | None) -> str:
    lora = job.tuning_mode == "PEFT_ADAPTER"
    return CARD.format(
        name=job.display_name,
        base_model=job.base_model,
        method=lora_in_words(job) if lora else "full fine-tuning",
        answers=sum(stats["output_tokens"]),
        truncated=len(stats["truncated"]),
        results=result_rows(last_step, last_eval),
        custom=f" It goes on from the weights in {job.custom_base}." if job.custom_base else "",
        adapter=ADAPTER_NOTE if lora else "",
        **{name: stats[name] for name in ("examples", "tokens", "validation_examples", "dropped")},
        **{
            name: getattr(job, name)
            for name in ("max_length", "epochs", "batch_size", "learning_rate", "lr_scheduler_type", "seed")
        },
    )

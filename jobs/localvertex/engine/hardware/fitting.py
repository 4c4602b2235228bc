"""Whether the memory is there that a training takes, when its rows are known and nothing is loaded yet."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jobs.localvertex.devices.choice import BFLOAT16, CUDA_CONTEXT, Training as Chosen
from jobs.localvertex.devices.machine import CPU, CUDA
from jobs.localvertex.engine.dataset import Examples
from jobs.localvertex.engine.job import Job, JobError
from jobs.localvertex.engine.model import ON_CPU, dtype_of_base
from jobs.localvertex.memory.fit import why_not_train
from jobs.localvertex.memory.shape import Shape
from jobs.localvertex.memory.training import HALF, SINGLE, Method, Row, Training


def require_memory(
    job: Job, rows: Sequence[Row], free: int | None, on: Chosen = ON_CPU, *, has_images: bool = False
) -> None:
    """A training that is killed for its memory looks like one that crashed, and would be tried again. Raises
    RESOURCE_EXHAUSTED. `free`: of the machine; a graphics card has memory of its own."""
    shape = Shape.read(job.base_model_dir) if on.device == CPU or on.card else None
    where = "this machine"
    if on.card:
        free, where = on.card.free, on.card.name
    if shape is None or free is None:
        return
    training = Training(shape, method_on(on, method_of(job, has_images=has_images)))
    if reason := why_not_train(training, rows, job.batch_size, free, where):
        raise JobError(reason, "RESOURCE_EXHAUSTED")


def method_on(on: Chosen, method: Method) -> Method:
    """On the card that was chosen, whose base is in bf16 or in f32."""
    if on.device != CUDA:
        return method
    base = HALF if on.dtype == BFLOAT16 else SINGLE
    return replace(method, base=base, on_gpu=True, checkpoints=on.checkpoints, process=CUDA_CONTEXT)


def method_of(job: Job, *, has_images: bool) -> Method:
    return Method(
        mode=job.tuning_mode,
        rank=_rank(job.adapter_dir) or job.adapter_size,
        quantization=job.quantization,
        base=dtype_of_base(job.base_model_dir).itemsize,
        is_plain=not has_images,
    )


def rows_of(examples: Examples) -> list[Row]:
    return [Row(len(row.input_ids), row.answers, len(row.images)) for row in examples.rows]


def _rank(adapter: Path | None) -> int:
    """Of the adapter to go on from; 0 without one, and where it cannot be read, which fails when it is loaded."""
    try:
        config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8")) if adapter else {}
        return int(config.get("r", 0))
    except (OSError, ValueError, TypeError, AttributeError):
        return 0

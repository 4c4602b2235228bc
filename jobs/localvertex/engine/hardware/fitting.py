"""Whether the memory is there that a training takes, when its rows are known and nothing is loaded yet."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from jobs.localvertex.devices.choice import Training as Chosen
from jobs.localvertex.devices.machine import CPU
from jobs.localvertex.engine.dataset import Examples
from jobs.localvertex.engine.job import Job, JobError
from jobs.localvertex.engine.model import ON_CPU, dtype_of_base, dtype_on
from jobs.localvertex.memory.fit import why_not_train_on
from jobs.localvertex.memory.shape import Shape
from jobs.localvertex.memory.training import Method, Row


def require_memory(
    job: Job,
    rows: Sequence[Row],
    free: int | None,
    on: Chosen = ON_CPU,
    *,
    has_images: bool = False,
    quickest: torch.dtype | None = None,
) -> torch.dtype:
    """A training that is killed for its memory looks like one that crashed, and would be tried again. Raises
    RESOURCE_EXHAUSTED. `free`: of the machine; a graphics card has memory of its own. Returns the numbers of the base:
    the `quickest`, the machine's own when not given, or bf16 on a CPU where a step on these rows has no room for f32.
    """
    wanted = quickest or dtype_on(on, job.base_model_dir)
    if (shape := Shape.read(job.base_model_dir)) is None:
        return wanted
    reason = ""
    for dtype in (wanted, torch.bfloat16) if on.device == CPU else (wanted,):
        method = method_of(job, has_images=has_images, dtype=dtype)
        if not (reason := why_not_train_on(on, shape, method, rows, job.batch_size, free)):
            return dtype
    raise JobError(reason, "RESOURCE_EXHAUSTED")


def method_of(job: Job, *, has_images: bool, dtype: torch.dtype | None = None) -> Method:
    return Method(
        mode=job.tuning_mode,
        rank=_rank(job.adapter_dir) or job.adapter_size,
        quantization=job.quantization,
        base=(dtype or dtype_of_base(job.base_model_dir)).itemsize,
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

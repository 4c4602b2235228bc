"""Which checkpoints lie in the output folder of a job that ended without a model: Vertex AI lists only those of a
success."""

import re
from typing import Any

from jobs.models import TuningJob, TuningMode
from jobs.vertex import get_gateway
from jobs.vertex.errors import NotFound
from jobs.vertex.values import Listing

from .continuation import RESULTS

ENTRIES = 100
MOST = 20
FOLDER = re.compile(r"checkpoint-(\d{1,9})")
SHARD = re.compile(r".+-of-(\d{1,5})\.safetensors")
ADAPTER = {"adapter_config.json", "adapter_model.safetensors"}
MODEL = {"config.json", "tokenizer.json"}


def find_checkpoints(job: TuningJob) -> list[dict[str, Any]]:
    """As `TuningJob.checkpoints`, without those that are not whole. At most two dozen reads; raises VertexError."""
    storage, folder = get_gateway().storage, f"{job.output_uri.rstrip('/')}/{RESULTS}"
    try:
        names = storage.list_folder(folder, "", ENTRIES).folders
    except NotFound:
        return []
    steps = sorted({int(found[1]) for name in names if (found := FOLDER.fullmatch(name))})[-MOST:]
    whole = [step for step in steps if _is_whole(storage.list_folder(f"{folder}/checkpoint-{step}", "", ENTRIES), job)]
    return [
        {"checkpoint_id": str(number), "epoch": _epoch(job, step), "step": step}
        for number, step in enumerate(whole, start=1)
    ]


def _is_whole(listing: Listing, job: TuningJob) -> bool:
    """A write that was cut off lacks the weights, or some of their files."""
    names = {found.name for found in listing.objects}
    if job.tuning_mode == TuningMode.PEFT_ADAPTER:
        return names >= ADAPTER
    weights = [name for name in names if name.endswith(".safetensors")]
    wanted = max((int(found[1]) for name in weights if (found := SHARD.fullmatch(name))), default=1)
    return names >= MODEL and len(weights) >= wanted


def _epoch(job: TuningJob, step: int) -> int:
    """0 while nobody has said how many steps there are."""
    return round(step * job.epochs / job.total_steps) if job.total_steps else 0

"""Which checkpoints of a work folder are whole. The trainer writes in place, so a kill leaves halves behind."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobs.localvertex.engine.job import CHECKPOINTS

NEEDED = ("optimizer.pt", "scheduler.pt", "rng_state.pth")
HALF = 2  # bytes
LAST_WRITTEN = "trainer_state.json"
ADAPTER_CONFIG, ADAPTER_GGUF = "adapter_config.json", "adapter.gguf"


def folder_of(workdir: Path, step: int) -> Path:
    return workdir / CHECKPOINTS / f"checkpoint-{step}"


def step_of(folder: Path) -> int:
    return int(folder.name.rpartition("-")[2])


def all_checkpoints(workdir: Path) -> list[Path]:
    return sorted((workdir / CHECKPOINTS).glob("checkpoint-*"), key=step_of)


def is_finished(folder: Path) -> bool:
    """The trainer's own part, and the adapter that is written after it."""
    if (folder / ADAPTER_CONFIG).is_file() and not (folder / ADAPTER_GGUF).is_file():
        return False
    try:
        json.loads((folder / LAST_WRITTEN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return any(not path.name.startswith(".") for path in folder.glob("*.safetensors"))


def remove_halves(workdir: Path) -> None:
    for folder in all_checkpoints(workdir):
        if not is_finished(folder):
            shutil.rmtree(folder)


def last_resumable(workdir: Path) -> Path | None:
    whole = [folder for folder in all_checkpoints(workdir) if all((folder / name).is_file() for name in NEEDED)]
    return whole[-1] if whole else None


def forget_optimizer_states(workdir: Path, keep: Path) -> None:
    """Only the newest checkpoint is resumed from, and an optimizer state is twice the size of what it optimizes."""
    for folder in all_checkpoints(workdir):
        if folder != keep:
            (folder / "optimizer.pt").unlink(missing_ok=True)
            store_in_half(folder)


def store_in_half(folder: Path) -> None:
    """The weights of a full tuning, in the bf16 that a finished model has too; an adapter is left as it is."""
    from safetensors.torch import load_file, save_file  # noqa: PLC0415 - torch reads the environment on import

    for path in folder.glob("model*.safetensors"):
        tensors = load_file(path)
        if any(tensor.dtype.itemsize > HALF for tensor in tensors.values()):
            half = {name: tensor.bfloat16() for name, tensor in tensors.items()}
            with beside(path) as partial:
                save_file(half, partial, metadata={"format": "pt"})
            config = json.loads((folder / "config.json").read_text(encoding="utf-8")) | {"dtype": "bfloat16"}
            with beside(folder / "config.json") as partial:
                partial.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A file to write that takes the place of `path` when it is whole, and is gone when it cannot be."""
    partial = path.with_name(f".{path.name}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)

"""What is told of a training's memory to programs on other machines, which then know it for each batch and row."""

from typing import Any

from jobs.localvertex.memory.fit import MARGIN
from jobs.localvertex.memory.shape import Shape
from jobs.localvertex.memory.training import TRAINED, Method, Row, Training

MODES = ("PEFT_ADAPTER", "FULL")
LENGTHS = (16, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
# Of which the share of one is taken: short rows lie in blocks with others.
ROWS = 16


def describe_training(shape: Shape, batch: int, longest: int) -> dict[str, Any]:
    """In bytes, with the margin. `fixed`, and `rank` for each rank of an adapter; to that the larger of `saving` and a
    step: `step`, and for each of its rows what `rows` has for its length, and `answer` for each token that is learned.
    """
    return {"batch": batch, "modes": {mode: _describe(shape, mode, longest) for mode in MODES}}


def _describe(shape: Shape, mode: str, longest: int) -> dict[str, Any]:
    training = Training(shape, Method(mode, rank=0))
    step = training.count_passing([])
    lengths = [length for length in LENGTHS if length < longest] + [longest]
    rows = {length: (training.step([Row(length, 0)] * ROWS) - step) / ROWS for length in lengths}
    answer = training.step([Row(1, 1)]) - training.step([Row(1, 0)])
    rank = 0 if mode == "FULL" else shape.adapter * TRAINED
    found = {"fixed": training.fixed, "rank": rank, "saving": training.saving, "step": step, "answer": answer}
    told: dict[str, Any] = {name: round(size * MARGIN) for name, size in found.items()}
    return told | {"rows": {str(length): round(size * MARGIN) for length, size in rows.items()}}

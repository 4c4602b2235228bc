"""What is told of a training's memory to programs on other machines, which then know it for each batch and row."""

from typing import Any

from jobs.localvertex.devices.choice import choose_for_training
from jobs.localvertex.devices.machine import Machine
from jobs.localvertex.memory.fit import MARGIN
from jobs.localvertex.memory.placing import choose_by_size, find_free, method_on
from jobs.localvertex.memory.shape import Shape
from jobs.localvertex.memory.training import TRAINED, Method, Row, Training

MODES = ("PEFT_ADAPTER", "FULL")
LENGTHS = (16, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
# Of which the share of one is taken: short rows lie in blocks with others.
ROWS = 16
MASKED = 1024  # tokens of the row whose mask is told


def describe_training(shape: Shape, batch: int, longest: int, machine: Machine, free: int | None) -> dict[str, Any]:
    """In bytes, with the margin. `fixed`, and `rank` for each rank of an adapter; to that the larger of `saving` and a
    step: `step`, and for each of its rows what `rows` has for its length, and `answer` for each token that is learned.
    Where rows are `padded` each is as long as the longest, and `mask` is that of a row of MASKED tokens, `even_mask`
    the same where all rows of the step are of one length; it grows with the square of the length.

    `with_images` has the same for rows with images, each of which is `image_tokens` of its row, and takes `shown`
    beside a step and `image` before it: the larger of all `image` and the step counts. A mode that trains on a card has
    its name and what is `free` there; one that no card has room for, the name of the one that is `too_small`. `free`:
    of the machine. A mode of which nothing is known is left out."""
    found: dict[str, Any] = {"batch": batch, "modes": _describe_modes(shape, longest, machine, free, is_plain=True)}
    if shape.side:
        found["with_images"] = _describe_modes(shape, longest, machine, free, is_plain=False)
    return found


def _describe_modes(
    shape: Shape, longest: int, machine: Machine, free: int | None, *, is_plain: bool
) -> dict[str, dict[str, Any]]:
    modes = {}
    for mode in MODES:
        on = choose_by_size(shape.parameters, mode, None, machine)
        there, card = find_free(on, free)
        if there is not None:
            method = method_on(on, Method(mode, rank=0, is_plain=is_plain))
            place = {"card": card, "free": there} if card else _name_too_small(machine)
            modes[mode] = _describe(Training(shape, method), longest) | place
    return modes


def _name_too_small(machine: Machine) -> dict[str, Any]:
    """The card that would train what needs less memory."""
    card = choose_for_training(machine).card
    return {"too_small": card.name} if card else {}


def _describe(training: Training, longest: int) -> dict[str, Any]:
    shape = training.shape
    # A step that learns nothing from no rows.
    step = training.copies + training.count_passing([])
    even_mask = training.mask if shape.side else 0
    lengths = [length for length in LENGTHS if length < longest] + [longest]
    rows = {
        length: (training.step([Row(length, 0)] * ROWS) - step) / ROWS - even_mask * length**2 for length in lengths
    }
    found = {
        "fixed": training.fixed,
        "rank": 0 if training.method.is_full else shape.adapter * TRAINED,
        "saving": training.saving,
        "step": step,
        "answer": training.step([Row(1, 1)]) - training.step([Row(1, 0)]),
        "mask": training.mask * MASKED**2,
        "even_mask": even_mask * MASKED**2,
    }
    if not training.method.is_plain:
        found |= {"shown": training.of_pixels, "image": training.of_image}
    told: dict[str, Any] = {name: round(size * MARGIN) for name, size in found.items()}
    if not training.method.is_plain:
        told["image_tokens"] = shape.image_tokens
    return told | {
        "padded": training.is_padded,
        "rows": {str(length): round(size * MARGIN) for length, size in rows.items()},
    }

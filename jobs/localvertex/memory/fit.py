"""Whether a training fits, and what would."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jobs.localvertex.devices.choice import Training as Chosen
from jobs.localvertex.devices.machine import Machine
from jobs.localvertex.memory.placing import choose_by_size, find_free, method_on
from jobs.localvertex.memory.shape import Shape
from jobs.localvertex.memory.training import Method, Row, Training

# Above what is expected: so much at least stays for what else runs.
MARGIN = 1.1
SMALLEST_ROW = Row(1, 1)
OTHER_REMEDIES = "Close other programs, use shorter rows or a smaller base model, or a machine with more memory."


@dataclass(frozen=True)
class Fit:
    """`needed`: with the margin, as it is compared with what is free. `batch`: the largest that fits, of the batch size
    that was asked for and its halves; 0 where none does."""

    needed: int
    free: int
    asked: int
    batch: int

    @property
    def fits(self) -> bool:
        return self.batch == self.asked


def fit_training(training: Training, rows: Sequence[Row], batch: int, free: int) -> Fit:
    return Fit(_add_margin(training.peak(rows, batch)), free, batch, _largest_batch(training, rows, batch, free))


def _largest_batch(training: Training, rows: Sequence[Row], batch: int, free: int) -> int:
    while batch and _add_margin(training.peak(rows, batch)) > free:
        batch //= 2
    return batch


def _add_margin(size: int) -> int:
    return round(size * MARGIN)


def why_not_train(training: Training, rows: Sequence[Row], batch: int, free: int, where: str = "this machine") -> str:
    """What is missing and what helps; empty when it fits. `where`: whose memory it is."""
    fit = fit_training(training, rows, batch, free)
    if fit.fits:
        return ""
    missing = f"The training needs about {gigabytes(fit.needed)} of memory, and {gigabytes(free)} are free on {where}."
    if fit.batch:
        return f"{missing} A batch_size of {fit.batch} fits. {OTHER_REMEDIES}"
    adapter = replace(training, method=replace(training.method, mode="PEFT_ADAPTER"))
    if training.method.is_full and (smaller := _largest_batch(adapter, rows, batch, free)):
        return f"{missing} PEFT_ADAPTER fits with a batch_size of {smaller}. {OTHER_REMEDIES}"
    return f"{missing} {OTHER_REMEDIES}"


def why_not_train_on(
    on: Chosen, shape: Shape, method: Method, rows: Sequence[Row], batch: int, of_machine: int | None
) -> str:
    """The same where the training takes place. Nothing where nobody tells what is free."""
    free, card = find_free(on, of_machine)
    if free is None:
        return ""
    return why_not_train(Training(shape, method_on(on, method)), rows, batch, free, card or "this machine")


def why_never_train(training: Training, whole: int, where: str = "this machine") -> str:
    """Of what no batch size and no row makes small enough for a machine or a card that has `whole` bytes."""
    needed = training.peak([SMALLEST_ROW], 1)
    if needed <= whole:
        return ""
    return (
        f"The training needs at least {gigabytes(needed)} of memory, and {where} has {gigabytes(whole)}. Use a"
        " smaller base model or a machine with more memory"
        + (", or choose PEFT_ADAPTER." if training.method.is_full else ".")
    )


def why_never_train_on(machine: Machine, shape: Shape, method: Method, of_machine: int | None) -> str:
    """The same where the training takes place once all cards are free. Nothing where nobody tells how much there is."""
    empty = replace(machine, cards=tuple(replace(card, free=card.total) for card in machine.cards))
    on = choose_by_size(shape.parameters, method.mode, method.quantization, empty)
    whole, card = find_free(on, of_machine)
    if whole is None:
        return ""
    return why_never_train(Training(shape, method_on(on, method)), whole, card or "this machine")


def gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"

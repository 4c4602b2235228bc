from dataclasses import replace

from jobs.localvertex.devices.choice import BFLOAT16, Training as Chosen
from jobs.localvertex.devices.machine import CPU, CUDA, Card, Machine
from jobs.localvertex.memory.fit import (
    MARGIN,
    fit_training,
    why_never_train,
    why_never_train_on,
    why_not_train,
    why_not_train_on,
)
from jobs.localvertex.memory.shape import Shape
from jobs.localvertex.memory.training import PROCESS_BYTES, Method, Row, Training

SMALL = Shape(
    model_type="llama", layers=30, near=0, window=0, width=576, inner=1536, heads=9, kv_heads=3, head=64,
    vocabulary=49152, parameters=134_515_008,
)  # fmt: skip
LORA, FULL = Training(SMALL, Method("PEFT_ADAPTER")), Training(SMALL, Method("FULL"))
ROWS = [Row(512, 256)] * 16
OTHERS = "Close other programs, use shorter rows or a smaller base model, or a machine with more memory."


def needed(training: Training, batch: int) -> int:
    """So much that it fits with its margin."""
    return round(training.peak(ROWS, batch) * MARGIN) + 1


def test_it_fits():
    fit = fit_training(LORA, ROWS, 4, needed(LORA, 4))
    assert (fit.fits, fit.batch, why_not_train(LORA, ROWS, 4, needed(LORA, 4))) == (True, 4, "")


def test_it_fits_with_a_smaller_batch():
    """Half of it first, as a batch of half the size takes twice the steps."""
    free = needed(LORA, 2)
    fit = fit_training(LORA, ROWS, 8, free)
    assert (fit.fits, fit.batch) == (False, 2)
    assert why_not_train(LORA, ROWS, 8, free) == (
        "The training needs about 4.6 GB of memory, and 1.9 GB are free on this machine. A batch_size of 2 fits."
        f" {OTHERS}"
    )


def test_an_adapter_fits_where_a_full_tuning_does_not():
    free = needed(LORA, 1)
    assert why_not_train(FULL, ROWS, 1, free) == (
        "The training needs about 3.6 GB of memory, and 1.4 GB are free on this machine. PEFT_ADAPTER fits with a"
        f" batch_size of 1. {OTHERS}"
    )


def test_what_fits_without_its_margin_only_is_not_said_to_fit():
    free = round(LORA.peak(ROWS, 8) * 1.05)
    assert why_not_train(LORA, ROWS, 8, free).startswith(
        "The training needs about 4.6 GB of memory, and 4.4 GB are free on this machine. A batch_size of 4 fits."
    )


def test_it_does_not_fit():
    fit = fit_training(LORA, ROWS, 8, PROCESS_BYTES)
    assert (fit.fits, fit.batch) == (False, 0)
    assert why_not_train(LORA, ROWS, 8, PROCESS_BYTES).endswith(f"0.5 GB are free on this machine. {OTHERS}")


def test_a_machine_that_never_has_enough():
    least = FULL.peak([Row(1, 1)], 1)
    assert why_never_train(FULL, least) == ""
    assert why_never_train(FULL, least - 1) == (
        "The training needs at least 3.2 GB of memory, and this machine has 3.2 GB. Use a smaller base model or a"
        " machine with more memory, or choose PEFT_ADAPTER."
    )
    assert why_never_train(LORA, 2**20).endswith("Use a smaller base model or a machine with more memory.")


L4 = Card("GPU-a", "NVIDIA L4", 24 * 10**9, 10**9, (8, 9))
ONE_CARD = Machine((L4,), torch=CUDA, cuda=(13, 0))


def test_a_card_that_is_busy_now_may_train_later():
    """One of the size that a model never fits on leaves it to the CPU."""
    huge = replace(SMALL, parameters=4 * 10**9)
    assert why_never_train_on(ONE_CARD, SMALL, Method("FULL"), 10**9) == ""
    assert why_never_train_on(ONE_CARD, huge, Method("PEFT_ADAPTER"), 10**9) == ""
    assert why_never_train_on(ONE_CARD, huge, Method("FULL"), None) == ""
    assert "and this machine has 1.0 GB." in why_never_train_on(ONE_CARD, huge, Method("FULL"), 10**9)
    assert "and this machine has 1.0 GB." in why_never_train_on(Machine(), SMALL, Method("FULL"), 10**9)
    wide = replace(SMALL, vocabulary=2 * 10**9)
    assert "and NVIDIA L4 has 24.0 GB." in why_never_train_on(ONE_CARD, wide, Method("PEFT_ADAPTER"), 10**12)


def test_what_is_free_counts_where_the_training_takes_place():
    on, method = Chosen(CUDA, "", card=L4, dtype=BFLOAT16), Method("PEFT_ADAPTER")
    on_card = why_not_train_on(on, SMALL, method, ROWS, 1, 0)
    assert on_card.startswith("The training needs about 1.7 GB of memory, and 1.0 GB are free on NVIDIA L4.")
    assert "are free on this machine." in why_not_train_on(Chosen(CPU, ""), SMALL, method, ROWS, 1, 0)
    assert why_not_train_on(Chosen(CPU, ""), SMALL, method, ROWS, 1, None) == ""


def test_the_longest_rows_count_where_they_are_together():
    """As the trainer puts rows of about one length into a step; what comes in the file in between does not matter."""
    mixed = [Row(512, 10), Row(8, 4)] * 8
    assert LORA.peak(mixed, 8) == LORA.peak([Row(512, 10)] * 8, 8)
    assert LORA.peak([*mixed, Row(511, 511)], 1) == LORA.peak([Row(511, 511)], 1)


def test_quantised_weights_are_smaller_until_the_adapter_is_merged():
    """Into weights that were not, which are read for it."""
    quantised = Training(SMALL, Method("PEFT_ADAPTER", quantization="4bit"))
    assert LORA.fixed - quantised.fixed == round(SMALL.projections * (2 - 0.56))
    assert (LORA.saving, quantised.saving) == (0, SMALL.parameters * 2)

"""Where a model is trained and served, on machines as they are described here: none of them has to be there."""

from dataclasses import replace

import pytest

from jobs.localvertex.devices.choice import (
    ALL_THAT_FIT,
    FLASH,
    NONE,
    SDPA,
    Serving,
    Training,
    choose_for_serving,
    choose_for_training,
    free_for_serving,
    list_cards_for_serving,
    memory_for_serving,
)
from jobs.localvertex.devices.machine import CPU, CUDA, METAL, MPS, OTHER, Card, Machine

GB = 10**9
BIG = Card("GPU-a", "NVIDIA GeForce RTX 4090", 25 * GB, 24 * GB, (8, 9))
SMALL = Card("GPU-b", "NVIDIA GeForce RTX 3070", 8 * GB, 7 * GB, (8, 6))
OLD = Card("GPU-c", "Tesla T4", 16 * GB, 15 * GB, (7, 5))
ANCIENT = Card("GPU-d", "Tesla P100", 16 * GB, 16 * GB, (6, 0))

NOTHING = Machine()
ONE_BIG = Machine((BIG,), torch=CUDA, cuda=(13, 0), llama=CUDA)
ONE_SMALL = Machine((SMALL,), torch=CUDA, cuda=(13, 0), llama=CUDA)
UNEQUAL = Machine((SMALL, BIG), torch=CUDA, cuda=(13, 0), llama=CUDA)
ONE_OLD = Machine((OLD,), torch=CUDA, cuda=(13, 0), llama=CUDA)
CPU_BUILDS = Machine((BIG,), torch=CPU, llama=CPU)
APPLE = Machine(torch=MPS, llama=METAL, has_apple_gpu=True, macos=(15, 1))

# Of a model with four billion weights, and of one with 270 million.
FOUR, QUARTER = 8 * GB, GB // 2


def test_without_a_gpu_the_cpu_trains_and_serves() -> None:
    why = "No GPU of NVIDIA's or Apple's was found, so the CPU is used."
    assert choose_for_training(NOTHING, QUARTER) == Training(CPU, why)
    assert choose_for_serving(NOTHING) == Serving(CPU, NONE, why)


def test_on_24_gb_a_large_model_keeps_no_values_of_layers_and_a_small_one_does() -> None:
    large, small = choose_for_training(ONE_BIG, FOUR + GB), choose_for_training(ONE_BIG, QUARTER)
    assert small == Training(
        CUDA, "NVIDIA GeForce RTX 4090 has 24.0 GB free and computes in bf16.", BIG, "bfloat16", SDPA
    )
    assert large == replace(small, checkpoints=True)


def test_flash_attention_takes_rows_without_padding() -> None:
    found = choose_for_training(replace(ONE_BIG, has_flash_attention=True), QUARTER)
    assert (found.attention, found.is_packed) == (FLASH, True)


def test_what_does_not_fit_on_8_gb_is_left_to_the_cpu_with_the_way_out() -> None:
    why = (
        "The training needs about 8.6 GB on a GPU, and 7.0 GB are free on NVIDIA GeForce RTX 3070. Choose a smaller"
        " model, or a base model in 4 bits."
    )
    assert choose_for_training(ONE_SMALL, FOUR) == Training(CPU, why)
    quantized = choose_for_training(ONE_SMALL, round(0.35 * FOUR), is_quantized=True)
    assert (quantized.device, quantized.card, quantized.checkpoints) == (CUDA, SMALL, True)


@pytest.mark.parametrize("order", [(SMALL, BIG), (BIG, SMALL)])
def test_of_two_the_one_with_more_free_memory_trains_and_both_serve(order: tuple[Card, Card]) -> None:
    machine = replace(UNEQUAL, cards=order)
    found = choose_for_training(machine, QUARTER)
    assert found.card == BIG
    assert found.reason.endswith("A training takes one GPU and leaves NVIDIA GeForce RTX 3070 free.")
    names = " and ".join(card.name for card in order)
    why = f"llama.cpp serves as many layers as fit on {names}."
    assert choose_for_serving(machine) == Serving(CUDA, ALL_THAT_FIT, why)
    assert memory_for_serving(machine) == 33 * GB - 2 * 600 * 2**20


def test_a_busy_card_leaves_the_training_to_its_neighbour() -> None:
    busy = replace(UNEQUAL, cards=(SMALL, replace(BIG, free=GB)))
    assert choose_for_training(busy, 4 * GB).card == SMALL


def test_a_card_with_bf16_goes_before_a_larger_one_without() -> None:
    machine = Machine((OLD, SMALL), torch=CUDA, cuda=(12, 8))
    assert choose_for_training(machine, QUARTER).card == SMALL
    assert choose_for_training(machine, 7 * GB).card == OLD


def test_an_old_card_trains_in_f32_which_takes_twice_as_much() -> None:
    found = choose_for_training(ONE_OLD, 7 * GB)
    assert (found.device, found.dtype, found.attention, found.checkpoints) == (CUDA, "float32", SDPA, True)
    assert found.reason == ("Tesla T4 has 15.0 GB free but doesn't compute in bf16, so weights take twice the memory.")
    assert choose_for_training(ONE_OLD, FOUR).device == CPU
    assert choose_for_training(ONE_OLD, FOUR, is_exact=True).device == CUDA
    flash = replace(ONE_OLD, has_flash_attention=True)
    assert (choose_for_training(flash).attention, choose_for_training(flash).is_packed) == (SDPA, False)


def test_a_card_that_pytorch_has_no_kernels_for_is_named() -> None:
    machine = Machine((ANCIENT,), torch=CUDA, cuda=(13, 0))
    why = "PyTorch's build with CUDA 13.0 no longer supports Tesla P100."
    assert choose_for_training(machine) == Training(CPU, why)
    assert choose_for_training(replace(machine, cuda=(12, 6))).card == ANCIENT


def test_a_driver_without_builds_for_cuda_gets_the_commands() -> None:
    assert choose_for_training(CPU_BUILDS).reason == (
        "NVIDIA GeForce RTX 4090 can't be used for training: PyTorch is built for CPUs. Run `make up CUDA=1` to install"
        " PyTorch's build for NVIDIA GPUs."
    )
    assert choose_for_serving(CPU_BUILDS) == Serving(
        CPU,
        NONE,
        "NVIDIA GeForce RTX 4090 can't be used for serving: llama.cpp is built for CPUs. Install its build for CUDA, as"
        " docs/localvertex-models.md says under GPU.",
    )
    assert memory_for_serving(CPU_BUILDS) == 0
    missing = choose_for_training(replace(CPU_BUILDS, torch=""))
    assert (missing.device, "PyTorch isn't installed." in missing.reason) == (CPU, True)


def test_apples_gpu_is_used_in_bf16_since_macos_14() -> None:
    assert (choose_for_training(APPLE).device, choose_for_training(APPLE).dtype) == (MPS, "bfloat16")
    assert choose_for_training(replace(APPLE, macos=(13, 6))).dtype == "float32"
    assert choose_for_training(APPLE, is_quantized=True).device == CPU
    assert choose_for_training(replace(APPLE, torch=CPU)).device == CPU
    assert choose_for_serving(APPLE).gpu_layers == ALL_THAT_FIT
    assert memory_for_serving(APPLE) == 0


@pytest.mark.parametrize(
    ("machine", "why"),
    [
        (Machine(hidden=1), "CUDA_VISIBLE_DEVICES hides every GPU, so the CPU is used."),
        (Machine(torch=OTHER), "Only NVIDIA's and Apple's GPUs are used, so the CPU is."),
    ],
)
def test_the_reason_for_the_cpu_is_the_true_one(machine: Machine, why: str) -> None:
    assert choose_for_training(machine).reason == why


def test_what_llama_cpp_leaves_free_of_each_card_is_no_room() -> None:
    assert free_for_serving(UNEQUAL) == 31 * GB - 2 * (600 * 2**20 + 2**30)
    assert free_for_serving(replace(UNEQUAL, cards=(SMALL, replace(BIG, free=GB)))) == 7 * GB - 600 * 2**20 - 2**30
    assert (free_for_serving(CPU_BUILDS), free_for_serving(NOTHING)) == (0, 0)
    assert (list_cards_for_serving(UNEQUAL), list_cards_for_serving(CPU_BUILDS)) == ((SMALL, BIG), ())

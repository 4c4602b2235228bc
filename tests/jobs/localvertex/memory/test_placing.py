"""Whose memory a training or a model server takes, on machines as they are described here."""

from jobs.localvertex.devices.choice import BFLOAT16, FLOAT32, Training
from jobs.localvertex.devices.machine import CPU, CUDA, MPS, Card, Machine
from jobs.localvertex.memory.placing import choose_by_size, find_free, free_with_cards, method_on
from jobs.localvertex.memory.training import Method

GB = 10**9
L4 = Card("GPU-a", "NVIDIA L4", 24 * GB, 22 * GB, (8, 9))
ONE = Machine((L4,), torch=CUDA, cuda=(13, 0), llama=CUDA)


def test_a_full_tuning_takes_eight_times_what_an_adapter_does():
    parameters = 2 * GB
    assert [choose_by_size(parameters, mode, None, ONE).device for mode in ("PEFT_ADAPTER", "FULL")] == [CUDA, CPU]
    assert [choose_by_size(9 * GB, "PEFT_ADAPTER", kind, ONE).device for kind in (None, "4bit")] == [CPU, CUDA]


def test_the_memory_of_the_card_counts_and_that_of_the_machine_without_one():
    assert find_free(Training(CUDA, "", card=L4), 8 * GB) == (22 * GB, "NVIDIA L4")
    assert find_free(Training(CPU, ""), 8 * GB) == (8 * GB, "")
    assert find_free(Training(MPS, ""), 8 * GB) == (None, "")


def test_how_a_card_computes():
    method = Method("PEFT_ADAPTER")
    flash = method_on(Training(CUDA, "", card=L4, dtype=BFLOAT16, is_packed=True, checkpoints=True), method)
    assert (flash.base, flash.on_gpu, flash.flashes, flash.checkpoints, flash.process) == (
        2,
        True,
        True,
        True,
        600 * 2**20,
    )
    assert method_on(Training(CUDA, "", card=L4, dtype=FLOAT32), method).base == 4
    assert method_on(Training(CPU, ""), method) == method


def test_layers_that_no_card_has_room_for_are_the_processors():
    assert free_with_cards(lambda: ONE, lambda: 8 * GB) == 30 * GB - 600 * 2**20 - 2**30
    assert free_with_cards(Machine, lambda: 8 * GB) == 8 * GB
    assert free_with_cards(lambda: ONE, lambda: None) is None

"""The device of a training: how much it needs there, what PyTorch sees of it, and whether it works."""

import pytest

from jobs.localvertex.devices.choice import Training
from jobs.localvertex.devices.machine import CPU, CUDA, Card, Machine
from jobs.localvertex.engine.hardware.device import choose_by_mode, show_only, verify
from jobs.localvertex.memory.shape import count_parameters
from tests.jobs.localvertex.engine.conftest import TINY

CARD = Card("GPU-5f1a", "NVIDIA L4", 24 * 10**9, 23 * 10**9, (8, 9))
CONTEXT = 600 * 2**20


@pytest.mark.parametrize(
    ("mode", "quantization", "bytes_a_parameter"),
    [
        ("FULL", None, 16 * 1.2), ("PEFT_ADAPTER", None, 2 * 1.2), ("PEFT_ADAPTER", "8bit", 2 * 0.6 * 1.2),
        ("PEFT_ADAPTER", "4bit", 2 * 0.35 * 1.2),
    ],
)  # fmt: skip
def test_a_card_is_taken_as_soon_as_it_has_what_the_kind_of_training_needs(
    mode: str, quantization: str | None, bytes_a_parameter: float
) -> None:
    needed = round(sum(count_parameters(TINY).values()) * bytes_a_parameter)
    devices = []
    for free in (CONTEXT + needed, CONTEXT + needed - 1):
        card = Card("GPU-5f1a", "NVIDIA L4", 24 * 10**9, free, (8, 9))
        machine = Machine((card,), torch=CUDA, cuda=(13, 0))
        devices.append(choose_by_mode(TINY, mode, quantization, machine).device)
    assert devices == [CUDA, CPU]


def test_pytorch_is_shown_the_chosen_card_and_no_other() -> None:
    environment = {"CUDA_VISIBLE_DEVICES": "0,1"}
    show_only(Training(CUDA, "", CARD), environment)
    assert environment == {"CUDA_VISIBLE_DEVICES": "GPU-5f1a"}
    show_only(Training(CPU, ""), environment)
    assert environment == {"CUDA_VISIBLE_DEVICES": ""}


def test_a_card_that_does_not_answer_leaves_the_training_to_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = verify(Training(CUDA, "It has room.", CARD, "bfloat16"))
    assert (found.device, found.reason.partition(": ")[0]) == (CPU, "NVIDIA L4 can't be used, so the CPU is")
    assert verify(Training(CPU, "No GPU.")) == Training(CPU, "No GPU.")

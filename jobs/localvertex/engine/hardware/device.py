"""The device that a training takes: chosen before PyTorch is imported, and tried afterwards."""

from collections.abc import MutableMapping
from pathlib import Path

from jobs.localvertex.devices.choice import Training, choose_for_training
from jobs.localvertex.devices.look import VISIBLE
from jobs.localvertex.devices.machine import CPU, Machine
from jobs.localvertex.memory.shape import count_parameters

BYTES_OF_BF16 = 2
# Of a base model: NF4 with the scales of its blocks, or whole bytes; the vocabulary stays as it is.
SHARE_OF_BF16 = {"4bit": 0.35, "8bit": 0.6}
BYTES_OF_FULL = 4 * 4  # weight, gradient, and the two moments of AdamW
ROOM = 1.2  # for the adapter and the values of a short batch


def choose_by_mode(folder: Path, mode: str, quantization: str | None, machine: Machine) -> Training:
    parameters = sum(count_parameters(folder).values())
    if mode == "FULL":  # in f32 on every card
        return choose_for_training(machine, round(parameters * BYTES_OF_FULL * ROOM), is_exact=True)
    share = SHARE_OF_BF16.get(quantization or "", 1.0)
    needed = round(parameters * BYTES_OF_BF16 * share * ROOM)
    return choose_for_training(machine, needed, is_quantized=quantization is not None)


def show_only(chosen: Training, environment: MutableMapping[str, str]) -> None:
    """Before PyTorch is imported: with several cards in sight, transformers would train on all of them."""
    environment[VISIBLE] = chosen.card.id if chosen.card else ""


def verify(chosen: Training) -> Training:
    """Computes something there: a driver may be older than PyTorch, or a card than its kernels. Then it is the CPU."""
    if chosen.device == CPU:
        return chosen
    import torch  # noqa: PLC0415 - reads the environment on import

    try:
        torch.ones(2, device=chosen.device).sum().item()
    except (RuntimeError, AssertionError) as error:
        name = chosen.card.name if chosen.card else "Apple's GPU"
        reason = (str(error).strip().splitlines() or ["it does not answer"])[0]
        return Training(CPU, f"{name} can't be used, so the CPU is: {reason[:300]}")
    return chosen

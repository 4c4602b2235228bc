"""The device that a training takes: chosen before PyTorch is imported, and tried afterwards."""

from collections.abc import MutableMapping
from pathlib import Path

from jobs.localvertex.devices.choice import Training
from jobs.localvertex.devices.look import VISIBLE
from jobs.localvertex.devices.machine import CPU, Machine
from jobs.localvertex.memory.placing import choose_by_size
from jobs.localvertex.memory.shape import count_parameters


def choose_by_mode(folder: Path, mode: str, quantization: str | None, machine: Machine) -> Training:
    return choose_by_size(sum(count_parameters(folder).values()), mode, quantization, machine)


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

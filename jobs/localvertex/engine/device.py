"""The device that a training takes: chosen before PyTorch is imported, and tried afterwards."""

import math
from collections.abc import MutableMapping
from pathlib import Path

from jobs.localvertex.devices.choice import Training, choose_for_training
from jobs.localvertex.devices.look import VISIBLE
from jobs.localvertex.devices.machine import CPU, Machine

BYTES_OF_BF16 = 2
# Of a base model: NF4 with the scales of its blocks, or whole bytes; the vocabulary stays as it is.
SHARE_OF_BF16 = {"4bit": 0.35, "8bit": 0.6}
BYTES_OF_FULL = 4 * 4  # weight, gradient, and the two moments of AdamW
ROOM = 1.2  # for the adapter and the values of a short batch


def parameters_in(folder: Path) -> int:
    """By the headers of the files, which are read in no time."""
    from safetensors import safe_open  # noqa: PLC0415 - not everywhere where devices are asked for

    count = 0
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "np") as tensors:
            for name in tensors.keys():  # noqa: SIM118
                in_one = {"_blocks": 2, "_scales": 0}.get(name[-7:], 1)  # two numbers of four bits are in a byte
                count += in_one * math.prod(tensors.get_slice(name).get_shape())
    return count


def choose_by_mode(folder: Path, mode: str, quantization: str | None, machine: Machine) -> Training:
    parameters = parameters_in(folder)
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

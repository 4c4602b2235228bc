"""What would be used of a machine, in lines for whoever looks after it."""

from typing import Any

from jobs.localvertex.devices.choice import (
    FLASH,
    GIGABYTE,
    Serving,
    Training,
    choose_for_serving,
    choose_for_training,
)
from jobs.localvertex.devices.machine import CPU, Card, Machine

NAMES = {CPU: "the CPU", "cuda": "a GPU of NVIDIA's", "mps": "Apple's GPU", "metal": "Apple's GPU"}


def describe(machine: Machine, training: Training, serving: Serving) -> list[str]:
    return [
        *(describe_card(card) for card in machine.cards),
        *(["GPU: Apple's, with the memory of the machine"] if machine.has_apple_gpu else []),
        *([] if machine.cards or machine.has_apple_gpu else ["GPU: none"]),
        f"Training: on {_name(training.device)}{_details(training)}",
        f"    {training.reason}",
        f"Serving: on {_name(serving.device)}",
        f"    {serving.reason}",
        f"QLoRA (a base model in 4 or 8 bits): {_qlora(machine)}",
    ]


def list_devices(machine: Machine) -> dict[str, Any]:
    """As GET /healthz tells them. Of a small model: where it is trained and served, and why."""
    training, serving = choose_for_training(machine), choose_for_serving(machine)
    return {
        "gpus": [{"name": card.name, "total_bytes": card.total, "free_bytes": card.free} for card in machine.cards],
        "training": {"device": training.device, "reason": training.reason},
        "serving": {"device": serving.device, "reason": serving.reason},
    }


def describe_card(card: Card) -> str:
    capability = ".".join(map(str, card.capability))
    sizes = f"{card.total / GIGABYTE:.1f} GB of memory, {card.free / GIGABYTE:.1f} GB free"
    return f"GPU: {card.name}, {sizes}, compute capability {capability}"


def _name(device: str) -> str:
    return NAMES.get(device, "a GPU")


def _details(training: Training) -> str:
    if training.device == CPU:
        return ""
    kind = "flash attention, rows packed without padding" if training.attention == FLASH else "PyTorch's own attention"
    return f", {training.card.name}, {training.dtype}, {kind}" if training.card else f", {training.dtype}, {kind}"


def _qlora(machine: Machine) -> str:
    if machine.has_bitsandbytes:
        return "bitsandbytes is installed"
    return "needs bitsandbytes. Run: pip install -e '.[local,qlora]'"

"""On which machines a container of the project's own can train which base model."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jobs.models.runs.container import Quantization
from jobs.text.deferred import gettext as _

from .facts import ContainerFacts

FILE = Path(__file__).with_name("training_machines.toml")
# Beside the weights: adapters, their optimizer, and a step of rows.
ROOM_GIGABYTES = 8
USABLE = 0.92
# Of the weights in 16 bits, as bitsandbytes keeps them.
SHARE = {"": 1.0, Quantization.EIGHT_BITS: 0.6, Quantization.FOUR_BITS: 0.35}


@dataclass(frozen=True)
class TrainingMachine:
    machine_type: str
    accelerator_type: str
    accelerator: str
    gpu_gigabytes: int
    gigabytes: int


@cache
def list_machines() -> dict[str, TrainingMachine]:
    """By type, the smallest first."""
    table = tomllib.loads(FILE.read_text(encoding="utf-8"))["machines"]
    return {name: TrainingMachine(machine_type=name, **values) for name, values in table.items()}


def why_not_fit(container: ContainerFacts, machine: TrainingMachine, quantization: str) -> str:
    """By reckoning: the weights on the processor, and at the end those of the whole model beside the merged one."""
    needed = container.gigabytes * SHARE[quantization] + ROOM_GIGABYTES
    if needed > machine.gpu_gigabytes * USABLE:
        return _(
            "The model needs about %(needed)d GB on the GPU, and %(machine)s has %(there)d GB. Choose a larger "
            "machine, or fewer bits."
        ) % {"needed": round(needed), "machine": machine.machine_type, "there": machine.gpu_gigabytes}
    if 2 * container.gigabytes > machine.gigabytes:
        return _(
            "Merging the adapter needs about %(needed)d GB of memory, and %(machine)s has %(there)d GB. Choose a "
            "larger machine."
        ) % {
            "needed": round(2 * container.gigabytes),
            "machine": machine.machine_type,
            "there": machine.gigabytes,
        }
    return ""


def suggest_machine(container: ContainerFacts, quantization: str = "") -> str:
    """The smallest that fits; empty where none does."""
    fitting = (one for one in list_machines().values() if not why_not_fit(container, one, quantization))
    return next((one.machine_type for one in fitting), "")

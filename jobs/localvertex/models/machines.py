"""Machines: every type that Google rents is taken and kept, and whatever was asked for, this machine is what works."""

import re
from typing import Any

from google.cloud.aiplatform_v1beta1.types import AcceleratorType, MachineSpec

from jobs.localvertex.api.errors import invalid
from jobs.localvertex.models.catalogue import LOCAL_MACHINE, Machine

ACCELERATORS: Any = AcceleratorType
USUAL_MACHINE = Machine("g2-standard-12", "NVIDIA_L4", 1)  # that people name most
RUNS_ON = "localvertex-runs-on"  # a system label of each deployed model that asked for another machine than this one
_TYPES = re.compile(
    r"(?:(?:c2|c2d|c3|c3d|c4|c4a|c4d|e2|h3|h4d|m1|m2|m3|m4|n1|n2|n2d|n4|n4a|n4d|t2a|t2d|x4|z3)"
    r"-(?:standard|highmem|highcpu|megamem|ultramem|hypermem)-\d{1,4}(?:-lssd|-highlssd|-standardlssd|-metal)?"
    r"|e2-(?:micro|small|medium)|a2-(?:highgpu|ultragpu|megagpu)-\d{1,2}g|a3-(?:high|mega|edge|ultra)gpu-\d{1,2}g"
    r"|a4x?-(?:high|max)gpu-\d{1,2}g|g2-standard-\d{1,3}|g4-standard-\d{1,3}"
    r"|ct(?:2|3|4p|5l|5lp|5p|6e)-(?:hightpu|standard)-\d{1,2}t|tpu7x-standard-\d{1,2}t|cloud-tpu)"
)


def check_machine(spec: MachineSpec, field: str) -> None:
    """Raises INVALID_ARGUMENT for what no machine of Google's, nor this one, can be."""
    name = spec.machine_type
    here = name in ("", LOCAL_MACHINE.machine_type)
    if not here and not _TYPES.fullmatch(name):
        raise invalid(f'Machine type "{name}" is not supported.', f"{field}.machine_type")
    if here and (spec.accelerator_type or spec.accelerator_count):
        raise invalid(f"{LOCAL_MACHINE.machine_type} has no accelerators.", f"{field}.accelerator_type")
    if spec.accelerator_count < 0 or (spec.accelerator_type and not spec.accelerator_count):
        raise invalid("accelerator_count must be at least 1 with an accelerator_type.", f"{field}.accelerator_count")
    if spec.accelerator_count and not spec.accelerator_type:
        raise invalid("accelerator_type is required with an accelerator_count.", f"{field}.accelerator_type")


def spec_of(machine: Machine) -> MachineSpec:
    spec = MachineSpec(machine_type=machine.machine_type, accelerator_count=machine.accelerator_count)
    if machine.accelerator_type:
        spec.accelerator_type = ACCELERATORS[machine.accelerator_type]
    return spec


def runs_on(spec: MachineSpec) -> dict[str, str]:
    """The label that says what works for a deployed model, where it is not what was asked for."""
    return {} if spec.machine_type in ("", LOCAL_MACHINE.machine_type) else {RUNS_ON: LOCAL_MACHINE.machine_type}

from jobs.localvertex.devices.choice import choose_for_serving, choose_for_training
from jobs.localvertex.devices.machine import CUDA, Machine
from jobs.localvertex.devices.words import describe, list_devices
from tests.jobs.localvertex.devices.test_choice import APPLE, BIG, CPU_BUILDS, NOTHING, UNEQUAL


def describe_machine(machine: Machine) -> list[str]:
    return describe(machine, choose_for_training(machine), choose_for_serving(machine))


def test_a_machine_without_a_gpu() -> None:
    why = "    No GPU of NVIDIA's or Apple's was found, so the CPU is used."
    qlora = "QLoRA (a base model in 4 or 8 bits): needs bitsandbytes. Run: pip install -e '.[local,qlora]'"
    assert describe_machine(NOTHING) == ["GPU: none", "Training: on the CPU", why, "Serving: on the CPU", why, qlora]


def test_a_card_is_named_with_its_memory_and_how_it_is_used() -> None:
    machine = Machine((BIG,), torch=CUDA, cuda=(13, 0), llama=CUDA, has_flash_attention=True, has_bitsandbytes=True)
    assert describe_machine(machine) == [
        "GPU: NVIDIA GeForce RTX 4090, 25.0 GB of memory, 24.0 GB free, compute capability 8.9",
        "Training: on a GPU of NVIDIA's, NVIDIA GeForce RTX 4090, bfloat16, flash attention, rows packed without"
        " padding",
        "    NVIDIA GeForce RTX 4090 has 24.0 GB free and computes in bf16.",
        "Serving: on a GPU of NVIDIA's",
        "    llama.cpp serves as many layers as fit on NVIDIA GeForce RTX 4090.",
        "QLoRA (a base model in 4 or 8 bits): bitsandbytes is installed",
    ]


def test_apples_gpu_and_one_that_is_left_alone() -> None:
    assert describe_machine(APPLE)[:2] == [
        "GPU: Apple's, with the memory of the machine",
        "Training: on Apple's GPU, bfloat16, PyTorch's own attention",
    ]
    assert describe_machine(CPU_BUILDS)[1] == "Training: on the CPU"


def test_every_card_is_listed_with_its_memory() -> None:
    found = list_devices(UNEQUAL)
    assert [(one["name"], one["total_bytes"], one["free_bytes"]) for one in found["gpus"]] == [
        ("NVIDIA GeForce RTX 3070", 8 * 10**9, 7 * 10**9), ("NVIDIA GeForce RTX 4090", 25 * 10**9, 24 * 10**9),
    ]  # fmt: skip
    assert (found["training"]["device"], found["serving"]["device"]) == (CUDA, CUDA)

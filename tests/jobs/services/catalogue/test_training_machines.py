import pytest

from jobs.services.catalogue.facts import tuning_facts
from jobs.services.catalogue.training_machines import list_machines, suggest_machine, why_not_fit


def fitting(size, quantization=""):
    container = tuning_facts(f"google/gemma3@gemma-3-{size}-it").container
    return [name for name, machine in list_machines().items() if not why_not_fit(container, machine, quantization)]


L4 = ["g2-standard-8", "g2-standard-12", "g2-standard-16"]
A100 = ["a2-highgpu-1g", "a2-ultragpu-1g"]


@pytest.mark.parametrize(
    ("size", "quantization", "machines"),
    [
        ("1b", "", L4 + A100),
        ("4b", "", L4 + A100),
        ("12b", "", A100),
        ("12b", "8bit", A100),
        ("12b", "4bit", ["g2-standard-16", *A100]),
    ],
)
def test_which_machines_fit(size, quantization, machines):
    assert fitting(size, quantization) == machines


def test_the_smallest_is_proposed():
    facts = [tuning_facts(f"google/gemma3@gemma-3-{size}-it").container for size in ("1b", "12b")]
    assert [suggest_machine(one) for one in facts] == ["g2-standard-8", "a2-highgpu-1g"]

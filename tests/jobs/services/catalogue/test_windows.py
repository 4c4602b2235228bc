import pytest

from jobs.services.catalogue.windows import served

DATA = {
    "context_tokens": 131072,
    "machine_specs": [
        {"machine_type": "g2", "accelerator_count": 1, "title": "8K context"},
        {"machine_type": "g2", "accelerator_count": 2, "title": "vLLM, 16K context"},
        {"machine_type": "g2", "accelerator_count": 2, "title": "32K context"},
        {"machine_type": "a3", "accelerator_count": 1, "title": "vLLM"},
    ],
}


@pytest.mark.parametrize(
    ("machine", "tokens"), [((), 8192), (("g2", 1), 8192), (("g2", 2), 16384), (("a3", 1), 131072), (("x", 0), 131072)]
)
def test_an_endpoint_reads_what_the_options_of_its_machine_say_and_else_what_the_model_does(machine, tokens):
    assert served(DATA, *machine) == tokens


def test_where_nobody_tells_it_is_not_known():
    assert served({}) is None

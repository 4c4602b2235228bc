import pytest

from jobs.services.chat import parameters
from tests.support import factories

pytestmark = pytest.mark.django_db


def spec(title, machine="g2-standard-24", count=2):
    return {"machine_type": machine, "accelerator_type": "NVIDIA_L4", "accelerator_count": count, "title": title}


def window(machine_type="g2-standard-24", **data):
    factories.publisher_model(data=data)
    endpoint = factories.ready_endpoint(machine_type=machine_type, accelerator_count=2)
    return parameters.context_window(endpoint)


@pytest.mark.parametrize(
    ("machine", "count"), [("local-cpu", 10), ("g2-standard-12", 10), ("", 10), ("ct5lp-hightpu-1t", 5)]
)
def test_a_tpu_takes_fewer_parameters(machine, count):
    assert len(parameters.parameters_of(factories.ready_endpoint(machine_type=machine))) == count


def test_the_defaults_that_the_catalogue_tells():
    factories.publisher_model(data={"sampling": {"temperature": 0.2, "top_k": 0, "top_p": "x", "other": 1}})
    assert parameters.defaults_of(factories.ready_endpoint()) == {"temperature": 0.2}


@pytest.mark.parametrize(("tuned", "penalties"), [("", {"frequency_penalty": 0.3}), ("gs://tuned/model", {})])
def test_penalties_are_the_base_model_s_alone(tuned, penalties):
    factories.publisher_model(data={"sampling": {"temperature": 0.2, "frequency_penalty": 0.3, "presence_penalty": 9}})
    endpoint = factories.ready_endpoint(artifact_uri=tuned)
    assert parameters.defaults_of(endpoint) == {"temperature": 0.2, **penalties}


def test_defaults_that_nobody_tells():
    assert (parameters.defaults_of(None), parameters.defaults_of(factories.ready_endpoint())) == ({}, {})


def test_without_an_endpoint_all_can_be_set():
    assert parameters.parameters_of(None) == parameters.PARAMETERS


def test_the_window_of_the_option_that_was_deployed():
    specs = [spec("128K context, 4 x L4", "g2-standard-48", 4), spec("32K context")]
    assert window(machine_specs=specs, context_tokens=131072) == 32768


def test_of_options_with_the_same_machine_the_smaller_window():
    assert window(machine_specs=[spec("32K context"), spec("8K context")]) == 8192


def test_a_machine_that_vertex_ai_chose_may_be_any():
    assert window(machine_type="", machine_specs=[spec("32K context"), spec("8K context", "x")]) == 8192


def test_otherwise_the_catalogue_s():
    assert window(machine_specs=[spec("Deploy model")], context_tokens=131072) == 131072


@pytest.mark.parametrize("data", [{}, {"context_tokens": 0}])
def test_unknown_is_unknown(data):
    assert window(**data) is None


def test_weights_of_unknown_origin_have_no_known_window():
    assert parameters.context_window(factories.ready_endpoint(base_model="")) is None
    assert parameters.context_window(None) is None

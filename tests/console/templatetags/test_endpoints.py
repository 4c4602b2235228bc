"""What a deployed model runs on, in words."""

import pytest

from console.templatetags.endpoints import machine
from jobs.models import DeployedModel


@pytest.mark.parametrize(("server", "shown"), [("", "Chosen by Vertex AI"), ("http://127.0.0.1:8085", "This computer")])
def test_a_machine_that_nobody_chose_is_what_vertex_ai_runs_on(settings, server, shown):
    settings.VERTEX_API_ENDPOINT = server
    assert machine(DeployedModel()) == shown


def test_the_machine_of_the_local_server_is_this_computer():
    assert machine(DeployedModel(machine_type="local-cpu")) == "This computer"

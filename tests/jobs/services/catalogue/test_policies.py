"""What may be done with a base model, in the words of where the console runs."""

import pytest

from jobs.services.catalogue import policies
from tests.support import factories


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("server", "reasons"),
    [
        ("", ("Vertex AI doesn't offer tuning for this model.", "Vertex AI doesn't offer deployment for this model.")),
        (
            "http://127.0.0.1:8085",
            ("This model can't be tuned on this computer.", "This model can't be deployed on this computer."),
        ),
    ],
)
def test_what_this_computer_cannot_do_is_not_said_of_vertex_ai(settings, server, reasons):
    settings.VERTEX_API_ENDPOINT = server
    model = factories.publisher_model(name="google/gemma3@gemma-3-4b-it", can_tune=False, can_deploy=False)
    assert (policies.why_not_tune(model), policies.why_not_deploy(model)) == reasons

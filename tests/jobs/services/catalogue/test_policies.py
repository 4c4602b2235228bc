"""What may be done with a base model, and who says so."""

import pytest

from jobs.models import PublisherModel
from jobs.services.catalogue.policies import why_not_deploy, why_not_tune


@pytest.mark.parametrize(("server", "who"), [("http://127.0.0.1:9", "The server on this computer"), ("", "Vertex AI")])
def test_who_does_not_offer_a_model_is_the_server_that_is_asked(settings, server, who):
    settings.VERTEX_API_ENDPOINT = server
    model = PublisherModel(name="google/gemma4@gemma-4-e2b-it", can_tune=False, can_deploy=False)
    assert [str(why_not_tune(model)), str(why_not_deploy(model))] == [
        f"{who} doesn't offer tuning for this model.",
        f"{who} doesn't offer deployment for this model.",
    ]


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

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

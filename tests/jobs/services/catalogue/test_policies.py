"""What may be done with a base model, and who says so."""

from typing import Any

import pytest

from jobs.models import PublisherModel
from jobs.services.catalogue.policies import learns_from_images, learns_tools, why_not_deploy, why_not_tune


@pytest.mark.parametrize(("server", "who"), [("http://127.0.0.1:9", "The server on this computer"), ("", "Vertex AI")])
def test_who_does_not_offer_a_model_is_the_server_that_is_asked(settings, server, who):
    settings.VERTEX_API_ENDPOINT = server
    model = PublisherModel(name="google/gemma4@gemma-4-e2b-it", can_tune=False, can_deploy=False)
    assert [str(why_not_tune(model)), str(why_not_deploy(model))] == [
        f"{who} doesn't offer tuning for this model.",
        f"{who} doesn't offer deployment for this model.",
    ]


@pytest.mark.parametrize("server", ["http://127.0.0.1:9", ""])
def test_what_does_not_write_text_is_not_deployed_from_here(settings, server):
    """Nobody could ask it anything, and it would cost money."""
    settings.VERTEX_API_ENDPOINT = server
    specs = [{"machine_type": "g2-standard-8", "accelerator_type": "NVIDIA_L4", "accelerator_count": 1}]
    about = {"can_deploy": True, "can_tune": True, "data": {"machine_specs": specs}}
    diffusion = PublisherModel(name="stability-ai/stable-diffusion-2-1@001", **about)
    assert str(why_not_deploy(diffusion)).startswith("This console deploys models that chat or write text.")
    assert str(why_not_tune(diffusion)) == "Managed tuning doesn't support this model."
    assert why_not_deploy(PublisherModel(name="google/gemma3@gemma-3-1b-it", **about)) == ""


@pytest.mark.parametrize(
    ("name", "modalities", "here", "there"),
    [
        ("samples/shapes@shapes-and-colours", ["text", "image"], True, True),
        ("google/gemma3@gemma-3-4b-it", ["text", "image"], True, False),
        ("google/gemma3@gemma-3-270m", ["text"], False, False),
        ("meta/llama4@llama-4-scout-17b-16e-instruct", [], True, True),
        ("somebody/else@x", [], False, False),
    ],
)
def test_what_learns_from_images_here_and_on_google_cloud(settings, name, modalities, here, there):
    """Google's tuning takes text only of most models that see."""
    model, found = PublisherModel(name=name, data={"modalities": modalities}), []
    for server in ("http://127.0.0.1:9", ""):
        settings.VERTEX_API_ENDPOINT = server
        found.append(learns_from_images(model))
    assert found == [here, there]


def test_what_learns_tools_is_what_the_catalogue_tells():
    told: tuple[dict[str, Any], ...] = ({"knows_tools": True}, {"knows_tools": False}, {"knows_tools": "no"}, {})
    assert [learns_tools(PublisherModel(name="x/y@z", data=data)) for data in told] == [True, False, None, None]

import pytest

from jobs.services.tuned_models.deployable import why_not_deploy_folder
from jobs.services.tuned_models.forms import say_adapter, say_no_weights
from jobs.vertex.errors import NotAuthorised, Unavailable
from tests.fakes import BUCKET

PLACE = f"gs://{BUCKET}/out/final"


def test_a_whole_model_is_deployed(fake_gateway):
    fake_gateway.storage.put_model(PLACE)
    assert why_not_deploy_folder(PLACE) == ""


def test_google_takes_no_adapter(fake_gateway, settings):
    settings.VERTEX_API_ENDPOINT = ""
    fake_gateway.storage.put_adapter(PLACE)
    assert why_not_deploy_folder(PLACE) == say_adapter()
    assert "Vertex AI deploys whole models only" in say_adapter()


@pytest.mark.parametrize("place", ["adapter.gguf", "adapter/adapter.gguf"])
def test_the_local_server_takes_an_adapter_in_its_own_form(fake_gateway, settings, place):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    fake_gateway.storage.put_adapter(PLACE)
    assert why_not_deploy_folder(PLACE) == say_adapter()
    fake_gateway.storage.objects[f"{PLACE}/{place}"] = b"GGUF"
    assert why_not_deploy_folder(PLACE) == ""


def test_a_folder_without_weights_is_refused(fake_gateway):
    assert why_not_deploy_folder(PLACE) == say_no_weights(PLACE)
    assert why_not_deploy_folder("gs://nowhere/model") == "The bucket of gs://nowhere/model doesn't exist."


def test_what_may_not_be_seen_is_no_reason(fake_gateway):
    fake_gateway.fail("storage.list_folder", NotAuthorised("No.", "PERMISSION_DENIED"))
    assert why_not_deploy_folder(PLACE) == ""
    fake_gateway.fail("storage.list_folder", Unavailable("Later.", "UNAVAILABLE"))
    with pytest.raises(Unavailable):
        why_not_deploy_folder(PLACE)

import uuid

import pytest

from jobs.models import Endpoint
from tests.support import factories

pytestmark = pytest.mark.django_db
URL = "/model-garden/deploy-weights/"


@pytest.fixture
def signed_in(client, owner):
    factories.publisher_model()
    client.force_login(owner)
    return client


def typed(**values):
    return {"key": str(uuid.uuid4()), "artifact_uri": "gs://bucket/merged/", "display_name": "Mine"} | values


def test_the_panel_is_opened_by_its_address(signed_in):
    response = signed_in.get("/model-garden/?q=gemma&action=deploy-weights")
    assert response.context["cancel_url"] == "/model-garden/?q=gemma"
    assert response.context["weights"].fields["machine"].choices == [
        ("", "Let Vertex AI choose"), ("local-cpu::0", "This computer (CPU only)"),
    ]  # fmt: skip
    assert signed_in.get(URL)["Location"] == "/model-garden/?action=deploy-weights"


def test_a_folder_becomes_an_endpoint(signed_in, owner):
    response = signed_in.post(URL, typed(model_display_name="Merged", machine="local-cpu::0"))
    made = Endpoint.objects.get()
    assert (response.status_code, response["Location"]) == (303, f"/endpoints/{made.pk}/")
    assert (made.owner, made.model.artifact_uri, made.model.publisher_model) == (owner, "gs://bucket/merged", "")
    assert (made.model.display_name, made.model.machine_type, made.model.base_model) == ("Merged", "local-cpu", "")


def test_two_clicks_are_one_endpoint(signed_in):
    values = typed()
    places = {signed_in.post(URL, values)["Location"] for _click in range(2)}
    assert len(places) == Endpoint.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("artifact_uri", "", "Enter the folder that contains the weights, such as gs://my-bucket/my-model."),
        ("artifact_uri", "gs://bucket", "Enter a folder in the bucket, such as gs://my-bucket/my-model."),
        ("artifact_uri", "/home", "Enter a Cloud Storage path that starts with gs://, such as gs://my-bucket/output."),
        ("display_name", "", "Enter a name."),
        ("machine", "toaster", "This machine isn't available for this model. Choose one from the list."),
    ],
)
def test_a_wrong_value_is_kept_and_named(signed_in, field, text, message):
    response = signed_in.post(URL, typed(**{field: text}), headers={"HX-Request": "true"})
    assert (response.status_code, dict(response.context["weights"].errors)) == (422, {field: [message]})
    assert response.content.decode().lstrip().startswith('<form id="weights-form"')
    assert Endpoint.objects.count() == 0


def test_without_javascript_a_refusal_is_a_page(signed_in):
    content = signed_in.post(URL, typed(artifact_uri="x")).content.decode()
    assert ("<h1" in content, 'value="Mine"' in content) == (True, True)

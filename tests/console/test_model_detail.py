import uuid

import pytest

from jobs.models import Endpoint
from tests import factories

pytestmark = pytest.mark.django_db
URL = "/publishers/google/model-garden/gemma3/"
CLOSED = {"can_tune": False, "can_deploy": False}


@pytest.fixture
def signed_in(client, owner):
    client.force_login(owner)
    return client


@pytest.fixture
def model():
    return factories.publisher_model(display_name="Gemma 3 270M", licence_acknowledged=False)


def typed(**values):
    return {
        "key": str(uuid.uuid4()),
        "model": factories.BASE_MODEL,
        "display_name": "Base",
        "machine": "local-cpu::0",
        "accepts_licence": "on",
    } | values


def test_a_family_that_is_not_listed_is_not_found(signed_in):
    factories.publisher_model(is_listed=False)
    assert signed_in.get(URL).status_code == 404


def test_the_page_opens_at_the_variant_that_can_be_used(signed_in, model):
    factories.publisher_model(name="google/gemma3@gemma-3-1b-it", display_name="Gemma 3 1B IT", **CLOSED)
    response = signed_in.get(URL)
    assert response.context["variant"].name == factories.BASE_MODEL
    assert [variant.size for variant in response.context["family"].variants] == ["270M", "1B IT"]


def test_a_variant_that_is_not_offered_says_why(signed_in, model):
    factories.publisher_model(name="google/gemma3@gemma-3-1b-it", display_name="Gemma 3 1B IT", **CLOSED)
    content = signed_in.get(f"{URL}?variant=gemma-3-1b-it").content.decode()
    assert "This Vertex AI does not offer tuning for it." in content
    assert 'aria-disabled="true"' in content
    assert "deploy-panel" not in content


def test_a_pretrained_model_says_that_it_completes_text(signed_in, model):
    assert "A pretrained model" in signed_in.get(URL).content.decode()


def test_a_description_from_the_catalogue_is_made_harmless(signed_in):
    factories.publisher_model(data={"overview": "# Hi\n\n<script>alert(1)</script> [x](javascript:alert(1))"})
    overview = signed_in.get(URL).context["overview"]
    assert "<script" not in overview
    assert 'href="javascript' not in overview


def test_the_page_shows_only_endpoints_of_the_person(signed_in, model, owner, stranger, django_assert_num_queries):
    factories.ready_endpoint(owner=stranger, display_name="Theirs")
    mine = factories.ready_endpoint(owner=owner, display_name="Mine")
    with django_assert_num_queries(4):
        response = signed_in.get(URL)
    assert response.context["endpoints"] == [mine]


def test_the_panel_can_be_opened_by_its_address(signed_in, model):
    assert '<dialog class="panel" id="deploy-panel" aria-labelledby="deploy-title" open>' in (
        signed_in.get(f"{URL}?action=deploy").content.decode()
    )


def test_deploying_makes_an_endpoint_and_goes_there(signed_in, model, owner):
    response = signed_in.post(f"{URL}deploy/", typed())
    endpoint = Endpoint.objects.get()
    assert (response.status_code, response["Location"]) == (303, f"/endpoints/{endpoint.pk}/")
    assert (endpoint.owner, endpoint.display_name, endpoint.publisher_model) == (owner, "Base", factories.BASE_MODEL)
    assert (endpoint.machine_type, endpoint.accepts_licence) == ("local-cpu", True)


def test_the_address_of_the_form_leads_to_the_panel(signed_in, model):
    assert signed_in.get(f"{URL}deploy/")["Location"] == f"{URL}?action=deploy"


def test_two_clicks_are_one_endpoint(signed_in, model):
    values = typed()
    places = {signed_in.post(f"{URL}deploy/", values)["Location"] for _click in range(2)}
    assert len(places) == Endpoint.objects.count() == 1


def test_a_form_sent_again_with_other_values_is_refused_in_the_panel(signed_in, model):
    values = typed()
    signed_in.post(f"{URL}deploy/", values)
    response = signed_in.post(f"{URL}deploy/", values | {"display_name": "Other"})
    assert response.status_code == 422
    assert len(response.context["form"].non_field_errors()) == 1


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("display_name", "", "Write a name."),
        ("machine", "toaster", "This machine is not offered for this model. Choose one of the list."),
        ("accepts_licence", "", "Read and accept the terms; the model cannot be deployed without them."),
        ("key", "x", "The form was incomplete. Open the page again."),
    ],
)
def test_a_wrong_value_keeps_the_others_and_makes_nothing(signed_in, model, field, text, message):
    response = signed_in.post(f"{URL}deploy/", typed(**{field: text}), headers={"HX-Request": "true"})
    assert (response.status_code, dict(response.context["form"].errors)) == (422, {field: [message]})
    assert response.content.decode().lstrip().startswith('<form id="deploy-form"')
    assert Endpoint.objects.count() == 0


def test_without_javascript_the_panel_is_open_on_the_page(signed_in, model):
    content = signed_in.post(f"{URL}deploy/", typed(display_name="")).content.decode()
    assert 'aria-labelledby="deploy-title" open>' in content
    assert "<h1" in content


def test_machines_are_told_apart_by_what_they_are(signed_in):
    specs = [
        {"machine_type": "local-cpu", "accelerator_type": "", "accelerator_count": 0, "title": "Deploy model"},
        {
            "machine_type": "g2-standard-24",
            "accelerator_type": "NVIDIA_L4",
            "accelerator_count": 2,
            "title": "Deploy model",
        },
    ]
    factories.publisher_model(data={"machine_specs": specs})
    assert signed_in.get(URL).context["form"].fields["machine"].choices == [
        ("local-cpu::0", "This computer, without a graphics card"),
        ("g2-standard-24:NVIDIA_L4:2", "g2-standard-24 · 2 × NVIDIA L4"),
    ]


def test_an_accepted_licence_is_not_asked_for(signed_in):
    factories.publisher_model()
    assert "accepts_licence" not in signed_in.get(URL).context["form"].fields


def test_a_model_of_another_family_is_not_deployed_from_here(signed_in, model):
    assert signed_in.post(f"{URL}deploy/", typed(model="meta/llama3@llama-3-8b")).status_code == 404


def test_a_model_that_is_not_offered_is_not_deployed(signed_in):
    factories.publisher_model(**CLOSED)
    assert signed_in.post(f"{URL}deploy/", typed()).status_code == 422
    assert Endpoint.objects.count() == 0

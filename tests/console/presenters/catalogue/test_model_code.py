import pytest

from console.presenters.catalogue.model_code import TABS, Code
from console.presenters.catalogue.model_families import family
from tests.support import factories
from tests.support.markup import tight

pytestmark = pytest.mark.django_db
URL = "/publishers/google/model-garden/gemma3/"


@pytest.fixture
def google(settings):
    settings.VERTEX_API_ENDPOINT, settings.VERTEX_PROJECT, settings.VERTEX_LOCATION = "", "my-project", "europe-west4"


@pytest.fixture
def local(settings):
    settings.VERTEX_API_ENDPOINT, settings.VERTEX_PROJECT = "http://127.0.0.1:4711", "garden-local"


def code(tab="python", endpoint=None, **values):
    (variant,) = family([factories.publisher_model(**values)]).variants
    return Code(variant, endpoint, tab)


def test_the_sdk_in_google_cloud(google):
    assert code().deploy_python == (
        "import vertexai\n"
        "from vertexai import model_garden\n\n"
        'vertexai.init(project="my-project", location="europe-west4")\n\n'
        'model = model_garden.OpenModel("google/gemma3@gemma-3-270m")\n'
        "endpoint = model.deploy(accept_eula=True)\n"
    )


def test_the_sdk_on_the_local_server_is_told_where_it_is(local):
    text = code().deploy_python
    assert 'api_endpoint="http://127.0.0.1:4711",\n    api_transport="rest",' in text
    assert text.endswith('OpenModel("google/gemma3@gemma-3-270m")\nendpoint = model.deploy(accept_eula=True)\n')


def test_without_a_licence_nothing_is_accepted(google):
    made = code(data={})
    assert made.deploy_python.endswith("model.deploy()\n")
    assert "acceptEula" not in made.deploy_curl


@pytest.mark.parametrize("where", ["google", "local"])
@pytest.mark.parametrize("name", ["deploy_python", "ask_openai"])
def test_python_is_python(request, where, name):
    request.getfixturevalue(where)
    compile(getattr(code(), name), name, "exec")


def test_an_endpoint_with_its_own_host_is_asked_there(google):
    endpoint = factories.ready_endpoint(dedicated_dns="1.europe-west4-2.prediction.vertexai.goog")
    made = code("openai", endpoint)
    assert f"https://1.europe-west4-2.prediction.vertexai.goog/v1beta1/{endpoint.resource_name}" in made.ask_openai
    assert made.needs_endpoint is False


def test_without_an_endpoint_there_is_a_place_for_its_id(google):
    made = code("curl")
    assert "https://europe-west4-aiplatform.googleapis.com/v1beta1/projects/my-project" in made.ask_curl
    assert ("/endpoints/ENDPOINT_ID/chat/completions" in made.ask_curl, made.needs_endpoint) == (True, True)
    assert "$(gcloud auth print-access-token)" in made.deploy_curl


def test_the_local_server_is_asked_without_a_token(local):
    made = code("curl", factories.ready_endpoint())
    assert "curl http://127.0.0.1:4711/v1beta1/projects/garden-local" in made.ask_curl
    assert "Authorization" not in made.ask_curl + made.deploy_curl


def test_each_tab_is_a_page_and_a_fragment(client, owner):
    factories.publisher_model()
    client.force_login(owner)
    for tab in TABS:
        page = client.get(f"{URL}?action=code&tab={tab}").content.decode()
        fragment = client.get(f"{URL}?action=code&tab={tab}", headers={"HX-Request": "true"}).content.decode()
        assert 'id="code-panel"' in page
        assert fragment.lstrip().startswith('<div class="stack" id="code">')
        assert f'tab={tab}" hx-target="#code" hx-swap="outerMorph" aria-current="page"' in tight(fragment)


def test_code_is_coloured_and_escaped(client, owner):
    factories.publisher_model()
    client.force_login(owner)
    page = client.get(f"{URL}?action=code").content.decode()
    assert '<span class="kn">import</span>' in page
    assert client.get(f"{URL}?action=code&tab=<script>").context["code"].tab == "python"


L4 = {"machine_type": "g2-standard-12", "accelerator_type": "NVIDIA_L4", "accelerator_count": 1}


def test_what_an_endpoint_was_deployed_with_is_repeated(google):
    name = "projects/my-project/locations/us-west1/endpoints/1"
    options = {"reservation": "ANY_RESERVATION", "endpoint_labels": {"team": "a"}}
    endpoint = factories.ready_endpoint(resource_name=name, location="us-west1", serving_options=options, **L4)
    made = code(endpoint=endpoint)
    assert 'location="us-west1")' in made.deploy_python
    assert made.deploy_python.endswith(
        "endpoint = model.deploy(\n    accept_eula=True,\n    machine_type='g2-standard-12',\n"
        "    accelerator_type='NVIDIA_L4',\n    accelerator_count=1,\n    min_replica_count=1,\n"
        "    max_replica_count=1,\n    reservation_affinity_type='ANY_RESERVATION',\n"
        "    system_labels={'team': 'a'},\n)\n"
    )
    assert "https://us-west1-aiplatform.googleapis.com/v1beta1/projects/my-project/locations/us-west1:deploy" in (
        made.deploy_curl
    )


@pytest.mark.parametrize("where", ["google", "local"])
def test_what_the_sdk_has_no_argument_for_is_asked_by_the_request(request, where):
    request.getfixturevalue(where)
    endpoint = factories.ready_endpoint(min_replicas=0, serving_options={"idle_minutes": 5}, **L4)
    text = code(endpoint=endpoint).deploy_python
    compile(text, "deploy", "exec")
    assert '"scaleToZeroSpec": {\n        "idleScaledownPeriod": "300s",' in text


def test_tuned_models_and_others_are_not_repeated(google):
    endpoint = factories.ready_endpoint(artifact_uri="gs://b/f", serving_options={"flex_start_hours": 5}, **L4)
    assert "flexStart" not in code("curl", endpoint).deploy_curl

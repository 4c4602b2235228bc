import json

import pytest
from google.api_core.exceptions import BadRequest, NotFound
from google.cloud import aiplatform_v1beta1 as vertex

from tests.jobs.localvertex.servers import PARENT, TINY_NAME

GEMMA = "publishers/google/models/gemma3@gemma-3-270m"


def list_names(server, **request):
    pages = server.garden.list_publisher_models(vertex.ListPublisherModelsRequest(**request))
    return [f"{model.name}@{model.version_id}" for model in pages]


def test_all_versions_over_pages(server):
    names = list_names(server, parent="publishers/*", list_all_versions=True, page_size=5)
    assert len(names) == len(set(names)) > 15
    assert {GEMMA, TINY_NAME, "publishers/google/models/gemma3@gemma-3-27b-it"} <= set(names)


def test_one_version_a_family_otherwise(server):
    names = list_names(server, parent="publishers/google")
    assert [name for name in names if "/gemma3@" in name] == [GEMMA]


def test_filter_that_googles_own_client_sends(server):
    pattern = 'is_hf_wildcard(false) AND (model_user_id=~"(?i).*270M.*" OR display_name=~"(?i).*270M.*")'
    assert list_names(server, parent="publishers/*", list_all_versions=True, filter=pattern) == [GEMMA]


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("can_deploy(true) AND display_name:270M", [GEMMA]),
        ('display_name="Gemma 3 270M"', [GEMMA]),
        ("is_hf_wildcard(true)", []),
    ],
)
def test_other_filters(server, expression, names):
    assert list_names(server, parent="publishers/*", list_all_versions=True, filter=expression) == names


@pytest.mark.parametrize(
    "expression",
    [
        "colour=red", "can_deploy(maybe)", "display_name>a", 'display_name=~"(a+)+"', f'display_name=~"{".*" * 9}"',
        'display_name=~"("', "gemma",
    ],
)  # fmt: skip
def test_filters_that_are_not_known(server, expression):
    with pytest.raises(BadRequest, match="Invalid filter expression"):
        list_names(server, parent="publishers/*", filter=expression)


def test_bad_order_and_name(server):
    with pytest.raises(BadRequest, match="Unknown field 'shoes' of a PublisherModel"):
        list_names(server, parent="publishers/*", order_by="shoes")
    with pytest.raises(BadRequest) as refused:
        server.garden.accept_publisher_model_eula(parent="projects/p1", publisher_model="gemma")
    assert refused.value.details[0]["fieldViolations"][0]["field"] == "publisher_model"


def test_only_models_with_weights_here_can_be_deployed(server):
    here = server.garden.get_publisher_model(name=TINY_NAME).supported_actions
    away = server.garden.get_publisher_model(name="publishers/google/models/gemma3@gemma-3-4b-it").supported_actions
    machines = [d.dedicated_resources.machine_spec.machine_type for d in here.multi_deploy_vertex.multi_deploy_vertex]
    assert machines == ["local-cpu"]
    assert "multi_deploy_vertex" not in away
    assert "open_fine_tuning_pipelines" not in away


def test_unknown_model(server):
    with pytest.raises(NotFound, match="does not exist"):
        server.garden.get_publisher_model(name="publishers/google/models/gemma3@nothing")


def test_licence_is_accepted_by_project_and_model(server):
    ask = server.garden.check_publisher_model_eula_acceptance
    assert not ask(parent="projects/eula-1", publisher_model=GEMMA).publisher_model_eula_acked
    server.garden.accept_publisher_model_eula(parent="projects/eula-1", publisher_model=GEMMA)
    assert ask(parent="projects/eula-1", publisher_model=GEMMA).publisher_model_eula_acked
    assert not ask(parent="projects/eula-2", publisher_model=GEMMA).publisher_model_eula_acked


def test_no_deployment_before_the_licence(server):
    request = vertex.DeployRequest(destination=PARENT, publisher_model_name=GEMMA)
    with pytest.raises(BadRequest, match="Gemma Terms of Use"):
        server.garden.deploy(request)


def test_whether_the_template_knows_tools_is_told_of_weights_that_are_here(server):
    told = []
    for name in (TINY_NAME, "publishers/google/models/gemma3@gemma-3-27b-it"):
        model = server.garden.get_publisher_model(name=name)
        facts = {entry.title: entry.content for entry in model.supported_actions.view_rest_api.documentations}
        told.append(facts.get("Tools", ""))
    assert told == ["no", ""]


def test_memory_is_told(server):
    """Of weights that are here; the fake ones tell no shape, so nothing is known of their training."""
    model = server.garden.get_publisher_model(name=TINY_NAME)
    facts = {entry.title: entry.content for entry in model.supported_actions.view_rest_api.documentations}
    told = json.loads(facts["Memory"])
    assert told["precisions"] == {} or told["contexts"] in told["precisions"].values()
    assert list(told["contexts"]) == ["8192", "4096", "2048", "1024", "512"]
    assert sorted(told["contexts"].values(), reverse=True) == list(told["contexts"].values())
    assert 0 < told["room"] <= told["free"]
    gemma = server.garden.get_publisher_model(name="publishers/google/models/gemma3@gemma-3-27b-it")
    assert "Memory" not in {entry.title for entry in gemma.supported_actions.view_rest_api.documentations}

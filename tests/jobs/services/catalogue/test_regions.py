import pytest

from jobs.services.catalogue import regions


@pytest.fixture(autouse=True)
def _google(settings):
    settings.VERTEX_API_ENDPOINT, settings.VERTEX_LOCATION, settings.VERTEX_LOCATIONS = "", "us-central1", []


def test_unless_they_are_configured_it_is_deployed_where_vertex_ai_tunes():
    assert regions.list_regions() == list(regions.REGIONS[1:2] + regions.REGIONS[:1] + regions.REGIONS[2:])
    assert regions.list_serving_regions() == [one for one in regions.list_regions() if one != "global"]


def test_configured_ones_are_all_there_is(settings):
    settings.VERTEX_LOCATIONS = ["europe-west4", "europe-west1", "global", "us-central1"]
    assert regions.list_regions() == ["us-central1", "europe-west4", "global"]
    assert regions.list_serving_regions() == ["us-central1", "europe-west4", "europe-west1"]


@pytest.mark.parametrize(
    ("others", "proposed"), [([], "us-central1"), (["europe-west4"], "europe-west4"), (["eu"], "us-central1")]
)
def test_where_global_is_configured_a_region_is_proposed(settings, others, proposed):
    settings.VERTEX_LOCATION, settings.VERTEX_LOCATIONS = "global", others
    assert regions.default_serving_region() == proposed
    assert regions.list_serving_regions()[0] == proposed
    assert regions.list_regions()[0] == "global"


def test_a_local_run_has_one(settings):
    settings.VERTEX_API_ENDPOINT, settings.VERTEX_LOCATIONS = "http://127.0.0.1:1", ["europe-west4"]
    assert (regions.list_serving_regions(), regions.has_choice()) == (["us-central1"], False)


@pytest.mark.parametrize(
    ("region", "why"),
    [
        ("europe-west4", ""),
        ("global", "Vertex AI serves models in regions only, not in global. Choose a region, such as us-central1."),
        ("eu", "Vertex AI serves models in regions only, not in eu. Choose a region, such as us-central1."),
        ("mars-1", "The console isn't configured for the region mars-1. Choose a region from the list."),
    ],
)
def test_where_nothing_is_deployed(region, why):
    assert regions.why_not_deploy_in(region) == why


@pytest.mark.parametrize(
    ("name", "region"),
    [
        ("projects/7/locations/europe-west4/models/1@1", "europe-west4"),
        ("projects/p/locations/global/tuningJobs/1", ""),
        ("", ""),
    ],
)
def test_a_name_tells_the_region(name, region):
    assert regions.region_of(name) == region

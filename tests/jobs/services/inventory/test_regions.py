import pytest

from jobs.services.inventory import regions
from tests.support import factories

pytestmark = pytest.mark.django_db


def test_on_google_the_configured_regions_the_used_ones_and_those_of_tuning(settings):
    settings.VERTEX_API_ENDPOINT, settings.VERTEX_LOCATION = "", "asia-northeast3"
    settings.VERTEX_LOCATIONS = ["europe-north1", "global"]
    factories.ready_endpoint(location="europe-west1")
    factories.job(location="global")
    assert regions.list_regions() == [
        "asia-northeast3", "europe-north1", "europe-west1", "us-central1", "europe-west4", "us-west1", "us-east5",
        "asia-southeast1", "asia-southeast2",
    ]  # fmt: skip


def test_the_local_server_has_the_configured_one_and_the_used_ones(settings):
    settings.VERTEX_API_ENDPOINT, settings.VERTEX_LOCATION = "http://127.0.0.1:1", "us-central1"
    factories.found_resource(location="us-west1")
    assert regions.list_regions() == ["us-central1", "us-west1"]


def test_never_more_than_twenty():
    for number in range(30):
        factories.found_resource(location=f"region-{number}")
    assert len(regions.list_regions()) == 20

from importlib import import_module

import pytest
from django.apps import apps

from tests.support import factories

pytestmark = pytest.mark.django_db
migration = import_module("jobs.migrations.0059_serving_options")


def test_each_row_gets_the_region_of_its_resource(settings):
    settings.VERTEX_LOCATION = "us-west1"
    name = "projects/p/locations/europe-west4/endpoints/e"
    moved = factories.ready_endpoint(resource_name=name, location="us-central1")
    unsent = factories.endpoint(location="us-central1")
    nowhere = factories.job(location="")
    everywhere = factories.job(resource_name="projects/p/locations/global/tuningJobs/7", location="us-central1")
    strange = factories.job(resource_name="something", location="us-central1")
    migration.fill_locations(apps, None)
    for row in (moved, moved.model, unsent, nowhere, everywhere, strange):
        row.refresh_from_db()
    assert {moved.location, moved.model.location} == {"europe-west4"}
    assert [row.location for row in (unsent, nowhere, everywhere, strange)] == [
        "us-central1", "us-west1", "global", "us-central1",
    ]  # fmt: skip

"""The card "Ready to spend?" in the wizard, beside a deployment and in the settings."""

import pytest
from django.urls import reverse

from jobs import tasks
from jobs.models import Preflight
from tests.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def google(settings, fake_gateway):
    settings.VERTEX_API_ENDPOINT, settings.VERTEX_BUCKET = "", "gs://garden-local"
    settings.VERTEX_PROJECT, settings.VERTEX_LOCATION = "garden-local", "us-central1"
    factories.publisher_model()
    return fake_gateway


@pytest.fixture
def page(client):
    client.force_login(factories.owner())

    def read(address, **values):
        found = client.post(address, values) if values.pop("post", False) else client.get(address, values)
        return found.status_code, found.content.decode()

    return read


ADDRESS = "/settings/preflight/"


def look():
    tasks.run_preflight(key=Preflight.objects.get().key)


def test_it_asks_then_tells(google, page):
    google.project.billing = False
    assert 'hx-trigger="load"' in page(reverse("settings-connection"))[1]
    status, asked = page(ADDRESS)
    assert (status, "Checking your project on Google Cloud…" in asked, "every 2s" in asked) == (200, True, True)
    look()
    told = page(ADDRESS)[1]
    assert Preflight.objects.get().asked_at < Preflight.objects.get().checked_at
    assert ("Something is missing. Correct it, and then check again." in told, "every 2s" in told) == (True, False)
    command = "gcloud billing projects link garden-local --billing-account=BILLING_ACCOUNT"
    assert (told.count(f'<code data-clipboard-target="source">{command}</code>'), "Copy all commands" in told) == (
        1,
        True,
    )


def test_a_click_asks_again_at_once(google, page):
    page(ADDRESS)
    look()
    first = Preflight.objects.get().asked_at
    asked = page(ADDRESS, post=True)[1]
    assert (Preflight.objects.get().asked_at > first, "every 2s" in asked) == (True, True)


def test_names_that_google_gives_are_text(google, page):
    google.storage.locations = {"garden-local": "<b>eu</b>"}
    page(ADDRESS, post=True)
    look()
    told = page(ADDRESS)[1]
    assert ("&lt;b&gt;eu&lt;/b&gt;" in told, "<b>eu</b>" in told) == (True, False)


def test_a_deployment_is_asked_for_its_machine(google, page):
    machines = [{"machine_type": "g2-standard-12", "accelerator_type": "NVIDIA_L4", "accelerator_count": 1}]
    factories.publisher_model(name="google/gemma3@gemma-3-1b-it", data={"machine_specs": machines})
    address = reverse("model-preflight")
    key = "g2-standard-12:NVIDIA_L4:1"
    status, _asked = page(address, post=True, model="google/gemma3@gemma-3-1b-it", machine=key, max_replicas="2")
    subject = Preflight.objects.get().subject
    assert (status, subject["accelerators"], subject["accelerator_type"]) == (200, 2, "NVIDIA_L4")


@pytest.mark.parametrize(("model", "status"), [("", 204), ("a/b@c", 404), ("\x00", 404)])
def test_a_model_that_is_not_there(google, page, model, status):
    assert page(reverse("model-preflight"), model=model)[0] == status


def test_a_local_run_has_no_such_card(settings, page, fake_gateway):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    assert page(ADDRESS) == (204, "")
    assert "Ready to spend?" not in page(reverse("settings-connection"))[1]


def test_a_deployment_is_checked_in_the_region_of_its_form(google, page):
    address = reverse("model-preflight")
    for asked, looked in (("europe-west4", "europe-west4"), ("mars-1", "us-central1"), ("global", "us-central1")):
        Preflight.objects.all().delete()
        page(address, model=factories.BASE_MODEL, location=asked)
        assert Preflight.objects.get().subject["serving_location"] == looked

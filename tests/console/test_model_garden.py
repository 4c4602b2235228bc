import re
from datetime import timedelta

import pytest
from django.urls import reverse

from jobs.models import CatalogueSync
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
URL = "/model-garden/"


@pytest.fixture
def page(client, owner):
    client.force_login(owner)
    return lambda query="", **headers: client.get(f"{URL}{query}", headers=headers)


@pytest.fixture
def models():
    closed = {"can_tune": False, "can_deploy": False}
    factories.publisher_model(display_name="Gemma 3 270M")
    factories.publisher_model(name="google/gemma3@gemma-3-1b-it", display_name="Gemma 3 1B IT", **closed)
    factories.publisher_model(name="meta/llama3@llama-3-8b", display_name="Llama 3 8B", **closed)


def rows(response):
    return [variant.name for variant, _title in response.context["rows"]]


def counts(response):
    return {facet.label: facet.count for _name, _title, values in response.context["facets"] for facet in values}


def test_a_visitor_is_asked_to_sign_in(client):
    assert client.get(URL).status_code == 302


def test_families_are_tiles_and_a_badge_is_a_promise(page, models):
    response = page()
    shelves = [(title, [family.title for family in families]) for title, families in response.context["shelves"]]
    assert shelves == [("Can be fine-tuned here", ["Gemma 3"]), ("More models", ["Llama 3 8B"])]
    assert re.findall(r'class="badge">([^<]+)', response.content.decode()) == ["Can be fine-tuned", "Can be deployed"]


def test_the_number_of_queries_does_not_grow(page, django_assert_num_queries):
    factories.publisher_model()
    with django_assert_num_queries(4):
        page()
    factories.publisher_model(name="meta/llama3@llama-3-8b")
    factories.publisher_model(name="meta/llama4@llama-4-8b")
    with django_assert_num_queries(4):
        page()


def test_a_search_answers_with_a_table_and_its_count(page, models):
    response = page("?q=gemma+270m")
    assert rows(response) == ["google/gemma3@gemma-3-270m"]
    assert "<mark>Gemma</mark> 3 <mark>270M</mark>" in response.content.decode()
    assert "1 model<" in response.content.decode()


def test_facets_shrink_with_the_search_and_with_each_other(page, models):
    assert counts(page("?q=gemma")) == {"Google": 2, "Meta": 0, "Can be fine-tuned": 1, "Can be deployed": 1}
    assert rows(page("?provider=meta&provider=google&feature=tune")) == ["google/gemma3@gemma-3-270m"]


def test_a_search_is_escaped(page, models):
    assert "<script>" not in page("?q=%3Cscript%3Ealert(1)").content.decode().split("</head>")[1].split("<main")[1]


def test_nothing_found_offers_a_way_back(page, models):
    content = page("?q=zzz").content.decode()
    assert "No models match" in content
    assert "Clear all filters" in content


def test_htmx_gets_the_results_only(page, models):
    response = page("?q=gemma", **{"HX-Request": "true"})
    assert response.content.decode().lstrip().startswith('<form class="garden" id="results"')
    assert response["Vary"].count("HX-Request") == 1


def test_a_catalogue_never_read_says_that_it_is_being_read(page):
    response = page()
    assert response.context["sync"] == {"waiting": True}
    assert 'hx-trigger="models from:body' in response.content.decode()


def test_a_failure_shows_the_age_of_what_is_shown(page, models):
    CatalogueSync.objects.create(
        succeeded_at=NOW - timedelta(days=2), failed_at=NOW, error_message="Vertex AI does not answer."
    )
    content = page().content.decode()
    assert "Showing the catalogue saved" in content
    assert "Vertex AI does not answer." in content


def test_a_first_failure_is_not_shown_as_waiting(page):
    CatalogueSync.objects.create(failed_at=NOW, error_message="Sign in to Google Cloud first.")
    content = page().content.decode()
    assert "The catalogue could not be read" in content
    assert "Reading the catalogue" not in content


def test_a_success_after_a_failure_says_nothing(page, models):
    CatalogueSync.objects.create(succeeded_at=NOW, failed_at=NOW - timedelta(days=2))
    assert page().context["sync"]["failed"] is False


def test_retry_asks_for_a_new_reading(client, owner):
    client.force_login(owner)
    response = client.post(reverse("model-garden-refresh"))
    assert (response.status_code, response["Location"]) == (303, URL)
